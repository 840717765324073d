"""Argument parsers of all commands. Imports nothing heavy."""
