"""A model answers bit for bit as onnxruntime does, from either wire format, and blames rightly."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from gateway.api import DTYPES, CenterFailed, ConfigError, InvalidRequest, NearwayError
from gateway.engine import Batching, LoadedModel
from gateway.engine.loaded_model import load_model
from gateway.engine.session import open_file
from gateway.engine.warm_up import RunTime
from gateway.wire import decode_request, encode_response
from gateway.wire.binary import array_to_binary

SHIPPED = Path(__file__).resolve().parents[3] / "models" / "gateway_models"
TEXTS = np.array([b"", "冷".encode(), b"a\x00b"], np.object_).reshape(1, 3)


def load(folder: Path, elements_max: int = 4_000_000) -> LoadedModel:
    return load_model(folder, "1", ("1",), tensor_elements_max=elements_max)


def sample(datatype: str) -> np.ndarray:
    if datatype == "BYTES":
        return TEXTS
    return np.array([[0, 1, 1]], DTYPES[datatype])


@pytest.mark.parametrize("datatype", sorted(DTYPES))
def test_every_datatype_passes_through(workshop: Any, datatype: str) -> None:
    model = load(workshop.write("m", workshop.identity(datatype)))
    array = sample(datatype)
    [answer] = model.run({"x": array}, ["y"])
    assert answer.dtype == array.dtype
    assert answer.tolist() == array.tolist()


@pytest.mark.parametrize("datatype", sorted(DTYPES))
@pytest.mark.parametrize("pad", [0, 1])
def test_binary_request_to_binary_answer(workshop: Any, datatype: str, pad: int) -> None:
    model = load(workshop.write("m", workshop.identity(datatype)))
    raw = array_to_binary(sample(datatype))
    parameters = {"binary_data_size": len(raw)}
    tensor = {"name": "x", "shape": [1, 3], "datatype": datatype, "parameters": parameters}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = json.dumps(document).encode() + b" " * pad
    request = decode_request(head + raw, len(head), model.metadata, tensor_elements_max=10)
    arrays = dict(zip(["y"], model.run(request.inputs, ["y"]), strict=True))
    payload, head_bytes = encode_response("m", "1", request, arrays, model.metadata, {})
    assert payload[head_bytes:] == raw


@pytest.mark.parametrize("name", ["blast-furnace", "grid-load", "rail-inspection"])
def test_shipped_models_answer_as_plain_onnxruntime_does(name: str) -> None:
    model = load(SHIPPED / name)
    body = (SHIPPED / name / "example.json").read_bytes()
    request = decode_request(body, None, model.metadata, tensor_elements_max=10**6, batch_max=8)
    names = [spec.name for spec in model.metadata.outputs]
    session = onnxruntime.InferenceSession(SHIPPED / name / "1" / "model.onnx")
    plain = {
        tensor["name"]: np.array(tensor["data"], np.float32).reshape(tensor["shape"])
        for tensor in json.loads(body)["inputs"]
    }
    ours, theirs = model.run(request.inputs, names), session.run(names, plain)
    for mine, reference in zip(ours, theirs, strict=True):
        assert mine.tobytes() == reference.tobytes()
    payload, _ = encode_response(
        name, "1", request, dict(zip(names, ours, strict=True)), model.metadata, model.labels
    )
    for output, reference in zip(json.loads(payload)["outputs"], theirs, strict=True):
        assert np.array(output["data"], np.float32).tobytes() == reference.tobytes()


def test_what_it_says_of_itself(workshop: Any) -> None:
    config = 'latency_class = "A"\nmax_batch_size = 4\n[labels]\ny = "l.txt"'
    folder = workshop.write("m", workshop.identity(), config=config, l="a\nb\nc\n")
    model = load_model(folder, "1", ("1", "2"), tensor_elements_max=10)
    assert (model.name, model.version, model.versions) == ("m", "1", ("1", "2"))
    assert model.metadata.platform == "onnxruntime_onnx"
    assert model.config.max_batch_size == 4
    assert model.labels == {"y": ("a", "b", "c")}
    assert model.path == folder / "1" / "model.onnx"
    assert model.run_ms == model.run_time.run_ms > 0


def test_outputs_come_in_the_order_asked(workshop: Any) -> None:
    kind = 1  # FP32
    model = load(
        workshop.write(
            "m",
            workshop.build(
                [("Neg", ["x"], ["minus"]), ("Identity", ["x"], ["same"])],
                [("x", kind, ["n"])],
                [("minus", kind, ["n"]), ("same", kind, ["n"])],
            ),
        )
    )
    inputs = {"x": np.array([2.0], np.float32)}
    assert [a.tolist() for a in model.run(inputs, ["same", "minus"])] == [[2.0], [-2.0]]
    assert [a.tolist() for a in model.run(inputs, ["minus"])] == [[-2.0]]


def test_text_that_is_no_utf8_is_the_requests_fault(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.identity("BYTES", ["n"])))
    with pytest.raises(InvalidRequest, match="input 'x': not UTF-8"):
        model.run({"x": np.array([b"\xff"], np.object_)}, ["y"])


def test_an_index_out_of_bounds_is_the_requests_fault(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.gather()))
    assert model.run({"i": np.array([3])}, ["y"])[0].tolist() == [1.5]
    with pytest.raises(InvalidRequest, match="model 'm' refused the inputs"):
        model.run({"i": np.array([4])}, ["y"])


def test_free_dimensions_that_disagree_are_the_requests_fault(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.add()))
    inputs = {"a": np.ones(2, np.float32), "b": np.ones(3, np.float32)}
    with pytest.raises(InvalidRequest, match=r"input 'b': dimension 'n' is 3, but 2 in input 'a'"):
        model.run(inputs, ["y"])


def test_sizes_that_the_graph_refuses_are_the_requests_fault(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.matmul(k=5)))
    assert model.run({"x": np.ones((2, 5), np.float32)}, ["y"])[0].tolist() == [[5, 5]] * 2
    with pytest.raises(InvalidRequest, match=r"model 'm' refused inputs.*'x': \[2, 4\]"):
        model.run({"x": np.ones((2, 4), np.float32)}, ["y"])


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        (["n", 3], MemoryError("out of it")),
        (["n", 3], RuntimeError("Failed to allocate memory for requested buffer")),
        ([1, 3], RuntimeError("something broke")),
    ],
)
def test_another_failure_is_the_centers(workshop: Any, shape: Any, error: Exception) -> None:
    def fail(*args: Any) -> Any:
        raise error

    folder = workshop.write("m", workshop.identity("FP32", shape))
    good = load(folder)
    opened = replace(open_file(good.path), run=fail)
    model = LoadedModel(
        "1", good.path, opened, good.metadata, good.config, {}, good.run_time, Batching()
    )
    with pytest.raises(CenterFailed, match="model 'm' failed") as caught:
        model.run({"x": np.ones((1, 3), np.float32)}, ["y"])
    assert caught.value.another_center_may_help


def test_a_missing_input_does_not_escape_the_tree(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.add(["n"])))
    with pytest.raises(NearwayError):
        model.run({"a": np.ones(1, np.float32)}, ["y"])


def test_expected_ms_grows_with_the_batch(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.identity()))
    model.run_time = RunTime(2.0, 0.5)
    assert model.expected_ms({"x": np.zeros((1, 3))}) == 2.0
    assert model.expected_ms({"x": np.zeros((5, 3))}) == 4.0
    assert model.expected_ms({}) == 2.0


def test_a_declared_service_time_occupies_a_slot_and_does_not_slow_the_run(workshop: Any) -> None:
    config = "[service]\nmedian_ms = 20.0\nsigma = 0.5"
    model = load(workshop.write("m", workshop.identity(), config=config))
    assert model.run_ms == pytest.approx(20.0 * math.exp(0.125))
    assert model.expected_ms({}) == model.run_time.run_ms < 20.0


def test_a_model_too_big_to_be_asked_is_refused(workshop: Any) -> None:
    folder = workshop.write("m", workshop.identity("FP32", ["n", 11]))
    assert load(folder, elements_max=11).name == "m"
    with pytest.raises(ConfigError, match=r"input 'x'.*11 elements.*tensor_elements_max is 10"):
        load(folder, elements_max=10)


def test_config_and_file_must_agree(workshop: Any) -> None:
    fixed = workshop.write("m", workshop.identity("FP32", [1, 3]), config="max_batch_size = 8")
    with pytest.raises(ConfigError, match="max_batch_size = 8"):
        load(fixed)


def test_statistics_are_its_own(workshop: Any) -> None:
    model = load(workshop.write("m", workshop.identity()))
    model.record(queue_s=0, input_s=0, infer_s=1e-6, output_s=0, batch=2)
    model.record_failure(total_s=1e-6)
    entry = model.statistics()
    assert (entry["name"], entry["version"], entry["inference_count"]) == ("m", "1", 2)
    assert entry["inference_stats"]["fail"]["count"] == 1
