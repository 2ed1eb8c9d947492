"""The real router and the lane's reply fit the seams of the exchange."""

from __future__ import annotations

import inspect

import pytest

from gateway.routing import Router
from gateway.serving.arrival import Answer, Deciding
from gateway.serving.reply import Reply


@pytest.mark.parametrize(
    ("seam", "real"), [(Deciding, Router), (Answer, Reply)], ids=["router", "reply"]
)
def test_every_call_of_the_seam_is_one_the_real_thing_takes(seam: type, real: type) -> None:
    names = [name for name in vars(seam) if not name.startswith("_")]
    assert names
    for name in names:
        asked = inspect.signature(getattr(seam, name)).parameters.values()
        placed = [each.name for each in asked if each.kind is not each.KEYWORD_ONLY]
        named = {each.name: each.name for each in asked if each.kind is each.KEYWORD_ONLY}
        inspect.signature(getattr(real, name)).bind(*placed, **named)
