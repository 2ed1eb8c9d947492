"""What is written beside a model is told as it is, within bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway_models import repository as shipped

from gateway.api import ConfigError, NotFound
from gateway.engine import ModelRepository
from gateway.engine.model_card import CARD_BYTES_MAX, about_model, read_card


def repository(root: Path) -> ModelRepository:
    models = ModelRepository([root], tensor_elements_max=1_000_000)
    models.scan()
    return models


def test_a_shipped_model_says_what_it_is_for_and_how_good_it_is() -> None:
    told = about_model(repository(shipped()), "blast-furnace")
    assert (told["industry"], told["latency_class"]) == ("steel", "A")
    assert "## Quality" in told["card"]
    assert [row["version"] for row in told["versions"]] == ["1"]


def test_a_model_without_a_card(tmp_path: Path) -> None:
    (tmp_path / "m" / "1").mkdir(parents=True)
    (tmp_path / "m" / "1" / "model.onnx").write_bytes(b"x")
    assert about_model(repository(tmp_path), "m")["card"] == ""
    with pytest.raises(NotFound):
        about_model(repository(tmp_path), "other")


def test_a_card_has_a_size(tmp_path: Path) -> None:
    (tmp_path / "card.md").write_bytes(b"x" * (CARD_BYTES_MAX + 1))
    with pytest.raises(ConfigError, match=r"card\.md"):
        read_card(tmp_path)
