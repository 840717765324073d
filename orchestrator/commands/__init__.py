"""One module per command: `execute(arguments)` carries it out and returns the exit status."""
