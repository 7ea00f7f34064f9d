"""iCalendar (RFC 5545, 7986): components written and read."""
