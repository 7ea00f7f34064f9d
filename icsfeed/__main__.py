"""`python -m icsfeed`."""

from icsfeed.cli import main

main()
