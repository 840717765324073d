"""Attacks on the whole command: random arguments, wrong answers of an engine, sudden signals."""
