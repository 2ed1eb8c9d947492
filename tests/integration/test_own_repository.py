"""A repository of one's own behind a gateway: kept answers, steps as one model, aliases."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

JSON = {"content-type": "application/json"}
FLEET = """
[[center]]
id = "here"
zone = "a"
city = "Shanghai"
country = "CN"
lat = 31.23
lon = 121.47
slots = 2
emulate = "none"
"""


ENSEMBLE = """
max_batch_size = 8
[ensemble]
inputs = ["x"]
outputs = ["roots"]
[[ensemble.step]]
model = "positive"
inputs = { x = "x" }
outputs = { y = "sizes" }
[[ensemble.step]]
model = "root"
inputs = { x = "sizes" }
outputs = { y = "roots" }
"""


def write_node(root: Path, name: str, kind: str, config: str = "") -> None:
    """``y = kind(x)``, FP32 [n, 3]."""
    tensors = [helper.make_tensor_value_info(t, TensorProto.FLOAT, ["n", 3]) for t in ("x", "y")]
    graph = helper.make_graph(
        [helper.make_node(kind, ["x"], ["y"])], name, tensors[:1], tensors[1:]
    )
    folder = root / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), folder / "model.onnx")
    (root / name / "config.toml").write_text(f"max_batch_size = 8\n{config}")


def body(*values: float, **said: Any) -> bytes:
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": values}
    return json.dumps({"inputs": [tensor], **said}).encode()


def data(answer: Any) -> Any:
    return answer["outputs"][0]["data"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own") / "models"
    write_node(root, "negative", "Neg", "[response_cache]\nenable = true\n")
    write_node(root, "positive", "Abs")
    write_node(root, "root", "Sqrt")
    (root / "root-of-size" / "1").mkdir(parents=True)
    (root / "root-of-size" / "config.toml").write_text(ENSEMBLE)
    return root


@pytest.fixture(scope="module")
def gateway(models: Path, start_gateway: Callable[..., Any]) -> Iterator[Any]:
    (models.parent / "fleet.toml").write_text(FLEET)
    config = models.parent / "nearway.toml"
    config.write_text(
        f'[models]\nshipped = false\ndirs = ["{models}"]\n'
        'aliases = {"size" = "positive", "size-now" = "positive/1"}\n'
        f'[fleet]\nfile = "{models.parent}/fleet.toml"\n'
    )
    with start_gateway("--config", str(config)) as running:
        yield running


def scraped(gateway: Any, name: str) -> float:
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).rsplit(" ", 1)[1])


def test_a_kept_answer_says_so_and_a_reload_empties_the_cache(gateway: Any, models: Path) -> None:
    first, head = gateway.infer("negative", body(1, 2, 3), "Shanghai")
    assert (data(first), head.get("x-nearway-cache")) == ([-1, -2, -3], None)
    second, head = gateway.infer("negative", body(1, 2, 3, id="7"), "Shanghai")
    assert (data(second), second["id"], head["x-nearway-cache"]) == ([-1, -2, -3], "7", "hit")
    assert "service;dur=0.0000" in head["server-timing"]
    assert scraped(gateway, 'nearway_response_cache_total{result="hit"}') == 1.0
    assert scraped(gateway, "nearway_response_cache_bytes") > 0.0
    write_node(models, "negative", "Abs", "[response_cache]\nenable = true\n")
    url = f"{gateway.url}/v2/repository/models/negative/load"
    load = urllib.request.Request(url, b"{}", JSON)
    with urllib.request.urlopen(load, timeout=10) as answer:
        assert answer.status == 200
    third, head = gateway.infer("negative", body(1, 2, 3), "Shanghai")
    assert (data(third), head.get("x-nearway-cache")) == ([1, 2, 3], None)


def test_other_models_keep_nothing(gateway: Any) -> None:
    for _ in range(2):
        _, head = gateway.infer("positive", body(-1, 2, 3), "Shanghai")
        assert "x-nearway-cache" not in head


def test_an_ensemble_answers_as_its_steps_would_one_by_one(gateway: Any) -> None:
    answer, head = gateway.infer("root-of-size", body(-4, 9, -16), "Shanghai")
    assert (answer["outputs"][0]["name"], data(answer)) == ("roots", [2, 3, 4])
    assert head["x-nearway-center"] == "here"
    with urllib.request.urlopen(f"{gateway.url}/v2/models/root-of-size", timeout=10) as told:
        metadata = json.load(told)
    assert metadata["platform"] == "ensemble"
    assert [tensor["shape"] for tensor in metadata["outputs"]] == [[-1, 3]]
    assert scraped(gateway, 'nearway_requests_total{code="200",model="root-of-size"}') == 1.0


@pytest.mark.parametrize("alias", ["size", "size-now"])
def test_an_alias_is_answered_as_its_model(gateway: Any, alias: str) -> None:
    answer, _ = gateway.infer(alias, body(-1, 2, -3), "Shanghai")
    assert (answer["model_name"], data(answer)) == ("positive", [1, 2, 3])
    index = urllib.request.Request(f"{gateway.url}/v2/repository/index", b"{}", JSON)
    with urllib.request.urlopen(index, timeout=10) as told:
        lines = {line["name"]: line for line in json.load(told)}
    assert (lines[alias]["state"], lines[alias]["version"]) == ("READY", "1")
    assert lines[alias]["reason"].startswith("alias of positive")
    with urllib.request.urlopen(f"{gateway.url}/v2/models/{alias}", timeout=10) as told:
        assert json.load(told)["name"] == "positive"


def test_a_reload_takes_aliases_over_and_refuses_one_of_nothing(gateway: Any, models: Path) -> None:
    config = models.parent / "nearway.toml"
    before = config.read_text()
    config.write_text(before.replace('"size" = "positive"', '"size" = "positron"'))
    with pytest.raises(urllib.error.HTTPError) as refused:
        gateway.admin("POST", "/reload", {})
    assert "did you mean 'positive'?" in refused.value.read().decode()
    answer, _ = gateway.infer("size", body(-1, 2, -3), "Shanghai")
    assert data(answer) == [1, 2, 3]
    config.write_text(before.replace('"size" = "positive"', '"size" = "negative"'))
    gateway.admin("POST", "/reload", {})
    answer, _ = gateway.infer("size", body(1, 2, 3), "Shanghai")
    with urllib.request.urlopen(f"{gateway.url}/v2/models/size", timeout=10) as told:
        assert json.load(told)["name"] == answer["model_name"] == "negative"
    config.write_text(before)
    gateway.admin("POST", "/reload", {})
