"""The host runtime: runs launcher scripts as processes if no engine answers."""
