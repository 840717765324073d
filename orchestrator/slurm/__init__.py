"""Suites on a Slurm cluster: arrays of tasks that each make one run, and who watches them."""
