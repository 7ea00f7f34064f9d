"""Print the pure modules, or those of their tests that must cover them: pure.py modules | tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path.append(str(TESTS))

from test_layers import PURE  # noqa: E402

if sys.argv[1:] == ["modules"]:
    print(",".join(f"icsfeed/{module}" for module in PURE))
else:
    folders = ((TESTS / module).parent.glob(f"test_*{Path(module).stem}*.py") for module in PURE)
    print(*sorted({str(file) for files in folders for file in files}))
