import json

import msgspec
import numpy as np
import pytest

from gateway.api import ConfigError, ModelMetadata, TensorSpec
from gateway.measure import bodies
from gateway.measure.bodies import binary_form


def metadata(*inputs):
    return ModelMetadata("m", ("1",), "onnx", inputs, ())


def test_every_declared_input_is_filled_and_free_dimensions_are_1():
    made = json.loads(
        bodies.body_for(
            metadata(
                TensorSpec("x", "FP32", (-1, 3)),
                TensorSpec("ids", "INT64", (2, -1, 2)),
                TensorSpec("flag", "BOOL", (1,)),
                TensorSpec("word", "BYTES", (2,)),
            )
        )
    )
    by_name = {i["name"]: i for i in made["inputs"]}
    assert by_name["x"]["shape"] == [1, 3]
    assert all(-1 <= v <= 1 for v in by_name["x"]["data"])
    assert by_name["ids"]["shape"] == [2, 1, 2]
    assert all(isinstance(v, int) for v in by_name["ids"]["data"])
    assert isinstance(by_name["flag"]["data"][0], bool)
    assert by_name["word"]["data"] == ["nearway", "nearway"]
    assert [len(i["data"]) for i in made["inputs"]] == [3, 4, 1, 2]


def test_a_seed_gives_the_same_bytes_and_zeros_are_zeros():
    asked = metadata(TensorSpec("x", "FP32", (4,)))
    assert bodies.body_for(asked, seed=1) == bodies.body_for(asked, seed=1)
    assert bodies.body_for(asked, seed=1) != bodies.body_for(asked, seed=2)
    zeros = json.loads(bodies.body_for(asked, fill="zeros"))
    assert zeros["inputs"][0]["data"] == [0.0] * 4


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (TensorSpec("x", "BF16", (1,)), "BF16"),
        (TensorSpec("x", "FP32", (3000, 3000)), "9000000 elements"),
    ],
)
def test_what_cannot_be_made_is_refused(spec, said):
    with pytest.raises(ConfigError, match=said):
        bodies.body_for(metadata(spec))


def test_metadata_is_read_as_the_protocol_writes_it():
    answer = (
        b'{"name":"m","versions":["1","2"],"platform":"p","extra":1,'
        b'"inputs":[{"name":"x","datatype":"FP32","shape":[-1,2],"parameters":{}}],'
        b'"outputs":[{"name":"y","datatype":"INT64","shape":[1]}]}'
    )
    read = bodies.read_metadata(answer, told_by="here")
    assert read.inputs == (TensorSpec("x", "FP32", (-1, 2)),)
    assert read.versions == ("1", "2")


@pytest.mark.parametrize(
    "answer", [b"<html>", b"[]", b'{"name":1}', b'{"name":"m"}', b'{"name":"m","inputs":[{}]}']
)
def test_an_answer_that_is_no_metadata_is_refused_with_who_said_it(answer):
    with pytest.raises(ConfigError, match="http://here"):
        bodies.read_metadata(answer, told_by="http://here")


def test_the_example_beside_a_model_is_used_as_it_is(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "example.json").write_bytes(b'{"inputs": []}')
    assert bodies.example_body(tmp_path, "m") == b'{"inputs": []}'
    assert bodies.example_body(tmp_path, "other") is None
    (tmp_path / "m" / "example.json").write_bytes(b"{")
    with pytest.raises(ConfigError, match="is not JSON"):
        bodies.example_body(tmp_path, "m")


@pytest.mark.parametrize("name", ["../m", "a/b", "", "..", "/etc"])
def test_a_name_that_is_a_path_is_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="plain name"):
        bodies.example_body(tmp_path, name)


def test_the_binary_form_says_the_same() -> None:
    body = (
        b'{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP32","data":[1,2.5,-3]},'
        b'{"name":"k","shape":[2],"datatype":"INT64","data":[7,8]}]}'
    )
    binary, headers = binary_form(body)
    head = int(headers["Inference-Header-Content-Length"])
    told = msgspec.json.decode(binary[:head])
    assert [t["parameters"]["binary_data_size"] for t in told["inputs"]] == [12, 16]
    assert np.frombuffer(binary, "<f4", 3, head).tolist() == [1, 2.5, -3]
    assert np.frombuffer(binary, "<i8", 2, head + 12).tolist() == [7, 8]
    assert told["parameters"]["binary_data_output"] is True


@pytest.mark.parametrize("tensor", ['"datatype":"BYTES","data":["a","b"]', '"datatype":"FP32"'])
def test_what_has_no_binary_form_is_told(tensor: str) -> None:
    with pytest.raises(ConfigError, match="--wire json"):
        binary_form(f'{{"inputs":[{{"name":"x","shape":[2],{tensor}}}]}}'.encode())
