"""The database of results: an index of the run folders that can always be built again."""
