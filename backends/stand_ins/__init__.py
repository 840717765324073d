"""Replacements of modules that others' programs import and that are not on PyPI."""
