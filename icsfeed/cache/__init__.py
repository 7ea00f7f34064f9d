"""What was read of Plane, how fresh it is, and when it is read again."""
