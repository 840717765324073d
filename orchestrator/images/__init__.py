"""Our images, and host environments from the same pins: their table, building and storage."""
