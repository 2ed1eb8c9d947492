"""How long a slot is held, and how many examples a request brings."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gateway.centers.served_model import ServedModel, rows_of
from gateway.engine import ModelRepository, Service

NOMINAL, TWICE = 1.0, 2.0


@pytest.fixture
def served(shipped: ModelRepository) -> ServedModel:
    return ServedModel(shipped.get("blast-furnace"), tensor_elements_max=1000)


def test_a_nominal_center_holds_no_slot_beyond_the_run(served: ServedModel) -> None:
    assert served.hold_ms(0.5, NOMINAL, Random(1)) == 0.0
    assert served.hold_ms(0.5, TWICE, Random(1)) == 1.0


def test_a_declared_service_time_is_drawn_and_no_run_is_cut_short(served: ServedModel) -> None:
    service = Service(median_ms=4.0, sigma=0.5)
    served.model = SimpleNamespace(config=SimpleNamespace(service=service))  # type: ignore[assignment]  # a fake
    draw = Random(1)
    drawn = sorted(served.hold_ms(0.1, NOMINAL, draw) for _ in range(999))
    assert drawn[499] == pytest.approx(4.0, rel=0.1)
    assert served.hold_ms(1e6, NOMINAL, draw) == 1e6
    assert served.hold_ms(1e6, TWICE, draw) == 2e6


@pytest.mark.parametrize(("shape", "rows"), [((3, 2), 3), ((5,), 5), ((), 1)])
def test_rows_are_the_first_size_of_the_first_input(shape: Any, rows: int) -> None:
    assert rows_of({"x": np.zeros(shape), "z": np.zeros((9, 9))}) == rows


def test_no_input_is_one_example() -> None:
    assert rows_of({}) == 1


def test_reader_and_writer_are_of_the_model(served: ServedModel, body: bytes) -> None:
    model = served.model
    assert served.rows_max == model.batching.rows_max
    request = served.reader.decode(body, None)
    form = served.writer.form(request)
    assert form.names == tuple(spec.name for spec in model.metadata.outputs)
    payload, head_bytes = served.writer.encode(request, form, model.run(request.inputs, form.names))
    assert head_bytes is None
    assert payload.startswith(b'{"model_name":"blast-furnace","model_version":"1"')
