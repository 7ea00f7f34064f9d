"""The names that WebDAV and CalDAV give to elements (RFC 4918, 4791, 6578), as `{namespace}name`."""

import re
from hashlib import sha256

DAV, CALDAV, APPLE = "{DAV:}", "{urn:ietf:params:xml:ns:caldav}", "{http://apple.com/ns/ical/}"
CALENDAR_SERVER = "{http://calendarserver.org/ns/}"

ETAG, TYPE, NAME = f"{DAV}getetag", f"{DAV}resourcetype", f"{DAV}displayname"
CONTENT_TYPE, DATA = f"{DAV}getcontenttype", f"{CALDAV}calendar-data"
PRINCIPAL, HOME = f"{DAV}current-user-principal", f"{CALDAV}calendar-home-set"
KINDS, COLOR = f"{CALDAV}supported-calendar-component-set", f"{APPLE}calendar-color"
COMPONENT = f"{CALDAV}comp"
COLLECTION, CALENDAR = f"{DAV}collection", f"{CALDAV}calendar"
ERROR, RESPONSE, HREF, STATUS = f"{DAV}error", f"{DAV}response", f"{DAV}href", f"{DAV}status"
MULTISTATUS, PROPSTAT, PROP = f"{DAV}multistatus", f"{DAV}propstat", f"{DAV}prop"
PROPFIND, SYNC_TOKEN = f"{DAV}propfind", f"{DAV}sync-token"
MULTIGET, QUERY = f"{CALDAV}calendar-multiget", f"{CALDAV}calendar-query"
SYNC, EXPAND = f"{DAV}sync-collection", f"{DAV}expand-property"

SAFE_IN_PATHS = "/~!$&'()*+,;=:@-._"
"""Characters not quoted in a path: unreserved characters and those that RFC 3986 allows in a segment."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")


def object_name(uid: str) -> str:
    """Return the last segment of an object's address, `plane-issue-{id}.ics`.

    Plain ASCII without `@`, which Radicale and DAViCal would quote, so that servers return it as it was sent.
    """
    local = uid.partition("@")[0]
    return f"{local if _PLAIN_NAME.fullmatch(local) else sha256(uid.encode()).hexdigest()}.ics"
