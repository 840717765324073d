"""Benchmarks of benchdock itself: `make bench-self`. Ratios of pairs taken in one run."""
