"""A writer's answers are, byte for byte, those of ``encode_response``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.api import (
    InferRequest,
    InvalidRequest,
    ModelMetadata,
    NdArray,
    OutputRequest,
    TensorSpec,
)
from gateway.wire import ResponseWriter, encode_response
from gateway.wire.response_writer import FORMS_KEPT, SHAPES_KEPT

MODEL = ModelMetadata(
    'a "model"',
    ("3",),
    "p",
    (TensorSpec("x", "FP32", (-1,)),),
    (
        TensorSpec('y"é', "FP32", (-1, 2)),
        TensorSpec("n", "INT64", (-1,)),
        TensorSpec("flag", "BOOL", (-1,)),
    ),
)
TEXT = ModelMetadata("t", ("1",), "p", MODEL.inputs, (TensorSpec("s", "BYTES", (-1,)),))
LABELS = {'y"é': ("hot", "cold")}


def arrays(rows: int = 1) -> dict[str, NdArray]:
    return {
        'y"é': np.arange(2 * rows, dtype=np.float32).reshape(rows, 2) / 3,
        "n": np.arange(rows) - 2**53,
        "flag": np.arange(rows) % 2 == 0,
    }


def assert_same(writer: ResponseWriter, request: InferRequest, given: dict[str, NdArray]) -> bytes:
    """Twice, because a writer remembers."""
    form = writer.form(request)
    expected = encode_response(MODEL.name, "3", request, given, MODEL, LABELS)
    for _ in range(2):
        assert writer.encode(request, form, [given[name] for name in form.names]) == expected
    return expected[0]


@pytest.fixture
def writer() -> ResponseWriter:
    return ResponseWriter("3", MODEL, LABELS)


ASKS: list[tuple[OutputRequest, ...]] = [
    (),
    (OutputRequest("n"),),
    (OutputRequest("flag"), OutputRequest("n")),
    (OutputRequest('y"é', binary=True),),
    (OutputRequest("n", binary=True), OutputRequest("flag", binary=True)),
    (OutputRequest("n", binary=True), OutputRequest("flag")),
    (OutputRequest('y"é', classification=1), OutputRequest("n")),
    (OutputRequest('y"é', binary=True, classification=2),),
]


@pytest.mark.parametrize("asks", ASKS)
@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("request_id", ["", 'id "7"'])
def test_every_form(writer: ResponseWriter, asks: Any, binary: bool, request_id: str) -> None:
    for rows in (1, 3, 1):
        request = InferRequest({}, asks, request_id, binary)
        assert_same(writer, request, arrays(rows))


def test_names_are_in_the_order_asked_for(writer: ResponseWriter) -> None:
    assert writer.form(InferRequest({})).names == ('y"é', "n", "flag")
    asks = (OutputRequest("flag"), OutputRequest("n"))
    assert writer.form(InferRequest({}, asks)).names == ("flag", "n")


def test_who_asks_the_same_has_the_same_form(writer: ResponseWriter) -> None:
    asks = (OutputRequest("flag"),)
    again = (OutputRequest("flag"),)
    assert writer.form(InferRequest({}, asks)) is writer.form(InferRequest({}, again))
    assert writer.form(InferRequest({})) is not writer.form(InferRequest({}, binary_default=True))


def test_a_row_of_a_batch_is_written_as_it_would_be_alone(writer: ResponseWriter) -> None:
    batch, alone = arrays(4), arrays(1)
    request = InferRequest({})
    form = writer.form(request)
    first = [batch[name][0:1] for name in form.names]
    assert writer.encode(request, form, first)[0] == assert_same(
        writer, request, {name: array[0:1] for name, array in batch.items()}
    )
    assert alone["n"].tolist() == batch["n"][0:1].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_json_cannot_say_is_refused(writer: ResponseWriter, value: float) -> None:
    given = arrays()
    given['y"é'][0, 1] = value
    request = InferRequest({})
    form = writer.form(request)
    with pytest.raises(InvalidRequest, match="NaN or an infinity"):
        writer.encode(request, form, [given[name] for name in form.names])
    assert_same(writer, InferRequest({}, binary_default=True), given)


def test_binary_strings_of_one_shape_have_heads_of_their_own() -> None:
    writer = ResponseWriter("1", TEXT, {})
    request = InferRequest({}, binary_default=True)
    for word in (b"a", b"longer", b""):
        given = {"s": np.array([word], np.object_)}
        expected = encode_response("t", "1", request, given, TEXT, {})
        assert writer.encode(request, writer.form(request), [given["s"]]) == expected


def test_what_is_remembered_is_bounded(writer: ResponseWriter) -> None:
    request = InferRequest({}, (OutputRequest("n"),))
    binary = InferRequest({}, (OutputRequest("n", binary=True),))
    for rows in range(1, SHAPES_KEPT * 2):
        assert_same(writer, request, arrays(rows))
        assert_same(writer, binary, arrays(rows))
        assert len(writer.form(request)._openings[0]) <= SHAPES_KEPT
        assert len(writer.form(binary)._heads) <= SHAPES_KEPT
    for classes in range(FORMS_KEPT * 2):
        writer.form(InferRequest({}, (OutputRequest("n", classification=classes),)))
        assert len(writer._forms) <= FORMS_KEPT


PLAIN = ModelMetadata(
    "m",
    ("1",),
    "p",
    MODEL.inputs,
    (TensorSpec("y", "FP32", (-1, 2)), TensorSpec("n", "INT64", (-1,))),
)


@pytest.mark.parametrize("rows", [1, 3])
def test_answers_of_a_joined_run_are_those_of_each(rows: int) -> None:
    writer = ResponseWriter("1", PLAIN, {})
    request = InferRequest({}, (), binary_default=True)
    form = writer.form(request)
    together = [np.random.default_rng(1).random((4 * rows, 2), np.float32), np.arange(4 * rows)]
    each = [[array[at * rows : at * rows + rows] for array in together] for at in range(4)]
    assert writer.encode_parts(form, together, [rows] * 4) is None  # the head is not known yet
    expected = [writer.encode(request, form, arrays) for arrays in each]
    assert writer.encode_parts(form, together, [rows] * 4) == expected
    assert writer.encode_parts(form, together, [rows, 2 * rows, rows]) is None


def test_json_answers_and_strings_are_not_sliced() -> None:
    writer = ResponseWriter("1", PLAIN, {})
    form = writer.form(InferRequest({}))
    assert writer.encode_parts(form, [np.zeros((2, 2), np.float32), np.zeros(2)], [1, 1]) is None
    words = ResponseWriter("1", TEXT, {})
    request = InferRequest({}, (), binary_default=True)
    texts = np.array([b"a", b"long"], np.object_)
    words.encode(request, words.form(request), [texts[:1]])
    assert words.encode_parts(words.form(request), [texts], [1, 1]) is None
