"""The views of a calendar page: pure, from the items of a feed to what is drawn."""
