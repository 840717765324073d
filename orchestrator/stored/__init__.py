"""Results on disk: found, bundled, verified, replayed, compared."""
