"""Whose word is believed about where a request comes from, and by what name a server may be asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeed.web.proxies import client_address, host_of, is_allowed_host, rate_limit_key, read_address

INSIDE = ("10.0.0.0/8", "127.0.0.1/32", "fd00::/8")
READER = "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        pytest.param(READER, [], READER, id="no proxy"),
        pytest.param(READER, ["198.51.100.1"], READER, id="a stranger's word"),
        pytest.param("10.0.0.1", [READER], READER, id="a proxy's word"),
        pytest.param("10.0.0.1", [f"198.51.100.1, {READER}"], READER, id="what the reader made up"),
        pytest.param("10.0.0.1", [f"{READER}, 10.0.0.2"], READER, id="two proxies"),
        pytest.param("10.0.0.1", [READER, "10.0.0.2"], READER, id="two headers"),
        pytest.param("10.0.0.1", [], "10.0.0.1", id="a proxy that says nothing"),
        pytest.param("10.0.0.1", ["10.0.0.2"], "10.0.0.2", id="only proxies"),
        pytest.param("10.0.0.1", ["unknown"], "10.0.0.1", id="no address"),
        pytest.param("10.0.0.1", ["", " , "], "10.0.0.1", id="nothing in it"),
        pytest.param("10.0.0.1", [f"{READER}:5123"], READER, id="with a port"),
        pytest.param("10.0.0.1", ["[2001:db8::1]:5123"], "2001:db8::1", id="IPv6 with a port"),
        pytest.param("::ffff:10.0.0.1", [READER], READER, id="a proxy on a socket for both families"),
        pytest.param("::ffff:203.0.113.9", [], READER, id="a reader on such a socket"),
        pytest.param("fe80::1%eth0", [], "fe80::1", id="with a zone"),
        pytest.param("", [READER], "unknown", id="no peer"),
        pytest.param("unix", [READER], "unix", id="a socket without an address"),
    ],
)
def test_only_proxies_are_believed(peer: str, forwarded: list[str], address: str) -> None:
    assert client_address(peer, forwarded, INSIDE) == address


def test_without_proxies_nobody_is_believed() -> None:
    assert client_address("10.0.0.1", [READER], ()) == "10.0.0.1"


@given(st.lists(st.text(max_size=60), max_size=4))
def test_whatever_is_forwarded_a_stranger_stays_who_it_is(forwarded: list[str]) -> None:
    assert client_address(READER, forwarded, INSIDE) == READER


@given(st.lists(st.text('0123456789abcdef.:,[]" ', max_size=60), max_size=4))
def test_whatever_a_proxy_forwards_there_is_an_address(forwarded: list[str]) -> None:
    assert read_address(client_address("10.0.0.1", forwarded, INSIDE))


@pytest.mark.parametrize(
    ("address", "key"),
    [
        (READER, READER),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", READER),
        ("unknown", "unknown"),
    ],
)
def test_one_customers_addresses_count_as_one(address: str, key: str) -> None:
    assert rate_limit_key(address) == key


@pytest.mark.parametrize(
    ("header", "host"),
    [("Cal.Example.com:443", "cal.example.com"), ("x.", "x"), ("[::1]:8765", "::1"), ("", "")],
)
def test_the_host_without_its_port(header: str, host: str) -> None:
    assert host_of(header) == host


@pytest.mark.parametrize(
    ("header", "allowed", "answered"),
    [
        ("cal.example.com", ("cal.example.com",), True),
        ("CAL.example.com.:8443", ("cal.example.com",), True),
        ("evil.example.com", ("cal.example.com",), False),
        ("cal.example.com.evil.com", ("cal.example.com",), False),
        ("a.example.com", ("*.example.com",), True),
        ("example.com", ("*.example.com",), False),
        ("evilexample.com", ("*.example.com",), False),
        ("anything", (), True),
        ("127.0.0.1:8765", ("cal.example.com",), True),
        ("[::1]:8765", ("cal.example.com",), True),
        ("localhost", ("cal.example.com",), True),
        ("localhost.evil.com", ("cal.example.com",), False),
        ("10.0.0.1", ("cal.example.com",), False),
        ("", ("cal.example.com",), False),
    ],
)
def test_a_server_answers_to_its_names(header: str, allowed: tuple[str, ...], answered: bool) -> None:
    assert is_allowed_host(header, allowed) is answered
