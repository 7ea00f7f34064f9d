"""Evolution Data Server as a reader of an account: run by Debian's own Python, inside a D-Bus session.

Prints a line of JSON for what the calendar holds, one after a line on standard input has said that it has
changed, and one for an attempt to change something.
"""

import json
import sys
import time

import gi  # type: ignore[import-not-found, unused-ignore]

gi.require_version("EDataServer", "1.2")
gi.require_version("ECal", "2.0")
from gi.repository import ECal, EDataServer, GLib  # type: ignore[import-not-found, unused-ignore] # noqa: E402

SECONDS = 20


def say(**facts: object) -> None:
    sys.stdout.write(f"{json.dumps(facts)}\n")
    sys.stdout.flush()


def titles_of(client: ECal.Client) -> list[str]:
    return sorted(one.get_summary().get_value() for one in client.get_object_list_as_comps_sync("#t")[1])


def wait_for(client: ECal.Client, word: str) -> list[str]:
    """Return the titles when one of them contains the word, or after some time."""
    until = time.monotonic() + SECONDS
    while True:
        titles = titles_of(client)
        if any(word in one for one in titles) or time.monotonic() > until:
            return titles
        time.sleep(0.1)


def read(client: ECal.Client) -> None:
    say(titles=wait_for(client, ""), read_only=client.is_readonly())
    word = sys.stdin.readline().strip()
    client.refresh_sync(None)
    say(titles=wait_for(client, word), read_only=client.is_readonly())
    component = client.get_object_list_sync("#t", None)[1][0]
    try:
        component.set_summary("Changed by an app")
        client.modify_object_sync(component, ECal.ObjModType.ALL, 0, None)
        say(refused="")
    except GLib.Error as error:
        say(refused=error.message)


def main(user: str, password: str) -> None:
    loop = GLib.MainLoop()
    registry = EDataServer.SourceRegistry.new_sync(None)  # held: without it the source sends no signals
    source = registry.ref_source("plane")

    def log_in(source: EDataServer.Source, *_reason: object) -> None:
        given = EDataServer.NamedParameters.new()
        given.set("username", user)
        given.set("password", password)
        source.invoke_authenticate(given, None, lambda one, result: one.invoke_authenticate_finish(result))

    def connected(_source: object, result: object) -> None:
        client = ECal.Client.connect_finish(result)
        read(client)
        loop.quit()

    source.connect("credentials-required", log_in)
    ECal.Client.connect(source, ECal.ClientSourceType.EVENTS, 0, None, connected)
    GLib.timeout_add_seconds(3 * SECONDS, loop.quit)
    loop.run()


main(*sys.argv[1:])
