"""Suites: many benchmarks from one file, planned and run as a session that can be resumed."""
