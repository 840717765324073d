"""Simulated step times and runs: whether stated intervals cover what they say."""
