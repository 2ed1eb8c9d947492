import pytest

from gateway.api import ConfigError
from gateway.measure.endpoint import Endpoint


@pytest.mark.parametrize(
    ("url", "authority", "whole"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("localhost:8000", "localhost:8000", "http://localhost:8000"),
        ("https://example.org/serving/", "example.org:443", "https://example.org:443/serving"),
        ("http://[::1]:9000", "[::1]:9000", "http://[::1]:9000"),
    ],
)
def test_addresses_as_people_write_them(url, authority, whole):
    endpoint = Endpoint.parse(url)
    assert endpoint.authority == authority
    assert endpoint.url == whole


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:notaport", "http://x:99999"])
def test_what_is_no_http_address_is_refused_with_what_was_found(url):
    with pytest.raises(ConfigError, match=r"an endpoint is http://host:port"):
        Endpoint.parse(url)
