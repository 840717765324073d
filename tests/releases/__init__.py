"""Old releases of the frameworks, really run: `make releases`."""
