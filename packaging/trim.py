"""Remove from an installation of icsfeed what it does not use: trim.py FOLDER (its site-packages).

More than half of its bytes: formats of 1,100 languages and regions, symbols for debuggers, and libraries that
others declare and import only where icsfeed does not go. Reinstalling brings all of it back.
"""

import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

UNUSED = {
    "polyfactory": "litestar makes up examples for OpenAPI with it",
    "faker": "polyfactory",
    "rich-click": "litestar's own command line",
    "litestar-htmx": "a plugin of litestar",
    "pygments": "rich colours source code and tracebacks with it",
    "markdown-it-py": "rich shows Markdown with it",
    "mdurl": "markdown-it-py",
}
"""Libraries that are left out, with who would import them."""


def remove_unused_libraries(folder: Path) -> None:
    for distribution in distributions(path=[str(folder)]):
        if distribution.name.lower().replace("_", "-") in UNUSED:
            _remove(distribution)


def _remove(distribution: Distribution) -> None:
    """Remove its folders, with what was compiled in them, and its scripts."""
    folder = Path(str(distribution.locate_file("")))
    for file in distribution.files or ():
        first = file.parts[0]
        if first == "..":
            (folder / file).unlink(missing_ok=True)
        elif len(file.parts) > 1:
            shutil.rmtree(folder / first, ignore_errors=True)


def remove_other_languages(folder: Path) -> None:
    """Keep the formats of languages that have a catalogue. Exit if there are none: the folder is wrong."""
    languages = {"en", *(path.stem for path in (folder / "icsfeed/l10n/catalogues").glob("*.po"))}
    locales = {path: path.stem.partition("_")[0] for path in (folder / "babel/locale-data").glob("*.dat")}
    if len(languages) < 2 or not languages <= {*locales.values()}:
        sys.exit(f"{folder} is not an installation of icsfeed with Babel's languages")
    for path, language in locales.items():
        if language not in {*languages, "root"}:
            path.unlink()


def strip_libraries(folder: Path) -> None:
    """Remove the symbols that only debuggers read, as Debian does; do nothing without binutils."""
    if shutil.which("strip") is None:
        print("strip is not here (package binutils): compiled libraries keep 20 MB of symbols")  # noqa: T201
        return
    for library in folder.rglob("*.so*"):
        subprocess.run(["strip", "--strip-unneeded", library], check=True)  # noqa: S603, S607


def main(folder: Path) -> None:
    remove_other_languages(folder)
    remove_unused_libraries(folder)
    strip_libraries(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
