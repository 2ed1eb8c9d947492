"""What is written by hand is what protobuf would write."""

import pytest

from gateway.serving.grpc_door.messages import ModelInferResponse
from gateway.serving.grpc_door.protobuf_bytes import opening, varint


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, b"\x00"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")],
)
def test_a_varint_has_seven_bits_a_byte_the_lowest_first(value: int, told: bytes) -> None:
    assert varint(value) == told


@pytest.mark.parametrize("size", [0, 1, 127, 128, 20_000, 3_000_000])
def test_a_field_is_as_protobuf_has_it(size: int) -> None:
    payload = b"a" * size
    number = ModelInferResponse.DESCRIPTOR.fields_by_name["raw_output_contents"].number
    theirs = ModelInferResponse(raw_output_contents=[payload]).SerializeToString()
    assert opening(number, size) + payload == theirs
