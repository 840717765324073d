"""The rows of the framework table, a module per family; each exports ROWS."""
