"""/me: the calendars of a person, and the links that they make for themselves."""
