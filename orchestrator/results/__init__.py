"""Stored results: find, bundle, verify, replay and compare them."""
