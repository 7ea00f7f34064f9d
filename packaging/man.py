"""Write the man pages of the commands into a folder, from their own help: man.py FOLDER."""

import sys
from pathlib import Path

from click_man.core import write_man_pages

from icsfeed import __version__
from icsfeed.cli.commands import cli

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
write_man_pages("icsfeed", cli, version=__version__, target_dir=str(folder))
