"""The entries of the framework table, one module per family; each exports ENTRIES."""
