"""Links that people make for themselves: what is stored of them, changes of it, and the record itself."""
