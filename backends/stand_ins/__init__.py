"""Modules that programs of others import and that are not on PyPI, as far as they are used."""
