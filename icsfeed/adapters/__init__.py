"""The outside worlds, one module each; each turns its library's errors into ours, once."""
