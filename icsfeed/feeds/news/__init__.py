"""What became due or changed in a feed, as Atom and JSON Feed for chat bots, dashboards and feed readers."""
