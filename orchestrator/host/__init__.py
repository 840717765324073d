"""The host runtime: launcher scripts as processes, where no engine answers."""
