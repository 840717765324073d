"""The verdict on a result: whether its number can be trusted, and why not."""
