"""Host names in the form that browsers and servers send: `xn--mller-kva.example` for `müller.example`."""

import re

import idna


def ascii_host(host: str) -> str:
    """The host name in lower case, its labels beyond ASCII converted (IDNA 2008, UTS 46).

    A `*` as the first label stays. Labels of ASCII letters, digits, `-` and `_` are taken as they are, as
    resolvers do. Raises ValueError for a label that no host can have.
    """
    try:
        mapped = idna.uts46_remap(host, std3_rules=False)
        return ".".join(_label(label) for label in mapped.split("."))
    except UnicodeError as error:  # idna.IDNAError is one
        raise ValueError(str(error)) from None


def _label(label: str) -> str:
    if label == "*" or (re.fullmatch("[a-z0-9_-]{1,63}", label) and not label.startswith("xn--")):
        return label
    return idna.alabel(label).decode("ascii")


def ascii_address(address: str) -> str:
    """An http or https address with its host as `ascii_host` has it. Raises ValueError."""
    found = re.fullmatch(r"(https?://)([^/?#:\[\]]+)(.*)", address, re.DOTALL)
    return f"{found[1]}{ascii_host(found[2])}{found[3]}" if found else address
