"""Parameters are typed; limits are found in a body that is not read otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.api import InvalidRequest, Unsupported
from gateway.wire import find_limits
from gateway.wire.parameters import boolean_parameter, count_parameter, refuse_shared_memory

INPUTS = [{"name": "x", "shape": [2], "datatype": "FP32", "data": [1, 2]}]


def head(**parameters: Any) -> bytes:
    return json.dumps({"inputs": INPUTS, "parameters": parameters}).encode()


def test_limits_are_found_wherever_parameters_stand() -> None:
    assert find_limits(head(timeout=5000, priority=2)) == (5000, 2)
    assert find_limits(head(timeout=2**63 - 1)) == (2**63 - 1, None)
    assert find_limits(head(priority=1, other="x")) == (None, 1)
    assert find_limits(b'{"parameters":{"timeout":7},"inputs":[]}') == (7, None)


def test_zero_means_the_default() -> None:
    assert find_limits(head(timeout=0, priority=0)) == (None, None)


def test_words_that_are_no_parameters_change_nothing() -> None:
    assert find_limits(head()) == (None, None)
    assert find_limits(b'{"inputs":[{"data":["timeout","priority"]}]}') == (None, None)
    assert find_limits(b'{"timeout":5,"parameters":null}') == (None, None)
    assert find_limits(b"not JSON at all") == (None, None)


@pytest.mark.parametrize("name", ["timeout", "priority"])
@pytest.mark.parametrize("value", [-1, 1.5, 1.0, "5", True, [], {}, 2**63])
def test_a_wrong_limit_is_named(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=rf"parameters\.{name} is .*integer"):
        find_limits(head(**{name: value}))


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b'{"parameters":["timeout"]}', "parameters: Expected `object"),
        (b'{"parameters":{"timeout":}}', "malformed"),
        (b'{"timeout" ' + b"[" * 100_000, "body"),
        (b'{"parameters":{"\xff":1,"timeout":"\xff"}}', "body"),
    ],
)
def test_a_body_with_limits_that_cannot_be_read(body: bytes, what: str) -> None:
    with pytest.raises(InvalidRequest, match=what):
        find_limits(body)


def test_typed_access() -> None:
    given: dict[str, Any] = {"yes": True, "no": False, "three": 3, "text": "x", "half": 0.5}
    assert boolean_parameter("f", given, "yes") is True
    assert boolean_parameter("f", given, "no") is False
    assert boolean_parameter("f", given, "absent") is None
    assert count_parameter("f", given, "three") == 3
    assert count_parameter("f", given, "absent") is None
    for name in ("three", "text"):
        with pytest.raises(InvalidRequest, match=rf"^f: parameter {name}.*true or false"):
            boolean_parameter("f", given, name)
    for name in ("yes", "text", "half"):
        with pytest.raises(InvalidRequest, match=rf"^f: parameter {name}.*integer"):
            count_parameter("f", given, name)
    with pytest.raises(InvalidRequest, match="is -1"):
        count_parameter("f", {"n": -1}, "n")


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidRequest) as caught:
        count_parameter("f", {"n": "x" * 10_000}, "n")
    assert len(str(caught.value)) < 150


def test_shared_memory_is_not_offered() -> None:
    refuse_shared_memory("f", {"other": 1})
    with pytest.raises(Unsupported, match=r"^f: parameter shared_memory_region"):
        refuse_shared_memory("f", {"shared_memory_region": "r"})
