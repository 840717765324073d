"""What others have published, and whether it can be had here."""
