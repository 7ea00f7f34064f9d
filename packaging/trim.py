"""Remove from an installation of icsfeed what it does not use: trim.py FOLDER (its site-packages).

Babel brings the formats of 1,100 languages and regions, 32 MB; icsfeed has words in a few.
"""

import sys
from pathlib import Path

folder = Path(sys.argv[1])
languages = {"en", *(path.stem for path in (folder / "icsfeed/l10n/catalogues").glob("*.po"))}
locales = [*(folder / "babel/locale-data").glob("*.dat")]
unused = [path for path in locales if path.stem.partition("_")[0] not in {*languages, "root"}]
if not unused or len(locales) - len(unused) < len(languages):
    sys.exit(f"{folder} is not an installation of icsfeed with Babel's languages")
for path in unused:
    path.unlink()
