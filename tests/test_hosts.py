"""Host names beyond ASCII become what browsers and servers send."""

import pytest

from icsfeed.config.decode import decode
from icsfeed.config.schema import Config
from icsfeed.errors import ConfigError, InvalidValue
from icsfeed.hosts import ascii_address, ascii_host, ascii_origin


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("müller.example", "xn--mller-kva.example"),
        ("MÜLLER.Example", "xn--mller-kva.example"),
        ("mu\u0308ller.example", "xn--mller-kva.example"),
        ("faß.example", "xn--fa-hia.example"),
        ("日本語.jp", "xn--wgv71a119e.jp"),
        ("日本語。jp", "xn--wgv71a119e.jp"),
        ("xn--mller-kva.example", "xn--mller-kva.example"),
        ("*.müller.example", "*.xn--mller-kva.example"),
        ("web_1.Intern", "web_1.intern"),
        ("10.0.0.1", "10.0.0.1"),
        ("Müller.example.", "xn--mller-kva.example."),
        ("☕.example", "xn--53h.example"),
        ("xn--53h.example", "xn--53h.example"),
    ],
)
def test_a_host_name_takes_the_form_that_is_sent(host: str, sent: str) -> None:
    assert ascii_host(host) == sent


@pytest.mark.parametrize(
    "host",
    [
        "xn--a.example",
        "xn--\u00fc",
        "xn--zzzzzzzz99999.x",
        f"xn--{'Ü'.encode('punycode').decode()}.example",
        "a..b",
        ".",
        "",
        "*a",
        "ü" * 64,
        "a." + "b" * 64,
        ".".join("c" * 50 for _ in range(6)),
        "ä b.example",
    ],
)
def test_a_label_that_is_not_allowed_is_refused(host: str) -> None:
    with pytest.raises(InvalidValue, match="host name"):
        ascii_host(host)


def test_only_the_host_of_an_address_changes() -> None:
    assert ascii_address("https://Müller.example:8443/Für") == "https://xn--mller-kva.example:8443/Für"
    assert ascii_address("http://[0:0::1]:80/x") == "http://[::1]:80/x"
    assert ascii_address("HTTPS://Müller.example/") == "https://xn--mller-kva.example/"


@pytest.mark.parametrize("host", ["☕.example", "xn--53h.example", "plane.☕.example"])
def test_an_address_that_http_clients_refuse_is_refused(host: str) -> None:
    with pytest.raises(InvalidValue, match=r"xn--53h is not a label"):
        ascii_address(f"https://{host}/")


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://intranet.example:443", "https://intranet.example"),
        ("http://Intranet.example:080", "http://intranet.example"),
        ("http://intranet.example:443", "http://intranet.example:443"),
        ("http://[0:0::1]:80", "http://[::1]"),
        ("https://[FE80::0a]:8443", "https://[fe80::a]:8443"),
        ("https://☕.example", "https://xn--53h.example"),
    ],
)
def test_an_origin_takes_the_form_that_browsers_send(written: str, sent: str) -> None:
    assert ascii_origin(written) == sent


@pytest.mark.parametrize("origin", ["http://[1::2::3]", "http://[10.0.0.1]", "ftp://x"])
def test_a_text_that_is_not_an_origin_is_refused(origin: str) -> None:
    with pytest.raises(InvalidValue, match="address"):
        ascii_origin(origin)


def configured(host: str) -> Config:
    workspace = {"url": f"https://plane.{host}", "api_key": "k", "web_url": f"https://web.{host}/"}
    data = {
        "public_url": f"https://cal.{host}/",
        "secret": "s" * 32,
        "workspaces": {"acme": workspace},
        "feeds": {"all": {"everything": True}},
        "push": {"t": {"feed": "all", "url": f"https://dav.{host}/x/", "token": "t"}},
        "cors": [f"https://intranet.{host}"],
        "embed": {"frame_ancestors": [f"https://wiki.{host}:8443"]},
        "allowed_hosts": [f"cal.{host}", f"*.{host}"],
    }
    return decode(data, "test")


def test_every_host_of_the_configuration_is_converted() -> None:
    assert configured("müller.example") == configured("xn--mller-kva.example")
    assert configured("müller.example.").allowed_hosts == configured("müller.example").allowed_hosts


def test_every_bad_label_is_a_problem_at_its_path() -> None:
    with pytest.raises(ConfigError) as refused:
        configured("mü--" + "x" * 70)
    assert all("longer than 63" in str(problem) for problem in refused.value.problems)
    assert [problem.path for problem in refused.value.problems] == [
        "public_url",
        "workspaces.acme.url",
        "workspaces.acme.web_url",
        "push.t.url",
        "cors[0]",
        "embed.frame_ancestors[0]",
        "allowed_hosts[0]",
        "allowed_hosts[1]",
    ]
