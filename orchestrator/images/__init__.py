"""Images of ours, and environments from the same pins: their table, how they are made and kept."""
