"""Webhooks from Plane: whether a delivery is genuine, what it changes, and the answer before any work."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from icsfeed.cache.background import BackgroundRefresh
from icsfeed.config.schema import WorkspaceConfig
from icsfeed.plane.webhook import WebhookChange, is_signed, read
from icsfeed.web.client_address import client_of
from icsfeed.web.openapi import SIGNATURE, WEBHOOK, described
from icsfeed.web.proxies import is_within, rate_limit_key
from icsfeed.web.responses import NEVER_STORED, error_answer
from icsfeed.web.state import Deliveries

MAX_BODY_BYTES = 1024 * 1024
"""Plane sends the whole issue, and a description may be 200 KB."""

log = logging.getLogger("icsfeed.webhook")


class Webhooks:
    """Answers /webhooks/plane for the workspaces that have a `webhook_secret`."""

    def __init__(
        self,
        settings: Mapping[str, WorkspaceConfig],
        watches: Mapping[str, BackgroundRefresh],
        clock: Callable[[], datetime],
        deliveries: Deliveries,
    ) -> None:
        self._settings = {name: settings[name] for name in watches if settings[name].webhook_secret}
        self._watches = watches
        self._clock = clock
        self._deliveries = deliveries

    def answer(self, body: bytes | None, signature: str | None, address: str) -> Response[Any]:
        """Answer one delivery. A genuine one has started a refresh; the answer does not wait for it.

        `body`: None where it is too large. All deliveries count for their address, but a genuine one is
        answered with 200, whatever it says and however many there are: Plane does not repeat what was
        refused, and switches a webhook off after five refusals (version 2). A burst of changes is no attack.
        """
        allowance = self._deliveries.limiter.take(rate_limit_key(address))
        headers = allowance.headers()
        names = self._senders(body, signature, address) if body is not None else ()
        if body is not None and names:
            return self._accept(names, body, headers)
        if not allowance.granted:
            return self._refused(429, "RATE_LIMITED", "Too many deliveries from this address.", headers)
        if not self._settings:
            text = "No webhook_secret is configured: set it to the secret that Plane shows for its webhook."
            return self._refused(403, "WEBHOOK_NOT_CONFIGURED", text, headers)
        if body is None:
            return self._refused(413, "TOO_LARGE", "The body is larger than 1 MiB.", headers)
        return self._refused(401, "INVALID_SIGNATURE", "The signature does not match the body.", headers)

    def _senders(self, body: bytes, signature: str | None, address: str) -> Sequence[str]:
        """Return the workspaces whose secret signed the body, and that accept deliveries from the address.

        Several may be one workspace of Plane, read with different keys or for different projects.
        """
        senders = []
        for name, settings in self._settings.items():
            # While Plane's secret is being changed, the old one counts too.
            secrets = filter(None, (settings.webhook_secret, settings.webhook_secret_old))
            is_genuine = is_signed(body, signature, [secret.reveal() for secret in secrets])
            if is_genuine and (not settings.webhook_from or is_within(address, settings.webhook_from)):
                senders.append(name)
        return senders

    def _accept(self, names: Sequence[str], body: bytes, headers: Mapping[str, str]) -> Response[Any]:
        change = read(body)
        # The delivery id is new each time Plane tries; in the headers it is not signed either. The names: two
        # webhooks of one workspace may report the same event, each for other settings of ours.
        what = msgspec.json.encode(change, order="deterministic") if change.event_id else body
        fingerprint = sha256(repr(names).encode() + what).digest()
        if fingerprint in self._deliveries.seen:
            self._deliveries.counts["replayed"] += 1
            return _processed(None, "Seen before", headers)
        self._deliveries.seen[fingerprint] = True
        self._deliveries.counts["not_understood" if change.problem else "taken"] += 1
        for name in names:
            self._deliveries.last[name] = self._clock()
            self._watches[name].touch(change)
        return _processed(change, "Issue sync triggered", headers)

    def _refused(self, status: int, code: str, message: str, headers: Mapping[str, str]) -> Response[Any]:
        self._deliveries.counts[code.lower()] += 1
        return error_answer(status, code, message, now=self._clock(), headers=headers)


def _processed(change: WebhookChange | None, message: str, headers: Mapping[str, str]) -> Response[Any]:
    body = {
        "status": "processed",
        "message": message,
        "issue_id": change.issue if change else None,
        "action": change.action if change else None,
    }
    return Response(body, status_code=HTTPStatus.OK, headers={**NEVER_STORED, **headers})


@post(
    "/webhooks/plane",
    status_code=200,
    request_max_body_size=MAX_BODY_BYTES,
    operation_class=described(WEBHOOK, headers=SIGNATURE, body=True),
    summary="Plane's webhook",
)
async def plane_webhook(
    request: Request[Any, Any, Any], webhooks: NamedDependency[Webhooks]
) -> Response[Any]:
    """Accepts a delivery from Plane, signed in X-Plane-Signature; what it changes is read again at once."""
    address = client_of(request)
    try:
        # litestar raises while it reads, so that no large body is in memory.
        body = await request.body()
    except RequestEntityTooLarge:
        body = None
    signatures = request.headers.getall("x-plane-signature", [])
    return webhooks.answer(body, signatures[0] if len(signatures) == 1 else None, address)
