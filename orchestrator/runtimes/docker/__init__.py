"""The container engine: Docker, or anything with its API. Only `sdk` imports `docker`."""
