"""The configuration is JSON and says what tritonclient and Triton's message know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.engine import Batching, triton_config
from gateway.engine.loaded_model import load_model


def config_of(folder: Path) -> dict[str, Any]:
    model = load_model(folder, "1", ("1",), tensor_elements_max=1000)
    read: dict[str, Any] = json.loads(json.dumps(triton_config(model)))
    return read


def test_a_batching_model(workshop: Any) -> None:
    text = 'description = "d"\nlatency_class = "C"\nmax_batch_size = 8\n[labels]\ny = "l.txt"'
    folder = workshop.write("m", workshop.identity(), config=text, l="a\nb\nc")
    config = config_of(folder)
    assert config["name"] == "m"
    assert config["platform"] == "onnxruntime_onnx"
    assert config["backend"] == "onnxruntime"
    assert config["max_batch_size"] == 8
    [x], [y] = config["input"], config["output"]
    assert (x["name"], x["data_type"], x["dims"]) == ("x", "TYPE_FP32", [3])
    assert (y["name"], y["dims"], y["label_filename"]) == ("y", [3], "l.txt")
    assert config["default_model_filename"] == "model.onnx"
    assert config["parameters"]["latency_class"] == {"string_value": "C"}


def test_a_model_without_a_batch_keeps_all_dims(workshop: Any) -> None:
    config = config_of(workshop.write("m", workshop.identity("BYTES", ["n", 2])))
    assert config["max_batch_size"] == 0
    assert config["input"][0]["dims"] == [-1, 2]
    assert config["input"][0]["data_type"] == "TYPE_STRING"
    assert config["output"][0]["label_filename"] == ""


def test_a_model_whose_requests_share_runs_says_so_and_waits_for_nobody(workshop: Any) -> None:
    folder = workshop.write("m", workshop.identity(), config="max_batch_size = 4")
    model = load_model(folder, "1", ("1",), tensor_elements_max=1000)
    model.batching = Batching(4, 3.0)
    assert triton_config(model)["dynamic_batching"] == {
        "preferred_batch_size": [4],
        "max_queue_delay_microseconds": 0,
    }
    model.batching = Batching()
    assert "dynamic_batching" not in triton_config(model)


def test_the_version_policy_is_the_one_of_the_config(workshop: Any) -> None:
    def policy(text: str) -> dict[str, Any]:
        said = config_of(workshop.write("m", workshop.identity(), config=text))["version_policy"]
        assert isinstance(said, dict)
        return said

    assert policy("") == {"all": {}}
    assert policy("[versions]\nlatest = 2") == {"latest": {"num_versions": 2}}
    assert policy("[versions]\nonly = [1]") == {"specific": {"versions": [1]}}
