"""config.pbtxt: what applies is used, what does not is named, what contradicts is refused."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from gateway.api import ConfigError, TensorSpec
from gateway.engine.check import check_repository
from gateway.engine.model_config import ModelConfig, Session, Versions, read_model_config
from gateway.engine.repository import ModelRepository
from gateway.engine.triton_pbtxt import TritonModel, narrowed, read_pbtxt

WHOLE = """
# made for Triton
name: "m"
platform: "onnxruntime_onnx"
max_batch_size: 16
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] label_filename: "l.txt" } ]
version_policy: { specific: { versions: [ 1, 3 ] } }
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { }
parameters { key: "intra_op_thread_count" value: { string_value: "2" } }
parameters { key: "enable_mem_arena" value: { string_value: "0" } }
optimization { graph { level: 1 } }
"""


def said(folder: Path, text: str) -> TritonModel:
    folder.mkdir(exist_ok=True)
    (folder / "config.pbtxt").write_text(text, "utf-8")
    read = read_pbtxt(folder)
    assert read is not None
    return read


def test_what_applies_is_used(tmp_path: Path) -> None:
    model = said(tmp_path / "m", WHOLE)
    assert model.warnings == ()
    assert read_model_config(tmp_path / "m") == ModelConfig(
        max_batch_size=16,
        labels={"y": "l.txt"},
        versions=Versions(only=(1, 3)),
        session=Session(threads=2, graph_level="extended", arena=False),
    )


def test_the_text_is_one_that_tritons_own_message_reads() -> None:
    message = text_format.Parse(WHOLE, model_config_pb2.ModelConfig())
    assert message.max_batch_size == 16
    assert message.optimization.graph.level == 1


def test_a_response_cache_is_kept_where_triton_keeps_one(tmp_path: Path) -> None:
    model = said(tmp_path / "m", "response_cache { enable: true }")
    assert model.warnings == ()
    assert read_model_config(tmp_path / "m").response_cache.enable
    said(tmp_path / "m", "response_cache { enable: false }")
    assert not read_model_config(tmp_path / "m").response_cache.enable
    with pytest.raises(ConfigError, match=r"response_cache\.enable is yes; expected true or false"):
        said(tmp_path / "m", "response_cache { enable: yes }")


def test_config_toml_wins_by_key(tmp_path: Path) -> None:
    said(tmp_path / "m", WHOLE)
    (tmp_path / "m" / "config.toml").write_text("max_batch_size = 4\n[versions]\nlatest = 1")
    config = read_model_config(tmp_path / "m")
    assert (config.max_batch_size, config.versions) == (4, Versions(latest=1))
    assert config.session.threads == 2


@pytest.mark.parametrize(
    ("text", "versions"),
    [
        ("", Versions(latest=1)),
        ("version_policy { all { } }", Versions()),
        ("version_policy: { latest: { num_versions: 3 } }", Versions(latest=3)),
        ("version_policy { latest { } }", Versions(latest=1)),
    ],
)
def test_version_policies(tmp_path: Path, text: str, versions: Versions) -> None:
    said(tmp_path / "m", text)
    assert read_model_config(tmp_path / "m").versions == versions


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("sequence_batching { }", "sequence_batching is not used"),
        ("dynamic_batching { max_queue_delay_microseconds: 100 }", "nobody waits for company"),
        ("dynamic_batching { preferred_batch_size: [4, 8] }", "measured at load"),
        ("dynamic_batching { preserve_ordering: true }", "dynamic_batching.preserve_ordering"),
        ("instance_group [ { kind: KIND_GPU } ]", "session.providers"),
        ('parameters { key: "k" value { string_value: "v" } }', "parameters['k'] = 'v'"),
        ("optimization { cuda { graphs: true } }", "optimization.cuda"),
        ('input { name: "x" reshape { shape: [1] } }', "input 'x': reshape"),
    ],
)
def test_what_has_no_counterpart_is_named(tmp_path: Path, text: str, named: str) -> None:
    [warning] = said(tmp_path / "m", text).warnings
    assert named in warning


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('\nname: "other"', "line 2: name is 'other'; expected 'm'"),
        ('platform: "tensorrt_plan"', "platform is 'tensorrt_plan'; expected 'onnxruntime_onnx'"),
        ('backend: "python"', "backend is 'python'"),
        ('default_model_filename: "net.onnx"', "expected 'model.onnx'"),
        ("max_batch_size: 8 max_batch_size: 4", "max_batch_size is 2 values; expected one"),
        ('max_batch_size: "8"', "max_batch_size is '8'; expected a whole number"),
        ("max_batch_size: -1", "max_batch_size"),
        ("version_policy { }", "expected one of latest, all, specific"),
        ("version_policy { latest: 1 }", "version_policy.latest is 1; expected { ... }"),
        ("input: 3", "input is 3; expected { ... }"),
        ('input { name: "x" dims: [a] }', "input.dims is a; expected whole numbers"),
        ("optimization { graph { level: 7 } }", "expected -1, 0, 1 or 2"),
        ("max_batch_size", "line 1: found the end of the file"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, text: str, what: str) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "config.pbtxt").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_model_config(folder)
    assert what in str(caught.value)
    assert "config.pbtxt" in str(caught.value)


def test_free_sizes_are_fixed_and_contradictions_refused(tmp_path: Path) -> None:
    def held(text: str, shape: tuple[int, ...], *, batching: bool = False) -> tuple[int, ...]:
        model = said(tmp_path / "m", f"input {{ {text} }}")
        [spec] = narrowed(model, [TensorSpec("x", "FP32", shape)], "input", batching=batching)
        return spec.shape

    assert held('name: "x" dims: [2, 5]', (-1, 5)) == (2, 5)
    assert held('name: "x" dims: [-1, 5]', (-1, 5)) == (-1, 5)
    assert held('name: "x" dims: [5]', (-1, -1), batching=True) == (-1, 5)
    assert held('name: "x" dims: [9, 9, 9] reshape { shape: [5] }', (-1, 5)) == (-1, 5)
    for text, what in (
        ('name: "z"', "'z' is none of the model's: x"),
        ('name: "x" data_type: TYPE_INT8', "is INT8; the model's is FP32"),
        ('name: "x" dims: [4, 6]', r"dims \[4, 6\] with max_batch_size 0; the model has \[-1, 5\]"),
        ('name: "x" dims: [5]', "dims"),
    ):
        with pytest.raises(ConfigError, match=what):
            held(text, (-1, 5))


def test_a_repository_made_for_triton_is_served_as_it_lies(
    workshop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folder = workshop.write("m", workshop.identity("FP32", ["n", "k"]), l="a\nb\nc")
    text = WHOLE.replace("[ 1, 3 ]", "[ 1 ]") + "\nmodel_warmup [ { name: 'w' } ]"
    (folder / "config.pbtxt").write_text(text, "utf-8")
    with caplog.at_level(logging.WARNING):
        repository = ModelRepository([workshop.root], tensor_elements_max=100)
        repository.scan()
        repository.load("m")
    model = repository.get("m")
    assert caplog.text.count("model_warmup is not used") == 1
    assert [spec.shape for spec in model.metadata.inputs] == [(-1, 3)]
    [answer] = model.run({"x": np.ones((2, 3), np.float32)}, ["y"])
    assert answer.shape == (2, 3)
    [finding] = check_repository(workshop.root)
    assert finding.warning
    assert "config.pbtxt: model_warmup" in str(finding)
