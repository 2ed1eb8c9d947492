"""Requests and answers in MessagePack, and back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.api import CenterFailed, InvalidRequest
from gateway.wire.msgpack_infer import pack_answer, unpack_request

DOC = Path(__file__).parents[3] / "docs" / "msgpack.md"
ROW = np.arange(3, dtype=np.float32).tobytes()
INPUT = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": ROW}


def request(**more: Any) -> bytes:
    return msgspec.msgpack.encode({"inputs": [INPUT], **more})


def answer(head: dict[str, Any], tail: bytes = b"") -> dict[str, Any]:
    encoded = json.dumps({"model_name": "m", "model_version": "1", **head}).encode()
    told = msgspec.msgpack.decode(pack_answer(encoded + tail, len(encoded) if tail else None))
    assert (told.pop("model_name"), told.pop("model_version")) == ("m", "1")
    return dict(told)


def test_a_request_becomes_a_head_with_its_tensors_behind_it() -> None:
    two = {**INPUT, "name": "y", "parameters": {"a": 1}}
    body, head_bytes = unpack_request(
        msgspec.msgpack.encode(
            {
                "inputs": [INPUT, two],
                "id": "7",
                "parameters": {"timeout": 5},
                "outputs": [{"name": "z"}],
            }
        )
    )
    assert json.loads(body[:head_bytes]) == {
        "id": "7",
        "parameters": {"timeout": 5, "binary_data_output": True},
        "inputs": [
            {
                "name": "x",
                "datatype": "FP32",
                "shape": [1, 3],
                "parameters": {"binary_data_size": 12},
            },
            {
                "name": "y",
                "datatype": "FP32",
                "shape": [1, 3],
                "parameters": {"a": 1, "binary_data_size": 12},
            },
        ],
        "outputs": [{"name": "z"}],
    }
    assert body[head_bytes:] == ROW + ROW


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "truncated"),
        (b"{}", "MessagePack"),
        (msgspec.msgpack.encode({}), "inputs"),
        (request(extra=1), "unknown field `extra`"),
        (request(inputs=[{**INPUT, "data": [1.0]}]), r"\$\.inputs\[0\]\.data"),
        (request(inputs=[{**INPUT, "shape": ["1"]}]), r"\$\.inputs\[0\]\.shape"),
        (request(inputs=[{**INPUT, "dtype": "f4"}]), "unknown field `dtype`"),
        (request(parameters={"a": [1]}), r"\$\.parameters"),
        (request(inputs=[INPUT] * 257), r"length <= 256"),
        (request(outputs=[{"name": "y"}] * 257), r"length <= 256"),
        (request(inputs=[{**INPUT, "shape": [1] * 33}]), r"length <= 32"),
        (request(parameters={str(n): n for n in range(65)}), r"length <= 64"),
        (request() + b"\x00", "trailing"),
        (b"\x91" * 5000, "."),
    ],
)
def test_a_wrong_request_says_where(body: bytes, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        unpack_request(body)


def test_every_prefix_of_a_request_is_refused() -> None:
    whole = request(id="a")
    for size in range(len(whole)):
        with pytest.raises(InvalidRequest):
            unpack_request(whole[:size])


def test_an_answer_keeps_its_tensors_and_their_parameters() -> None:
    told = answer(
        {
            "id": "7",
            "outputs": [
                {**INPUT, "data": [0, 1, 2]},
                {
                    "name": "y",
                    "datatype": "INT8",
                    "shape": [2],
                    "parameters": {"binary_data_size": 2, "k": "v"},
                },
            ],
        },
        b"\x01\xff",
    )
    assert told == {
        "id": "7",
        "outputs": [
            {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": ROW},
            {
                "name": "y",
                "datatype": "INT8",
                "shape": [2],
                "data": b"\x01\xff",
                "parameters": {"k": "v"},
            },
        ],
    }


def test_texts_have_their_lengths_before_them() -> None:
    output = {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["ab", ""]}
    (told,) = answer({"outputs": [output]})["outputs"]
    assert told["data"] == b"\x02\x00\x00\x00ab\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("head", "tail"),
    [
        ({"outputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}, b""),
        ({"outputs": [{"name": "x", "datatype": "FP99", "shape": [1], "data": [1]}]}, b""),
        ({"outputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}]}, b""),
        ({"outputs": []}, b"left over"),
        ({"outputs": 5}, b""),
    ],
    ids=["no data", "no such type", "too few", "bytes of nothing", "no list"],
)
def test_what_is_no_answer_is_the_centers_failure(head: dict[str, Any], tail: bytes) -> None:
    with pytest.raises(CenterFailed):
        answer(head, tail)


def test_the_bytes_in_the_docs_are_what_is_read_and_written() -> None:
    text = DOC.read_text("utf-8")
    vectors = [bytes.fromhex(block) for block in re.findall(r"```hex\n(.*?)```", text, re.S)]
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.S)]
    request, tail, told = vectors
    head, answered = shown
    body, head_bytes = unpack_request(request)
    assert json.loads(body[:head_bytes]) == head
    assert body[head_bytes:] == tail
    assert pack_answer(json.dumps(answered).encode(), None) == told
