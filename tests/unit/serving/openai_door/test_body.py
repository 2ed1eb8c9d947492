from __future__ import annotations

import json

import pytest

from gateway.api import InvalidRequest
from gateway.serving.openai_door.body import addressed


def test_a_body_without_an_alias_is_the_same_bytes() -> None:
    body = b'{ "model" : "m", "stream": true }'
    route, same = addressed(body, {"x": "y"})
    assert same is body
    assert (route.model, route.stream) == ("m", True)


def test_an_alias_changes_the_model_and_nothing_else() -> None:
    body = b'{"model":"a","x":[1,2.50,{"model":"a"}],"y":"\\u00e9"}'
    route, changed = addressed(body, {"a": 'real "one"'})
    assert route.model == 'real "one"'
    assert json.loads(changed) == {**json.loads(body), "model": 'real "one"'}
    assert b"2.50" in changed


def test_a_name_has_a_bound() -> None:
    with pytest.raises(InvalidRequest, match="characters"):
        addressed(json.dumps({"model": "m" * 1025}).encode(), {})
