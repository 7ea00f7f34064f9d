"""A bare ASGI app that sends one body, on the uvicorn settings of `icsfeed serve`: the baseline of hot.py."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from icsfeed.server.listening import open_listener
from icsfeed.server.process import new_event_loop, serve_app


def bare_app(folder: Path) -> Any:
    """Return the app that sends the body and the headers that are in the folder."""
    body = folder.joinpath("body").read_bytes()
    sent = json.loads(folder.joinpath("headers").read_text())
    headers = [(name.lower().encode(), value.encode()) for name, value in sent.items()]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def main() -> None:
    port, app = int(sys.argv[1]), bare_app(Path(sys.argv[2]))

    async def ready(_url: str) -> None:
        return

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(serve_app(app, open_listener("127.0.0.1", port), ready))


if __name__ == "__main__":
    main()
