"""Finds out what this machine can do at most, with the program in backends/probe."""
