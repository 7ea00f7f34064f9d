"""The profile of a feed over HTTP: its words, its signature, its headers."""

import asyncio
import logging
from urllib.parse import urlsplit

from litestar import Response

from icsfeed.config.schema import ProfileSigning
from icsfeed.l10n.localization import Localization
from icsfeed.signing import load_signer
from icsfeed.web.responses import NEVER_STORED
from icsfeed.web.subscribe.choices import PROFILE_SUFFIX
from icsfeed.web.subscribe.profile import CONTENT_TYPE, ProfileText

HEADERS = {**NEVER_STORED, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}

log = logging.getLogger("icsfeed.web")


def profile_text(l10n: Localization, title: str, address: str) -> ProfileText:
    """Return the words of a profile for a feed at this address."""
    host = urlsplit(address).hostname or "icsfeed"
    return ProfileText(title, l10n.say("profile text", title=title, host=host), host)


async def profile_answer(body: bytes, name: str, signing: ProfileSigning | None) -> Response[bytes]:
    """Return a profile to save as `{name}.mobileconfig`, signed where a certificate is configured."""
    if signing is not None:
        body = await asyncio.to_thread(signed, body, signing)
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="{name}{PROFILE_SUFFIX}"'}
    return Response(body, headers=headers, media_type=CONTENT_TYPE)


def signed(body: bytes, signing: ProfileSigning) -> bytes:
    """Return the profile signed; as it is where that fails, with an error in the log.

    The files are read each time, so that a renewed certificate is used at once. They were good when the
    configuration was loaded; devices say of an unsigned profile that it is not signed, and install it.
    """
    try:
        return load_signer(signing.certificate_file, signing.key_file).sign(body)
    except ValueError as error:
        log.error("profile_signing: %s; profiles are not signed", error)
        return body
