"""The small bodies are what the protocol says."""

from __future__ import annotations

import json

from gateway.api import ModelMetadata, TensorSpec
from gateway.wire import (
    error_json,
    model_metadata_json,
    repository_index_json,
    server_metadata_json,
    statistics_json,
)


def test_server_metadata() -> None:
    assert json.loads(server_metadata_json("nearway", "1.2", ["statistics"])) == {
        "name": "nearway",
        "version": "1.2",
        "extensions": ["statistics"],
    }


def test_model_metadata() -> None:
    metadata = ModelMetadata(
        "m",
        ("1", "2"),
        "onnxruntime_onnx",
        (TensorSpec("x", "FP32", (-1, 3)),),
        (TensorSpec("y", "BYTES", ()),),
    )
    assert json.loads(model_metadata_json(metadata)) == {
        "name": "m",
        "versions": ["1", "2"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": []}],
    }


def test_error_of_any_text() -> None:
    assert json.loads(error_json('say "no"\n冷')) == {"error": 'say "no"\n冷'}
    assert json.loads(error_json("lone \ud800")) == {"error": "lone ?"}


def test_repository_index() -> None:
    rows = [("a", "1", "READY", ""), ("b", "2", "UNAVAILABLE", "unloaded")]
    assert json.loads(repository_index_json(rows)) == [
        {"name": "a", "version": "1", "state": "READY", "reason": ""},
        {"name": "b", "version": "2", "state": "UNAVAILABLE", "reason": "unloaded"},
    ]


def test_statistics() -> None:
    assert json.loads(statistics_json([{"name": "a", "x": {"count": 1}}])) == {
        "model_stats": [{"name": "a", "x": {"count": 1}}]
    }
