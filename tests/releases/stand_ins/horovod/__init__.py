"""Horovod of one process, for programs that cannot be run without it."""
