"""Configuration profiles of Apple's devices (.mobileconfig): a calendar subscription, or the CalDAV account.

The keys are those of Apple's device management documentation: TopLevel, CommonPayloadKeys,
SubscribedCalendars and CalDAV. docs/clients.md says what devices make of them.
"""

import plistlib
from collections.abc import Mapping
from typing import Any, TypeAlias
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from icsfeed.errors import BadParameter
from icsfeed.text import one_line
from icsfeed.web.subscribe.choices import CalDavLogin, caldav_login, link_of

CONTENT_TYPE = "application/x-apple-aspen-config"
"""By which iOS and macOS know a profile."""

NO_CHARACTERS = {0xFFFE: None, 0xFFFF: None}

Payload: TypeAlias = Mapping[str, object]


class ProfileText(Struct, frozen=True):
    """What people read of a profile: the feed's title, what the profile does, and who offers it."""

    title: str
    description: str
    organization: str


def profile_of(ics: str, user: str, asked: str | None, text: ProfileText, own: str = "") -> bytes:
    """Return the profile for the feed at this address, unsigned. Raise BadParameter.

    `user`: the subscriber whose link it is, or the feed's name. `asked`: the parameter `account`.
    `own`: the id of a link that a person has made, if it is one: two of the same feed may differ by filters.
    """
    payload = subscription(ics, text.title)
    if asked:
        if asked != "caldav":
            raise BadParameter("account", "must be caldav")
        login = caldav_login(ics, user)
        if login is None:
            raise BadParameter("account", "needs https, a link with a token, and no filter")
        payload = account(login, text.title)
    # Not the token: a new link to the same feed replaces the old one on the device.
    link = link_of(ics)
    identity = (link.server, link.file, user, link.query, asked or "", *([own] if own else []))
    return profile(payload, text, " ".join(identity))


def subscription(ics: str, title: str) -> Payload:
    """Return the payload that subscribes to this address. It is for iOS, iPadOS and visionOS."""
    return {
        # In lower case: PayloadType is compared exactly.
        "PayloadType": "com.apple.subscribedcalendar.account",
        "SubCalAccountDescription": title,
        # The whole address, whatever the key says: so it is in Apple's example.
        "SubCalAccountHostName": ics,
        "SubCalAccountUseSSL": ics.startswith("https:"),
    }


def account(login: CalDavLogin, title: str) -> Payload:
    """Return the payload that sets up this account. It is for macOS, too."""
    return {
        "PayloadType": "com.apple.caldav.account",
        "CalDAVAccountDescription": title,
        # Without a path, with which no account is added (nextcloud/server#2065).
        "CalDAVHostName": login.host,
        "CalDAVPort": login.port,
        "CalDAVPrincipalURL": login.principal,
        "CalDAVUseSSL": True,
        "CalDAVUsername": login.user,
        # Apple: only in encrypted profiles, which need the device's certificate. This one is as secret as its
        # address, which has the same token in it.
        "CalDAVPassword": login.password,
    }


def profile(payload: Payload, text: ProfileText, identity: str) -> bytes:
    """Return a profile with this payload, as XML, unsigned.

    A device replaces the profile that has the same `identity`, and adds any other.
    """
    own, inner = uuid5(NAMESPACE_URL, identity), uuid5(NAMESPACE_URL, f"{identity} payload")
    described = {
        "PayloadDisplayName": text.title,
        "PayloadDescription": text.description,
        "PayloadOrganization": text.organization,
        "PayloadVersion": 1,
    }
    whole = {
        **described,
        "PayloadType": "Configuration",
        "PayloadIdentifier": f"icsfeed.{own}",
        "PayloadUUID": str(own).upper(),
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [
            {
                **described,
                **payload,
                "PayloadIdentifier": f"icsfeed.{own}.calendar",
                "PayloadUUID": str(inner).upper(),
            }
        ],
    }
    return plistlib.dumps(_clean(whole))


def _clean(value: Any) -> Any:
    """Return the value with the texts in it on one line, without the characters that XML 1.0 forbids.

    plistlib refuses some of them, and writes the others.
    """
    if isinstance(value, str):
        return one_line(value).translate(NO_CHARACTERS)
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value
