"""One module per command. `execute(arguments)` runs it and returns the exit status."""
