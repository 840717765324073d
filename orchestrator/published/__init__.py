"""Published results of others, and how to reproduce them here."""
