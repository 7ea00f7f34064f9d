"""Write tests/feeds/golden/*.ics again: `.venv/bin/python tests/feeds/regolden.py`. Then review them."""

from pathlib import Path

from golden_feeds import GOLDEN

FOLDER = Path(__file__).parent / "golden"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.ics"):
        file.unlink()
    for name, made in GOLDEN.items():
        (FOLDER / f"{name}.ics").write_bytes(made())


if __name__ == "__main__":
    main()
