"""Whose request it is: the address behind proxies that the configuration names, and no other's word."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

UNKNOWN = "unknown"
PREFIX = 64
"""Bits of an IPv6 address that a provider gives to one customer."""


def read_address(text: str) -> Address | None:
    """An address as a socket or a proxy writes it (`::ffff:10.0.0.1`, `[::1]:80`, `10.0.0.1:80`); or None."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_in_networks(address: Address, networks: Collection[str]) -> bool:
    """Whether an address belongs to one of these networks."""
    return any(address in ip_network(network) for network in networks)


def client_address(peer: str, forwarded: Iterable[str], proxies: Collection[str]) -> str:
    """The address of whoever asked first, as far as proxies that are trusted say so.

    `forwarded`: the values of X-Forwarded-For in their order. Each proxy adds who spoke to it at the end,
    so that the last address that is no proxy of ours counts: what stands before it anybody may have written.
    """
    address = read_address(peer)
    if address is None:
        return peer or UNKNOWN
    hops = [hop for value in forwarded for hop in value.split(",") if hop.strip()]
    for hop in reversed(hops):
        if not is_in_networks(address, proxies):
            break
        before = read_address(hop)
        if before is None:
            break
        address = before
    return str(address)


def rate_limit_key(address: str) -> str:
    """What an address is counted as where it is limited: of IPv6 the network that is one customer's."""
    found = read_address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, PREFIX), strict=False))
    return str(found) if found else address


def host_of(header: str) -> str:
    """The host in a Host header, without its port, in lower case."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def is_allowed_host(header: str, allowed: Collection[str]) -> bool:
    """Whether a Host header names this server; by its own address health checks may always ask.

    `allowed`: names; `*.example.com` for all below it; none: all are.
    """
    if not allowed:
        return True
    host = host_of(header)
    address = read_address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(host == name or (name[:2] == "*." and host.endswith(name[1:])) for name in allowed)
