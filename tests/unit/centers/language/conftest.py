"""The two shipped models of texts."""

from __future__ import annotations

import pytest
from gateway_models import repository

from gateway.engine.loaded_model import LoadedModel, load_model


def load(name: str) -> LoadedModel:
    return load_model(repository() / name, "1", ("1",), tensor_elements_max=4_000_000)


@pytest.fixture(scope="session")
def chat_model() -> LoadedModel:
    return load("industry-chat")


@pytest.fixture(scope="session")
def embedder() -> LoadedModel:
    return load("text-embed")
