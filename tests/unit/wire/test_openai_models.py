from __future__ import annotations

import json

from gateway.wire.openai_models import models_object, read_models


def test_a_list_is_read_as_it_is_written() -> None:
    told = models_object(["a", "b/c"], 5)
    assert {model["object"] for model in told["data"]} == {"model"}
    assert read_models(json.dumps(told).encode()) == ["a", "b/c"]


def test_anything_else_is_no_list() -> None:
    for other in (b"", b"[]", b'{"data":1}', b'{"data":[{"name":"x"}]}', b"\xff"):
        assert read_models(other) is None
    assert read_models(b'{"data":[]}') == []
