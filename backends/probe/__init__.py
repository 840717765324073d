"""Measures what a machine can do at most: multiplications and copies.

Only the standard library, so that it runs in every image; on a GPU also PyTorch.
"""
