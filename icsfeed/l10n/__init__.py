"""Our own words, and dates and numbers, in each language."""
