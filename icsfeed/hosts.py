"""Host names in the form that browsers and servers send: `xn--mller-kva.example` for `müller.example`."""

import re
from ipaddress import IPv6Address

import idna

_LABEL = re.compile(r"[a-z0-9_-]{1,63}|\*")
_ADDRESS = re.compile(r"(https?)://(\[[^\]]*\]|[^/?#:]+)(?::([0-9]+))?(.*)", re.DOTALL)
LONGEST = 253
_PORTS = {"http": 80, "https": 443}


def ascii_host(host: str) -> str:
    """The host name in lower case, its labels beyond ASCII converted as browsers do (UTS 46).

    A `*` as a label, a dot at the end and `_` stay. Raises Unfit.
    """
    try:
        mapped = idna.uts46_remap(host, std3_rules=False)
        name = ".".join(map(_label, mapped.removesuffix(".").split(".")))
    except UnicodeError:  # idna.IDNAError is one
        raise ValueError("the host name has a character that no host name can have") from None
    if len(name) > LONGEST:
        raise ValueError("the host name is longer than 253 characters")
    return f"{name}." if mapped.endswith(".") else name


def _label(label: str) -> str:
    if label.startswith("xn--"):
        letters = label[4:].encode("ascii").decode("punycode")
        if idna.uts46_remap(letters, std3_rules=False) != letters:
            raise UnicodeError
    name = label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}"
    if not _LABEL.fullmatch(name):
        raise ValueError(
            "a part of the host name is empty, longer than 63, or has a character that none can have"
        )
    return name


def ascii_address(address: str) -> str:
    """An http or https address that can be asked, its host as `ascii_host` has it. Raises Unfit.

    What IDNA 2008 forbids is refused: HTTP clients refuse it too.
    """
    scheme, host, port, rest = _parts(address)
    name = _host(host)
    for label in re.findall(r"xn--[^.]*", name):
        try:
            idna.ulabel(label)
        except UnicodeError:
            raise ValueError(f"{label} is no part of a host name that can be asked (RFC 5891)") from None
    return f"{scheme}://{name}{f':{port}' if port else ''}{rest}"


def ascii_origin(origin: str) -> str:
    """An origin exactly as browsers send it: IPv6 in its short form, no default port. Raises Unfit."""
    scheme, host, port, _ = _parts(origin)
    shown = "" if not port or int(port) == _PORTS[scheme] else f":{int(port)}"
    return f"{scheme}://{_host(host)}{shown}"


def _host(host: str) -> str:
    if not host.startswith("["):
        return ascii_host(host)
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        raise ValueError("what is in brackets is no IPv6 address") from None


def _parts(address: str) -> tuple[str, str, str | None, str]:
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError("it is not a web address")
    return found[1], found[2], found[3], found[4]
