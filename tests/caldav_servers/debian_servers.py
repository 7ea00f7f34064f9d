"""CalDAV servers of Debian's packages, each with one user, in a folder that goes at the end.

To be run as root, because each server runs as the user that its package made.
"""

import hashlib
import imaplib
import os
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from dav_world import PASSWORD, USER, DavServer, free_port, running_server

HERE = Path(__file__).parent
SECONDS = 30.0
"""For a server to start."""

DAVICAL_PERSON = """
INSERT INTO usr (user_no, active, username, password, fullname)
    VALUES (1001, TRUE, :'person', '**' || :'password', 'Alice');
INSERT INTO principal (principal_id, type_id, user_no, displayname, default_privileges)
    VALUES (1001, 1, 1001, 'Alice', 0::BIT(24));
"""
SOGO_PERSON = """
CREATE TABLE people (c_uid TEXT PRIMARY KEY, c_name TEXT, c_password TEXT, c_cn TEXT, mail TEXT);
INSERT INTO people VALUES (:'person', :'person', :'password', 'Alice', 'alice@example.com');
"""


@contextmanager
def davical() -> Iterator[DavServer]:
    """DAViCal in Apache, with PostgreSQL."""
    port = free_port()
    with _folder("postgres") as folder, _postgres(folder, free_port()) as client:
        _run(["/usr/share/davical/dba/create-database.sh", "davical", "secret"], "postgres", env=client)
        _tell(client, "davical", DAVICAL_PERSON)
        php = next(Path("/usr/lib/apache2/modules").glob("libphp*.so"))
        command = _apache(folder, port, _filled("apache-davical.conf", php=php))
        home = f"/davical/caldav.php/{USER}/"
        yield from running_server(DavServer(command, port, home, USER, env=client))


@contextmanager
def sogo() -> Iterator[DavServer]:
    """SOGo behind Apache, with PostgreSQL and memcached."""
    port, behind, database, cache = (free_port() for _ in range(4))
    with _folder("postgres") as folder, _postgres(folder, database) as client:
        _tell(client, "postgres", SOGO_PERSON)
        home = folder / "home"
        home.mkdir()
        shutil.chown(home, "sogo")
        command = _sogod(home, behind, f"postgresql://postgres:x@127.0.0.1:{database}/postgres", cache)
        front = _apache(folder, port, _filled("apache-sogo.conf", behind=behind))
        memcached = ["memcached", "-l", "127.0.0.1", "-p", str(cache)]
        with _process(memcached, "sogo"), _process(front, "root"):
            path, env = f"/SOGo/dav/{USER}/Calendar/", {"HOME": str(home)}
            server = DavServer(command, port, path, USER, behind=behind, env=env, as_user="sogo")
            yield from running_server(server)


def _sogod(home: Path, port: int, database: str, cache: int) -> list[str]:
    """What is an argument wins over /etc/sogo/sogo.conf."""
    source = (
        f'({{type = sql; id = people; viewURL = "{database}/people"; '
        "canAuthenticate = YES; userPasswordAlgorithm = plain;})"
    )
    named = {
        "SOGoProfileURL": f"{database}/sogo_profiles",
        "OCSFolderInfoURL": f"{database}/sogo_folders",
        "OCSSessionsFolderURL": f"{database}/sogo_sessions",
        "SOGoUserSources": source,
        "SOGoMemcachedHost": f"127.0.0.1:{cache}",
        "WOPort": f"127.0.0.1:{port}",
        "WONoDetach": "YES",
        "WOWorkersCount": "4",
        "WOPidFile": str(home / "pid"),
        "WOLogFile": "-",
    }
    return ["/usr/sbin/sogod", *(word for name, value in named.items() for word in (f"-{name}", value))]


@contextmanager
def cyrus() -> Iterator[DavServer]:
    """Cyrus' httpd, under its master."""
    port, mail = free_port(), free_port()
    with _folder("cyrus") as folder:
        own = folder / "own"
        for name in ("db", "log", "proc", "user", "quota", "sync"):
            (own / "conf" / name).mkdir(parents=True)
        for name in ("imapd.conf", "cyrus.conf"):
            filled = _filled(f"cyrus-{name}", folder=folder, port=port, mail=mail)
            (folder / name).write_text(filled, encoding="utf-8")
        for user in (USER, "cyrus"):
            command = ["saslpasswd2", "-p", "-c", "-f", str(own / "passwords"), "-u", "localhost", user]
            _run(command, words=PASSWORD)
        _run(["chown", "-R", "cyrus:mail", str(own)])
        command = ["/usr/lib/cyrus/bin/master", "-p", str(folder / "pid")]
        command += ["-C", str(folder / "imapd.conf"), "-M", str(folder / "cyrus.conf")]
        with _process(command, "root"):
            _make_inbox(mail)
        yield from running_server(DavServer(command, port, f"/dav/calendars/user/{USER}/", USER))


def _make_inbox(port: int) -> None:
    """Who has none has no calendars."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        with suppress(OSError, imaplib.IMAP4.abort), imaplib.IMAP4("127.0.0.1", port) as client:
            client.login("cyrus", PASSWORD)
            assert client.create(f"user/{USER}")[0] == "OK"
            return
        time.sleep(0.05)
    pytest.fail("Cyrus' imapd does not start")


@contextmanager
def sabre(auth: str = "basic") -> Iterator[DavServer]:
    """sabre/dav 1.8, which Nextcloud and Baïkal have grown from, in PHP's own server. `auth`: or `digest`."""
    port = free_port()
    with _folder("www-data") as folder:
        file = folder / "own" / "dav.sqlite"
        _fill(file)
        _run(["chown", "-R", "www-data", str(file.parent)])
        script = folder / "server.php"
        script.write_bytes((HERE / "sabre.php").read_bytes())
        env = {"PHP_CLI_SERVER_WORKERS": "4", "DAV_DATA": str(file), "DAV_AUTH": auth}
        command = ["php", "-d", "include_path=/usr/share/php", "-S", f"127.0.0.1:{port}", str(script)]
        server = DavServer(command, port, f"/calendars/{USER}/", USER, env=env, as_user="www-data")
        if auth == "digest":
            server.client.auth = httpx.DigestAuth(USER, PASSWORD)
        yield from running_server(server)


def _fill(file: Path) -> None:
    """The tables of sabre/dav's examples, and our user."""
    digest = hashlib.md5(f"{USER}:SabreDAV:{PASSWORD}".encode(), usedforsecurity=False).hexdigest()
    with closing(sqlite3.connect(file)) as database:
        for name in ("users", "principals", "calendars"):
            text = Path(f"/usr/share/doc/php-sabre-dav/examples/sql/sqlite.{name}.sql").read_text("utf-8")
            database.executescript(text)
        database.execute("INSERT INTO users (username, digesta1) VALUES (?, ?)", (USER, digest))
        database.execute("INSERT INTO principals (uri) VALUES (?)", (f"principals/{USER}",))
        database.commit()
        database.execute("PRAGMA journal_mode = wal")


@contextmanager
def _folder(user: str) -> Iterator[Path]:
    """A folder that the servers' users reach, as they do not reach pytest's. `own` in it is the user's."""
    with tempfile.TemporaryDirectory(prefix="icsfeed-dav-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "own").mkdir()
        shutil.chown(folder / "own", user)
        yield folder


@contextmanager
def _postgres(folder: Path, port: int) -> Iterator[Mapping[str, str]]:
    """An empty PostgreSQL that trusts everybody on this machine: what its clients need to find it."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    own, client = (
        str(folder / "own"),
        {"PGHOST": str(folder / "own"), "PGPORT": str(port), "PGUSER": "postgres"},
    )
    _run([f"{programs}/initdb", "-D", f"{own}/data", "-A", "trust", "-E", "UTF8", "--no-sync"], "postgres")
    settings = ("listen_addresses=127.0.0.1", f"unix_socket_directories={own}", "fsync=off")
    given = [word for setting in settings for word in ("-c", setting)]
    with _process([f"{programs}/postgres", "-D", f"{own}/data", "-p", str(port), *given], "postgres"):
        end = time.monotonic() + SECONDS
        ready = [f"{programs}/pg_isready", "-q"]
        while subprocess.run(ready, env={**os.environ, **client}, check=False).returncode:
            assert time.monotonic() < end, "PostgreSQL does not start"
            time.sleep(0.05)
        yield client


def _tell(client: Mapping[str, str], database: str, words: str) -> None:
    """Let a database carry out some SQL."""
    given = ("-v", "ON_ERROR_STOP=1", "-v", f"person={USER}", "-v", f"password={PASSWORD}")
    _run(["psql", "-qX", *given, database], words=words, env=client)


def _apache(folder: Path, port: int, site: str) -> list[str]:
    """How to run an Apache for a site."""
    config = folder / "apache.conf"
    config.write_text(_filled("apache.conf", folder=folder, port=port, site=site), encoding="utf-8")
    return ["/usr/sbin/apache2", "-f", str(config), "-D", "FOREGROUND"]


def _filled(name: str, **words: object) -> str:
    """A file of this folder, with these words in it."""
    return (HERE / name).read_text(encoding="utf-8").format(**words)


def _run(command: list[str], user: str | None = None, words: str = "", env: Mapping[str, str] = {}) -> None:
    subprocess.run(
        command,
        input=words,
        text=True,
        stdout=subprocess.DEVNULL,
        user=user,
        group=user,
        cwd="/",
        env={**os.environ, **env},
        check=True,
    )


@contextmanager
def _process(command: list[str], user: str) -> Iterator[None]:
    """In a session of its own, because an Apache that ends, ends its whole session."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        user=user,
        group=user,
        cwd="/",
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(SECONDS)
