"""`python -m icsfeed`."""

from icsfeed.cli.commands import main

main()
