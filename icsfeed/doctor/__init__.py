"""A feed examined as calendar apps would read it."""
