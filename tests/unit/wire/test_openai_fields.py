from __future__ import annotations

import pytest

from gateway.api import InvalidRequest
from gateway.wire.openai_errors import InvalidField
from gateway.wire.openai_fields import Route, read_route


def test_a_door_reads_model_and_stream_and_passes_over_the_rest() -> None:
    assert read_route(b'{"model":"m","x":[1,{"stream":7}],"stream":true}') == Route("m", True)
    assert read_route(b'{"model":"m"}') == Route("m", None)


def test_the_begin_of_what_is_to_be_read_is_kept_as_written() -> None:
    assert read_route(b'{"model":"m","messages":[ {"a":1}]}').begin(100) == b'[ {"a":1}]'
    assert read_route(b'{"model":"m","prompt":"abc"}').begin(3) == b'"ab'
    assert read_route(b'{"model":"m","input":"abc"}').begin(3) == b""


@pytest.mark.parametrize(
    ("body", "param"),
    [(b"{}", "model"), (b'{"model":1}', "model"), (b'{"model":"m","stream":1}', "stream")],
)
def test_a_wrong_field_is_named(body: bytes, param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        read_route(body)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"a":' * 9000, b"null"])
def test_no_json_object_is_no_request(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_route(body)
