"""What may be typed: the parsers of all commands. Imports nothing heavy."""
