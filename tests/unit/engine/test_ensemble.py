"""Words to numbers to a vector, as one model; what does not fit together is said at load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gateway.api import ConfigError, NdArray, NotFound
from gateway.engine.check import check_repository
from gateway.engine.repository import ModelRepository
from gateway.engine.triton_config import triton_config

WORDS = ["steel", "rail", "grid", "weather"]
VECTORS = np.arange(10, dtype=np.float32).reshape(5, 2)
"""The last one: of any other word."""

CONFIG = """
max_batch_size = 8

[ensemble]
inputs = ["words"]
outputs = ["vector"]

[[ensemble.step]]
model = "embed"
inputs = { ids = "ids" }
outputs = { mean = "vector" }

[[ensemble.step]]
model = "tokenise"
inputs = { text = "words" }
outputs = { ids = "ids" }
"""
PBTXT = """
platform: "ensemble"
max_batch_size: 8
input [ { name: "words" data_type: TYPE_STRING dims: [ 3 ] } ]
output [ { name: "vector" data_type: TYPE_FP32 dims: [ 2 ] } ]
ensemble_scheduling {
  step [
    { model_name: "tokenise" model_version: -1
      input_map { key: "text" value: "words" } output_map { key: "ids" value: "ids" } },
    { model_name: "embed" model_version: 1
      input_map { key: "ids" value: "ids" } output_map { key: "mean" value: "vector" } }
  ]
}
"""


def tokenise(width: Any = 3, kind: int = TensorProto.INT64) -> Any:
    """``ids[i]``: the place of ``text[i]`` among the words, 4 where it is none of them."""
    values = "values_int64s" if kind == TensorProto.INT64 else "values_floats"
    default = "default_int64" if kind == TensorProto.INT64 else "default_float"
    numbers: list[Any] = [*range(4)] if kind == TensorProto.INT64 else [0.0, 1.0, 2.0, 3.0]
    node = helper.make_node(
        "LabelEncoder", ["text"], ["ids"], domain="ai.onnx.ml", keys_strings=WORDS,
        **{values: numbers, default: 4 if kind == TensorProto.INT64 else 4.0},
    )  # fmt: skip
    graph = helper.make_graph(
        [node],
        "tokenise",
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["n", width])],
        [helper.make_tensor_value_info("ids", kind, ["n", width])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def embed(scale: float = 1.0) -> Any:
    """The mean of the words' vectors."""
    table = onnx.numpy_helper.from_array(VECTORS * np.float32(scale), "table")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "ids"], ["vectors"]),
            helper.make_node("ReduceMean", ["vectors"], ["mean"], axes=[1], keepdims=0),
        ],
        "embed",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", 3])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 2])],
        [table],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write(workshop: Any, config: str = CONFIG, name: str = "sentence", **models: Any) -> Path:
    found = {"tokenise": tokenise(), "embed": embed(), **models}
    for member, model in found.items():
        if model is not None:
            workshop.write(member, model, config="max_batch_size = 8\n")
    folder: Path = workshop.root / name
    (folder / "1").mkdir(parents=True, exist_ok=True)
    file = "config.pbtxt" if "ensemble_scheduling" in config else "config.toml"
    (folder / file).write_text(config)
    return folder


def repository(workshop: Any) -> ModelRepository:
    models = ModelRepository([workshop.root], tensor_elements_max=1000)
    models.scan()
    return models


def words(*rows: str) -> dict[str, NdArray]:
    array = np.empty((len(rows), 3), np.object_)
    array[:] = [[word.encode() for word in row.split()] for row in rows]
    return {"words": array}


def expected(*rows: str, scale: float = 1.0) -> NdArray:
    ids = [[WORDS.index(w) if w in WORDS else 4 for w in row.split()] for row in rows]
    mean: NdArray = (VECTORS * np.float32(scale))[np.array(ids)].mean(axis=1)
    return mean


@pytest.mark.parametrize("config", [CONFIG, PBTXT], ids=["toml", "pbtxt"])
@pytest.mark.parametrize("with_members", [True, False])
def test_words_become_a_vector(workshop: Any, config: str, with_members: bool) -> None:
    write(workshop, config)
    models = repository(workshop)
    for name in ("embed", "tokenise") if with_members else ():
        models.load(name)
    models.load("sentence")
    model = models.get("sentence")
    rows = ("steel rail grid", "weather of steel")
    [vector] = model.run(words(*rows), ["vector"])
    assert np.allclose(vector, expected(*rows))
    assert model.metadata.platform == "ensemble"
    assert [(s.name, s.datatype, s.shape) for s in model.metadata.inputs] == [
        ("words", "BYTES", (-1, 3))
    ]
    assert [(s.name, s.datatype, s.shape) for s in model.metadata.outputs] == [
        ("vector", "FP32", (-1, 2))
    ]
    assert set(models.in_memory()) == ({"embed", "tokenise"} if with_members else set()) | {
        "sentence"
    }
    assert not model.run_time.guess
    assert check_repository(workshop.root) == []
    told = triton_config(model)
    assert told["platform"] == "ensemble"
    assert {step["model_name"] for step in told["ensemble_scheduling"]["step"]} == {
        "tokenise", "embed",
    }  # fmt: skip


def test_the_example_of_the_docs_is_one(workshop: Any) -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text("utf-8")
    block = page.split("## Ensembles", 1)[1].split("```toml\n", 1)[1].split("```", 1)[0]
    write(workshop, block)
    models = repository(workshop)
    models.load("sentence")
    [vector] = models.get("sentence").run(words("rail of steel"), ["vector"])
    assert np.allclose(vector, expected("rail of steel"))


def test_what_is_measured_says_how_many_share_a_run(workshop: Any) -> None:
    write(workshop)
    models = repository(workshop)
    models.load("sentence")
    batching = models.get("sentence").batching
    assert batching.rows_max > 1 or "gain" in batching.why
    write(workshop, CONFIG.replace("max_batch_size = 8", ""))
    models.load("sentence")
    assert models.get("sentence").batching.rows_max == 1


def test_a_member_that_is_loaded_again_is_taken_over(workshop: Any) -> None:
    write(workshop)
    models = repository(workshop)
    for name in ("embed", "tokenise", "sentence"):
        models.load(name)
    before = models.get("sentence")
    workshop.write("embed", embed(scale=2.0), config="max_batch_size = 8\n")
    models.load("embed")
    [vector] = models.get("sentence").run(words("rail rail grid"), ["vector"])
    assert np.allclose(vector, expected("rail rail grid", scale=2.0))
    assert before is not models.get("sentence")
    workshop.write("embed", workshop.add())
    models.load("embed")
    [vector] = models.get("sentence").run(words("rail rail grid"), ["vector"])
    assert np.allclose(vector, expected("rail rail grid", scale=2.0)), "it stays as it was"
    [reason] = [why for name, _, _, why in models.index() if name == "sentence"]
    assert "the model has no input 'ids'" in reason


def test_another_file_of_a_member_is_another_ensemble_in_the_next_repository(workshop: Any) -> None:
    write(workshop)
    models = repository(workshop)
    models.load("sentence")
    same = models.renewed([workshop.root], lambda _: False)
    assert same.get("sentence") is models.get("sentence")
    workshop.write("embed", embed(scale=3.0), config="max_batch_size = 8\n# longer\n")
    after = models.renewed([workshop.root], lambda _: False)
    [vector] = after.get("sentence").run(words("grid grid grid"), ["vector"])
    assert np.allclose(vector, expected("grid grid grid", scale=3.0))
    with pytest.raises(NotFound):
        after.get("embed")


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "no such model": (
        CONFIG.replace('"embed"', '"embedd"'),
        {},
        "'sentence' has a step 'embedd', and there is no such model; .* embed, tokenise",
    ),
    "no such version": (
        CONFIG.replace('model = "embed"', 'model = "embed"\nversion = 4'),
        {},
        "'sentence' has version 4 of 'embed' as a step; versions that are served: 1",
    ),
    "a step of itself": (
        CONFIG.replace('model = "embed"', 'model = "sentence"'),
        {},
        "'sentence' is a step of itself: 'sentence' -> 'sentence'",
    ),
    "another type": (
        CONFIG,
        {"tokenise": tokenise(kind=TensorProto.FLOAT)},
        "step 'embed': input 'ids' is INT64, but 'ids' is FP32",
    ),
    "other sizes": (
        CONFIG,
        {"tokenise": tokenise(width=5)},
        r"step 'embed': input 'ids' has shape \[-1, 3\], but 'ids' has \[-1, 5\]",
    ),
    "no such output": (
        CONFIG.replace("{ mean =", "{ median ="),
        {},
        "step 'embed': the model has no output 'median'; it has 'mean'",
    ),
    "no such input": (
        CONFIG.replace("{ text =", "{ texts ="),
        {},
        "step 'tokenise': the model has no input 'texts'; it has 'text'",
    ),
    "a batch too large": (
        CONFIG.replace("max_batch_size = 8", "max_batch_size = 9"),
        {},
        "max_batch_size is 9 here and 8 there; expected at most 8",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_said_at_load_and_by_check(workshop: Any, name: str) -> None:
    config, models, what = WRONG[name]
    write(workshop, config, **models)
    found = repository(workshop)
    with pytest.raises(ConfigError, match=what):
        found.load("sentence")
    assert "sentence" not in found.in_memory()
    assert any(what.split(";")[0][:20] in str(f) for f in check_repository(workshop.root))


def test_nothing_given_to_an_input_is_said(workshop: Any) -> None:
    steps = '[ensemble]\ninputs = ["p"]\noutputs = ["y"]\n[[ensemble.step]]\nmodel = "add"\n'
    write(workshop, steps + 'inputs = { a = "p" }\noutputs = { y = "y" }\n', add=workshop.add())
    with pytest.raises(ConfigError, match="step 'add': nothing is given to the model's input 'b'"):
        repository(workshop).load("sentence")


def test_an_ensemble_may_be_a_step_and_a_circle_of_them_is_refused(workshop: Any) -> None:
    write(workshop)
    outer = (
        '[ensemble]\ninputs = ["t"]\noutputs = ["v"]\n[[ensemble.step]]\nmodel = "sentence"\n'
        'inputs = { words = "t" }\noutputs = { vector = "v" }\n'
    )
    write(workshop, outer, name="outer")
    models = repository(workshop)
    models.load("outer")
    [vector] = models.get("outer").run({"t": words("steel grid rail")["words"]}, ["v"])
    assert np.allclose(vector, expected("steel grid rail"))
    write(workshop, CONFIG.replace('model = "embed"', 'model = "outer"'))
    with pytest.raises(ConfigError, match="'outer' -> 'sentence' -> 'outer'"):
        models.load("outer")


def test_one_input_may_feed_two_steps(workshop: Any) -> None:
    both = (
        'max_batch_size = 4\n[ensemble]\ninputs = ["x"]\noutputs = ["left", "sum"]\n'
        '[[ensemble.step]]\nmodel = "same"\ninputs = { x = "x" }\noutputs = { y = "left" }\n'
        '[[ensemble.step]]\nmodel = "add"\ninputs = { a = "left", b = "x" }\n'
        'outputs = { y = "sum" }\n'
    )
    write(workshop, both, same=workshop.identity("FP32", ("n", 3)), add=workshop.add(("n", "k")))
    models = repository(workshop)
    models.load("sentence")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    left, total = models.get("sentence").run({"x": x}, ["left", "sum"])
    assert np.array_equal(left, x)
    assert np.array_equal(total, 2 * x)
