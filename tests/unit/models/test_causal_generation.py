"""The graph of the causal models under the reference loop: rows are alone, however they are run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnxruntime
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "models" / "gateway_models"
CLOSE = {"rtol": 1e-4, "atol": 1e-4}
IDS = [3, 300, 280, 2, 4, 290, 310, 280, 400, 401, 2, 5, 500, 270]

Modules = Callable[[str], ModuleType]


@pytest.fixture(params=["industry-chat"])
def session(request: pytest.FixtureRequest) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(FOLDER / request.param / "1" / "model.onnx", options)


@pytest.fixture
def generation(training_module: Modules) -> Any:
    return training_module("causal_generation")


@pytest.fixture
def logits_of(session: Any, generation: Any) -> Callable[[list[int]], np.ndarray]:
    """What follows some tokens, read at once by a row alone."""

    def read(ids: list[int]) -> np.ndarray:
        return np.asarray(generation.Continuation(session, 1).read([ids])[0])

    return read


def test_step_by_step_is_as_at_once(session: Any, generation: Any, logits_of: Any) -> None:
    continuation = generation.Continuation(session, 1)
    for at, token in enumerate(IDS):
        logits = continuation.read([[token]])
        np.testing.assert_allclose(logits[0], logits_of(IDS[: at + 1]), **CLOSE)
    assert continuation.past_length.tolist() == [len(IDS)]


def test_rows_that_start_and_rows_that_go_on_share_a_run(
    session: Any, generation: Any, logits_of: Any
) -> None:
    continuation = generation.Continuation(session, 3)
    continuation.read([IDS[:9], IDS[:1], IDS[2:5]])
    logits = continuation.read([IDS[9:10], IDS[1:6], IDS[5:7]])
    for row, ids in zip(logits, (IDS[:10], IDS[:6], IDS[2:7]), strict=True):
        np.testing.assert_allclose(row, logits_of(ids), **CLOSE)
    continuation.keep([2, 0])
    logits = continuation.read([[IDS[7]], [IDS[10]]])
    for row, ids in zip(logits, (IDS[2:8], IDS[:11]), strict=True):
        np.testing.assert_allclose(row, logits_of(ids), **CLOSE)


def test_what_is_in_the_padding_changes_nothing(session: Any) -> None:
    past_key = next(tensor for tensor in session.get_inputs() if tensor.name == "past_key")
    layers, head = past_key.shape[1], past_key.shape[3]
    draw = np.random.default_rng(1)
    past = draw.normal(size=(2, 1, layers, 5, head)).astype(np.float32)
    feeds = {
        "input_ids": np.array([IDS[:3]]),
        "length": np.array([3]),
        "before": np.array([[290, 3]]),
        "past_length": np.array([5]),
        "past_key": past[0],
        "past_value": past[1],
    }
    wanted = session.run(None, feeds)
    room = np.full((2, 1, layers, 40, head), 1e3, np.float32)
    room[:, :, :, :5] = past
    padded = {**feeds, "past_key": room[0], "past_value": room[1]}
    padded["input_ids"] = np.array([[*IDS[:3], 7, 8]])
    logits, key, value = session.run(None, padded)
    np.testing.assert_allclose(logits, wanted[0], **CLOSE)
    np.testing.assert_allclose(key[:, :, :3], wanted[1], **CLOSE)
    np.testing.assert_allclose(value[:, :, :3], wanted[2], **CLOSE)


def test_the_cache_grows_as_it_must(session: Any, generation: Any, logits_of: Any) -> None:
    continuation = generation.Continuation(session, 1)
    long = IDS * 10
    continuation.read([long[:60]])
    for token in long[60:70]:
        logits = continuation.read([[token]])
    np.testing.assert_allclose(logits[0], logits_of(long[:70]), **CLOSE)
    logits = continuation.read([long[70:]])
    np.testing.assert_allclose(logits[0], logits_of(long), **CLOSE)


class Counting:
    """A session whose likeliest token is one more than the last, up to 9, then the end 0."""

    def get_inputs(self) -> list[Any]:
        shape = ["batch", 1, "past", 2]
        return [type("Tensor", (), {"name": "past_key", "shape": shape})()]

    def run(self, _: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        ids, length = feeds["input_ids"], feeds["length"]
        last = ids[np.arange(len(ids)), length - 1]
        logits = np.eye(10, dtype=np.float32)[(last + 1) % 10] * 50
        new = np.zeros((len(ids), 1, ids.shape[1], 2), np.float32)
        return [logits, new, new]


def test_the_two_tokens_before_count(session: Any, generation: Any) -> None:
    def follows(first: int) -> np.ndarray:
        continuation = generation.Continuation(session, 1)
        continuation.read([[first, 300, 280]])
        forgotten = generation.Continuation(session, 1)
        forgotten._before = continuation._before
        return np.asarray(forgotten.read([[2]]))

    assert np.array_equal(follows(3), follows(4))
    continuation = generation.Continuation(session, 1)
    alone = continuation.read([[2]])
    assert np.abs(follows(3) - alone).max() > 1e-2


def test_rows_end_each_on_their_own(generation: Any) -> None:
    told = generation.continue_greedily(Counting(), [[3, 7], [9], [1, 2, 5]], 0, 3)
    assert told == [[8, 9], [], [6, 7, 8]]


def test_a_low_temperature_draws_the_likeliest(generation: Any) -> None:
    draw = np.random.default_rng(3)
    told = generation.continue_randomly(Counting(), [[3], [8]], 0, 4, temperature=0.5, draw=draw)
    assert told == [[4, 5, 6, 7], [9]]
    drawn = generation.continue_randomly(Counting(), [[3]] * 8, 0, 4, temperature=1e4, draw=draw)
    assert len({tuple(row) for row in drawn}) > 1
