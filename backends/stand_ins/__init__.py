"""Modules that programs of others import and that no package index has, as far as they are used."""
