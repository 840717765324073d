"""One run, from a request to a filed result."""
