"""config.toml and labels: right or refused, with file, key and what would be right."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from gateway.api import ConfigError, TensorSpec
from gateway.engine import ModelConfig, Service
from gateway.engine.model_config import (
    Session,
    Versions,
    check_batch,
    class_count,
    read_labels,
    read_model_config,
    served_versions,
)

FREE = TensorSpec("x", "FP32", (-1, 3))
STATE = TensorSpec("state", "FP32", (-1, 3))


def read(folder: Path, text: str) -> ModelConfig:
    (folder / "config.toml").write_text(text, "utf-8")
    return read_model_config(folder)


def test_all_of_it(tmp_path: Path) -> None:
    text = """
    description = "heat"
    latency_class = "A"
    max_batch_size = 64
    industry = "steel"
    scenarios = ["hot metal ahead", "silicon ahead"]
    smaller = "heat-s"
    [labels]
    state = "labels.txt"
    [versions]
    latest = 2
    [session]
    threads = 2
    graph_level = "basic"
    arena = false
    memory_pattern = false
    providers = ["CPUExecutionProvider"]
    [service]
    median_ms = 4
    sigma = 0.3
    """
    assert read(tmp_path, text) == ModelConfig(
        description="heat",
        latency_class="A",
        max_batch_size=64,
        industry="steel",
        scenarios=("hot metal ahead", "silicon ahead"),
        smaller="heat-s",
        labels={"state": "labels.txt"},
        versions=Versions(latest=2),
        session=Session(
            threads=2,
            graph_level="basic",
            arena=False,
            memory_pattern=False,
            providers=("CPUExecutionProvider",),
        ),
        service=Service(median_ms=4.0, sigma=0.3),
    )


def test_absent_or_empty_means_defaults(tmp_path: Path) -> None:
    assert read_model_config(tmp_path) == ModelConfig() == read(tmp_path, "")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("max_batch = 3", "max_batch"),
        ("max_batch_size = -1", "max_batch_size"),
        ('latency_class = "D"', "latency_class"),
        ("[service]\nmedian_ms = 0", "service.median_ms"),
        ("[service]\nsigma = 1", "median_ms"),
        ("nonsense", "not valid TOML"),
        ('scenarios = "one"', "scenarios"),
        ('scenarios = [""]', "scenarios"),
        ("industry = 3", "industry"),
        ("[session]\nthreads = 0", "session.threads"),
        ('[session]\ngraph_level = "most"', "session.graph_level"),
        ("[session]\nthread = 1", "thread"),
        ("[versions]\nonly = [0]", "versions.only"),
        ("[versions]\nlatest = 1\nonly = [1]", "both latest and only"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what) as caught:
        read(tmp_path, text)
    assert "config.toml" in str(caught.value)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_model_config(tmp_path)


def test_a_batch_needs_a_free_first_dimension() -> None:
    path = Path("config.toml")
    check_batch(path, ModelConfig(), [TensorSpec("x", "FP32", (1, 3))])
    check_batch(path, ModelConfig(max_batch_size=8), [FREE])
    for shape in ((1, 3), ()):
        with pytest.raises(ConfigError, match=r"max_batch_size = 8.*input 'z'"):
            check_batch(path, ModelConfig(max_batch_size=8), [FREE, TensorSpec("z", "FP32", shape)])


def test_labels(tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text("cold\n正常\nhot\n", "utf-8")
    config = ModelConfig(labels={"state": "l.txt"})
    assert read_labels(tmp_path, config, [FREE, STATE]) == {"state": ("cold", "正常", "hot")}


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ({"state": "two.txt"}, r"labels.state = 'two.txt': 2 labels.*3 classes"),
        ({"state": "absent.txt"}, "absent.txt"),
        ({"state": "../two.txt"}, "name of a file in the model's own folder"),
        ({"state": "bad.txt"}, "UTF-8"),
        ({"other": "two.txt"}, r"no such output; the model gives x, state"),
    ],
)
def test_labels_that_do_not_fit(tmp_path: Path, labels: dict[str, str], what: str) -> None:
    (tmp_path / "two.txt").write_text("a\nb\n")
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=what):
        read_labels(tmp_path, ModelConfig(labels=labels), [FREE, STATE])


@pytest.mark.parametrize(
    ("shape", "classes"),
    [((-1, 3), 3), ((-1, 2, 3), 6), ((4,), 4), ((1, 4), 4), ((-1, -1), None), ((-1,), None)],
)
def test_class_count(shape: tuple[int, ...], classes: int | None) -> None:
    assert class_count(TensorSpec("y", "FP32", shape)) == classes


def test_a_share_of_the_runs_stalls() -> None:
    service = Service(median_ms=4.0, stall_share=0.1, stall_factor=30.0)
    random = Random(1)
    drawn = [service.draw_ms(random) for _ in range(2000)]
    assert set(drawn) == {4.0, 120.0}
    assert 0.08 < drawn.count(120.0) / len(drawn) < 0.12
    assert service.mean_ms == pytest.approx(4.0 * (1.0 + 0.1 * 29.0))


def test_versions_are_chosen_of_those_on_disk(tmp_path: Path) -> None:
    def served(text: str) -> tuple[str, ...]:
        return served_versions(tmp_path, read(tmp_path, text), ("1", "2", "10"))

    assert served("") == ("1", "2", "10")
    assert served("[versions]\nlatest = 2") == ("2", "10")
    assert served("[versions]\nlatest = 9") == ("1", "2", "10")
    assert served("[versions]\nonly = [10, 1]") == ("1", "10")
    with pytest.raises(ConfigError, match=r"versions.only names 3.*versions on disk: 1, 2, 10"):
        served("[versions]\nonly = [1, 3]")


def test_an_optional_input_need_not_have_a_free_first_dimension() -> None:
    bias = TensorSpec("bias", "FP32", (1,), optional=True)
    check_batch(Path("c"), ModelConfig(max_batch_size=8), [FREE, bias])
    with pytest.raises(ConfigError, match="'bias'"):
        check_batch(
            Path("c"), ModelConfig(max_batch_size=8), [FREE, TensorSpec("bias", "FP32", (1,))]
        )
