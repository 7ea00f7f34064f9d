"""Looks up what uv.lock installs among the known holes: fails for a hole, says when it could not look.

pip-audit ends with 0 too when the advisories' server knows none of the packages, as behind some mirrors.
"""

import json
import subprocess
import sys
from typing import Any

EXPORT = [
    "uv",
    "export",
    "--quiet",
    "--frozen",
    "--no-default-groups",
    "--extra",
    "redis",
    "--no-emit-project",
]
AUDIT = ["pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner=off", "--format=json", "-r"]


def report(locked: str) -> dict[str, Any] | None:
    """What pip-audit finds; None when it could not ask."""
    done = subprocess.run([*AUDIT, locked], capture_output=True, text=True, timeout=300, check=False)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        print(done.stderr.strip()[-500:])
        return None
    return found


def main(locked: str) -> int:
    subprocess.run([*EXPORT, "-o", locked], check=True)
    packages = (report(locked) or {}).get("dependencies", [])
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    holes = [f"{p['name']} {p['version']}: {v['id']}" for p in packages for v in p.get("vulns", [])]
    if not packages or skipped:
        print(f"NOT DONE for {len(skipped) or 'all'} packages: the advisories cannot be reached from here")
    print("\n".join(holes) or f"{len(packages) - len(skipped)} packages looked up, no known holes")
    return 1 if holes else 0


sys.exit(main(sys.argv[1]))
