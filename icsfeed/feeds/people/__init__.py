"""The feeds of a person: which they may see, and the links to them that they have made."""
