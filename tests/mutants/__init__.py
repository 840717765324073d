"""Deliberate errors in the backends, each of which parity must find: `make mutants`.

A mutant is one line of one backend, changed in a copy of the tree that is mounted over the
backends of the framework's own image. The proof itself is not changed.
"""
