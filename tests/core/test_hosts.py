"""Host names beyond ASCII become what browsers and servers send."""

import pytest

from icsfeed.core.config import Config
from icsfeed.core.config_decode import decode
from icsfeed.core.errors import ConfigError
from icsfeed.core.hosts import ascii_address, ascii_host


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
    ],
)
def test_a_host_name_takes_the_form_that_is_sent(host: str, sent: str) -> None:
    assert ascii_host(host) == sent


@pytest.mark.parametrize(
    "host", ["xn--a.example", "a..b", "☃-.example", "ü" * 64, "a." + "b" * 64, "ä b.example"]
)
def test_a_label_that_no_host_can_have_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ascii_host(host)


def test_only_the_host_of_an_address_changes() -> None:
    assert ascii_address("https://Müller.example:8443/Für") == "https://xn--mller-kva.example:8443/Für"
    assert ascii_address("http://[::1]:80/x") == "http://[::1]:80/x"


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


def test_every_bad_label_is_a_problem_at_its_path() -> None:
    with pytest.raises(ConfigError) as refused:
        configured("mü--" + "x" * 70)
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
