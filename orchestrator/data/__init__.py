"""Catalogues that ship with benchdock, and the tool that renews one of them."""
