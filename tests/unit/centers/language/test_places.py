from __future__ import annotations

from typing import Any

import pytest
from gateway_models import repository

from gateway.api import CenterBusy
from gateway.centers.language.places import Places, check_room
from gateway.engine.generation import GenerationThread
from gateway.engine.loaded_model import load_model


def test_a_place_a_version_until_it_is_loaded_anew(chat_model: Any) -> None:
    places = Places(GenerationThread(lambda *_: None))
    first = places.of(chat_model, chat_model.language)
    assert places.of(chat_model, chat_model.language) is first
    again = load_model(repository() / "industry-chat", "1", ("1",), tensor_elements_max=4_000_000)
    second = places.of(again, again.language)  # type: ignore[arg-type]  # it has one
    assert second is not first
    places.forget("industry-chat")
    assert places.of(again, again.language) is not second  # type: ignore[arg-type]


def test_there_is_a_bound(chat_model: Any) -> None:
    place = Places(GenerationThread(lambda *_: None)).of(chat_model, chat_model.language)
    place.texts = 7
    check_room(place, "c", 8)
    place.texts = 8
    with pytest.raises(CenterBusy, match="center c"):
        check_room(place, "c", 8)
