"""Runs the Containerfile without a container engine: its RUN lines in an empty folder, then its command.

The server runs as the file's user, with the file's environment, where it can on a root that nothing can
write to. It must become healthy by its own health check, keep its state in the volume alone, and answer
what is in flight when SIGTERM comes. Needs root, to become that user.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from cli_world import SECRET, plane_served  # noqa: E402
from containerfile import Instruction, environment, one, stages  # noqa: E402
from plane import faults as f  # noqa: E402
from plane.sample import sample  # noqa: E402

from icsfeed.demo.sample import API_KEY, SLUG  # noqa: E402

READ_ONLY = 'mount --make-rprivate / && mount -o bind "$0" "$0" && mount -o remount,ro,bind / && exec "$@"'


class Engine:
    """Plays a container engine in a folder: absolute paths of the file lie under it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        subprocess.run([sys.executable, "-m", "venv", str(root / "usr")], check=True)

    def moved(self, text: str) -> str:
        for place in ("/opt/", "/src", "/var/lib/icsfeed"):
            text = text.replace(place, f"{self.root}{place}")
        return text

    def environment(self, stage: list[Instruction]) -> dict[str, str]:
        own = {name: self.moved(value) for name, value in environment(stage).items()}
        path = f"{self.root}/usr/bin:{os.environ['PATH']}"
        passed = {
            name: os.environ[name] for name in ("SSL_CERT_FILE", "PIP_CONFIG_FILE") if name in os.environ
        }
        uv = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "PIP_"))}
        return {
            "HOME": str(self.root),
            **passed,
            **uv,
            **own,
            "PATH": own.get("PATH", path).replace("$PATH", path),
        }

    def build(self, stage: list[Instruction]) -> None:
        where = self.root
        for word, text in stage:
            if word == "WORKDIR":
                where = Path(self.moved(text))
                where.mkdir(parents=True, exist_ok=True)
            elif word == "COPY":
                *sources, _ = text.split()
                for source in sources:
                    _copy(ROOT / source, where / source)
            elif word == "RUN":
                print(f"   RUN {text}", flush=True)
                subprocess.run(
                    ["sh", "-ec", self.moved(text)], cwd=where, env=self.environment(stage), check=True
                )

    def take(self, stage: list[Instruction]) -> None:
        """The COPY --from of the last stage: the state, given to its user. The rest is in its place."""
        owner = int(one(stage, "USER").text.partition(":")[0])
        state = self.root / "var/lib/icsfeed"
        shutil.copytree(self.root / "opt/state/icsfeed", state)
        os.chown(state, owner, owner)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(exist_ok=True)
        shutil.copy(source, target)


def _as_user(user: str, volume: Path, command: list[str]) -> list[str]:
    number = user.partition(":")[0]
    plain = [
        "setpriv",
        f"--reuid={number}",
        f"--regid={number}",
        "--clear-groups",
        "--no-new-privs",
        *command,
    ]
    sealed = ["unshare", "-m", "sh", "-c", READ_ONLY, str(volume)]
    if subprocess.run([*sealed, "true"], capture_output=True, check=False).returncode == 0:
        return [*sealed, *plain]
    print("   no mount namespaces here: the root is not read-only, only not this user's", flush=True)
    return plain


def _succeeds(command: list[str], env: Mapping[str, str]) -> None:
    for _ in range(100):
        if subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit(f"never succeeds: {command}")


def main() -> None:
    build, final = stages(ROOT / "Containerfile")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        engine = Engine(root)
        engine.build(build)
        engine.take(final)
        answers = [sys.executable, str(ROOT / ".ci/answers.py"), str(root / "opt/icsfeed/bin/icsfeed")]
        subprocess.run(answers, check=True)
        _serve(engine, final)


def _serve(engine: Engine, final: list[Instruction]) -> None:
    faults = f.Faults()
    volume = engine.root / "var/lib/icsfeed"
    with plane_served(sample(datetime.now(UTC).date()), faults) as plane:
        given = {
            "PLANE_BASE_URL": plane,
            "PLANE_WORKSPACE": SLUG,
            "PLANE_API_KEY": API_KEY,
            "ICSFEED_SECRET": SECRET,
            "SYNC_INTERVAL_SECONDS": "1",
        }
        env = {**engine.environment(final), **given}
        command = one(final, "ENTRYPOINT").command + one(final, "CMD").command
        server = subprocess.Popen(_as_user(one(final, "USER").text, volume, command), env=env, cwd="/")
        try:
            _succeeds(one(final, "HEALTHCHECK").command, env)
            _succeeds(["icsfeed", "status"], env)
            links = json.loads(subprocess.check_output(["icsfeed", "urls", "--json"], env=env, cwd="/"))
            _drains(server, links["feeds"]["all"]["ics"], faults)
        finally:
            server.kill()
            server.wait()
    kept = [path for path in volume.rglob("*") if path.is_file()]
    assert kept, "nothing was kept in the volume"
    assert {path.stat().st_uid for path in kept} == {10001}
    print(f"   healthy, drained, {len(kept)} files in the volume", flush=True)


def _drains(server: "subprocess.Popen[bytes]", link: str, faults: f.Faults) -> None:
    """What was asked before SIGTERM, and waits for Plane, is answered, and then the server ends."""
    faults.add("", f.delayed(2), None)
    time.sleep(1.5)  # what was read counts as fresh for a second
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(lambda: urllib.request.urlopen(link, timeout=30).status)  # noqa: S310
        time.sleep(0.3)
        assert not answer.done(), "nothing was under way when SIGTERM came"
        server.send_signal(signal.SIGTERM)
        assert answer.result() == 200
    assert server.wait(timeout=15) == 0


main()
