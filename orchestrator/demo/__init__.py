"""Simulated nights, to see what reports look like: `benchdock demo nights`."""
