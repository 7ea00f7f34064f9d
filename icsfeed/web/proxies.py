"""The client's address behind trusted proxies, and the hosts by which this server may be addressed."""

from collections.abc import Collection, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address

UNKNOWN = "unknown"
IPV6_PREFIX = 64
"""Bits of the network that an IPv6 provider gives to one customer."""


# The same few proxies and clients ask all day.
@lru_cache(maxsize=1_000)
def read_address(text: str) -> Address | None:
    """Read an address as sockets and proxies write it (`::ffff:10.0.0.1`, `[::1]:80`, `10.0.0.1:80`)."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # Sockets for both families report IPv4 clients so; networks in the configuration are IPv4.
    return getattr(address, "ipv4_mapped", None) or address


def is_within(address: str, networks: Collection[str]) -> bool:
    """Return whether an IP address is in one of these networks."""
    parsed = read_address(address)
    return parsed is not None and any(parsed in ip_network(network) for network in networks)


def client_address(peer: str, forwarded: Iterable[str], proxies: Collection[str]) -> str:
    """Return the address of the client, as far as trusted proxies report it.

    `forwarded`: the values of X-Forwarded-For in their order. Each proxy appends the address it was called
    from, so the last one that is not a trusted proxy counts: anybody may have sent those before it.
    """
    address = read_address(peer)
    if address is None:
        return peer or UNKNOWN
    hops = [hop for value in forwarded for hop in value.split(",") if hop.strip()]
    for hop in reversed(hops):
        if not is_within(str(address), proxies):
            break
        before = read_address(hop)
        if before is None:
            break
        address = before
    return str(address)


def rate_limit_key(address: str) -> str:
    """Return the key by which an address is rate-limited: for IPv6 the network of one customer."""
    parsed = read_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, IPV6_PREFIX), strict=False))
    return str(parsed) if parsed else address


def host_of(header: str) -> str:
    """Return the host in a Host header, without its port, in lower case."""
    host = header.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def is_allowed_host(header: str, allowed: Collection[str]) -> bool:
    """Return whether a Host header names this server. The loopback address always does, for health checks.

    `allowed`: names, `*.example.com` for all below it; if there are none, all hosts are allowed.
    """
    if not allowed:
        return True
    host = host_of(header)
    address = read_address(host)
    # Load balancers and containers check the health of a server by its loopback address.
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(host == name or (name[:2] == "*." and host.endswith(name[1:])) for name in allowed)
