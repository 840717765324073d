"""The container engine: Docker, or whatever speaks its API. `sdk` alone imports `docker`."""
