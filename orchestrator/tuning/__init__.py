"""Looks for the fastest sound settings of a network in a framework on this machine."""
