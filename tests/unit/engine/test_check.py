"""Findings say what is wrong, where, and what would be right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.engine import check_repository


def only(root: Path) -> str:
    [finding] = check_repository(root)
    return str(finding)


def test_the_shipped_models_are_fine() -> None:
    assert check_repository(Path(__file__).resolve().parents[3] / "models/gateway_models") == []


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    assert "no such folder" in only(tmp_path / "absent")
    assert "expected NAME/1/model.onnx" in only(tmp_path)


def test_every_model_is_looked_at(workshop: Any) -> None:
    workshop.write("good", workshop.identity())
    workshop.write("bad", b"broken")
    workshop.write("worse", b"")
    findings = [str(finding) for finding in check_repository(workshop.root)]
    assert len(findings) == 2
    assert "bad/1/model.onnx: cannot open it" in findings[0]
    assert "worse/1/model.onnx: is empty" in findings[1]


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("m/model.onnx", "lies beside the versions; move it to 1/model.onnx"),
        ("m/v1/model.onnx", "'v1' is no version"),
        ("m/0/model.onnx", "'0' is no version"),
        ("m/notes/text", "no version folder; expected 1/model.onnx"),
        ("m/1/other.onnx", "m/1/model.onnx: no such file"),
        ("my model/1/model.onnx", "letters, digits"),
    ],
)
def test_layout(tmp_path: Path, path: str, what: str) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_bytes(b"")
    assert what in only(tmp_path)


def test_labels_datatype_external_data_batch(workshop: Any) -> None:
    workshop.write("a", workshop.identity(), config='[labels]\ny = "l.txt"', l="one\ntwo\n")
    workshop.write("b", workshop.identity("BF16"))
    workshop.external(workshop.root / "c" / "1")
    workshop.write("d", workshop.identity("FP32", [1, 3]), config="max_batch_size = 2")
    found = [str(finding) for finding in check_repository(workshop.root)]
    assert len(found) == 4
    for text, what in zip(
        found, ["2 labels", "bfloat16", "keeps weights in", "max_batch_size"], strict=True
    ):
        assert what in text


def test_examples(workshop: Any) -> None:
    workshop.write("a", workshop.identity(), example="{}")
    assert "example.json: not an inference request" in only(workshop.root)


def test_a_model_nobody_can_run_wants_an_example(workshop: Any) -> None:
    workshop.write("m", workshop.matmul(k=5))
    assert "run time is a guess" in only(workshop.root)
    tensor = {"name": "x", "shape": [1, 5], "datatype": "FP32", "data": [0] * 5}
    workshop.write("m", workshop.matmul(k=5), example=json.dumps({"inputs": [tensor]}))
    assert check_repository(workshop.root) == []


def test_the_bound_is_given(workshop: Any) -> None:
    workshop.write("m", workshop.identity("FP32", ["n", 11]))
    [finding] = check_repository(workshop.root, tensor_elements_max=10)
    assert "tensor_elements_max" in str(finding)


def test_a_version_that_is_wanted_and_not_there_is_found(workshop: Any) -> None:
    workshop.write("m", workshop.identity(), config="[versions]\nonly = [2]")
    assert "versions.only names 2, which is not there; versions on disk: 1" in only(workshop.root)


def test_a_version_left_out_is_not_looked_at(workshop: Any) -> None:
    workshop.write("m", b"broken", "1", config="[versions]\nlatest = 1")
    workshop.write("m", workshop.identity(), "2", config="[versions]\nlatest = 1")
    assert check_repository(workshop.root) == []
