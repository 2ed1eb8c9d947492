"""Addresses for frames: what is accepted, what is refused, and how they are written again."""

from __future__ import annotations

import pytest

from gateway.api import ConfigError
from gateway.config.framed_url import FramedAddress, is_framed, parse_framed


@pytest.mark.parametrize(
    ("url", "address", "again"),
    [
        ("nearway://10.0.0.7:9000", FramedAddress(host="10.0.0.7", port=9000), None),
        ("nearway://center.local:1", FramedAddress(host="center.local", port=1), None),
        ("nearway://[::1]:9000", FramedAddress(host="::1", port=9000), None),
        ("nearway+unix:/run/c.sock", FramedAddress(path="/run/c.sock"), None),
        (
            "nearway+unix:///run/c.sock",
            FramedAddress(path="/run/c.sock"),
            "nearway+unix:/run/c.sock",
        ),
    ],
)
def test_good_ones(url: str, address: FramedAddress, again: str | None) -> None:
    assert is_framed(url)
    assert parse_framed(url) == address
    assert str(address) == (again or url)
    assert parse_framed(str(address)) == address


@pytest.mark.parametrize(
    "url",
    [
        "nearway://host",
        "nearway://:9000",
        "nearway://host:0",
        "nearway://host:70000",
        "nearway://host:9000/path",
        "nearway://user@host:9000",
        "nearway://host:9000?x=1",
        "nearway://ho st:9000",
        "nearway+unix:relative.sock",
        "nearway+unix:",
        "nearway+unix:/run/",
        "nearway+unix:/" + "x" * 200,
        "http://host:9000",
    ],
)
def test_bad_ones_are_refused_with_what_is_expected(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_framed(url)
    assert "nearway" in str(caught.value) or "at most 107 bytes" in str(caught.value)


def test_other_schemes_are_not_ours() -> None:
    assert not is_framed("http://host:1")
    assert not is_framed("nearwayish://host:1")
