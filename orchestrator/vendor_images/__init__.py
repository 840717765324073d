"""Vendors' images: which exist, what they need, what their entrypoints print."""
