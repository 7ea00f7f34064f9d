"""Host names in the form that browsers and servers send: `xn--mller-kva.example` for `müller.example`.

The functions raise InvalidValue, whose text ends "must be a host name: ".
"""

import re
from ipaddress import IPv6Address

import idna

from icsfeed.errors import InvalidValue

MAX_HOST_LENGTH = 253
_LABEL = re.compile(r"[a-z0-9_-]{1,63}|\*")
_ADDRESS = re.compile(r"(https?)://(\[[^\]]*\]|[^/?#:]+)(?::([0-9]+))?(.*)", re.DOTALL | re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def ascii_host(host: str) -> str:
    """Return the host name in lower case, its labels beyond ASCII converted as browsers do (UTS 46).

    A `*` as a label, `_` and a dot at the end stay. Raises InvalidValue.
    """
    labels = []
    try:
        mapped = idna.uts46_remap(host, std3_rules=False)
        for label in mapped.removesuffix(".").split("."):
            if label.startswith("xn--"):
                letters = label[4:].encode("ascii").decode("punycode")
                if idna.uts46_remap(letters, std3_rules=False) != letters:
                    raise UnicodeError
            labels.append(label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}")
    except UnicodeError:  # idna.IDNAError is one
        raise InvalidValue("the host name has a character that is not allowed in one") from None
    if not all(map(_LABEL.fullmatch, labels)):
        raise InvalidValue(
            "a label of the host name is empty, longer than 63, or has a character not allowed"
        )
    name = ".".join(labels)
    if len(name) > MAX_HOST_LENGTH:
        raise InvalidValue("the host name is longer than 253 characters")
    return f"{name}." if mapped.endswith(".") else name


def ascii_address(address: str) -> str:
    """Return an http or https address with its host as `ascii_host` gives it. Raises InvalidValue.

    What IDNA 2008 forbids (emoji) is refused here: HTTP clients refuse it too.
    """
    scheme, host, port, rest = _split(address)
    for label in re.findall(r"xn--[^.]*", host):
        try:
            idna.ulabel(label)
        except UnicodeError:
            raise InvalidValue(f"{label} is not a label that HTTP clients accept (RFC 5891)") from None
    return f"{scheme}://{host}{f':{port}' if port else ''}{rest}"


def ascii_origin(origin: str) -> str:
    """Return an origin exactly as browsers send it: IPv6 in its short form, no default port.

    Raises InvalidValue.
    """
    scheme, host, port, _ = _split(origin)
    shown = "" if not port or int(port) == _PORTS[scheme] else f":{int(port)}"
    return f"{scheme}://{host}{shown}"


def _split(address: str) -> tuple[str, str, str | None, str]:
    """Return scheme, converted host, port and the rest of a web address. Raises InvalidValue."""
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InvalidValue("it is not a web address")
    scheme, host, port, rest = match[1].lower(), match[2], match[3], match[4]
    if not host.startswith("["):
        return scheme, ascii_host(host), port, rest
    try:
        return scheme, f"[{IPv6Address(host[1:-1])}]", port, rest
    except ValueError:
        raise InvalidValue("what is in brackets is not an IPv6 address") from None
