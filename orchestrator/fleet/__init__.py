"""Checks the nodes of a fleet: measures each one, and compares it with the others."""
