"""An alias of nothing is said when the config is read."""

from __future__ import annotations

import pytest

from gateway.api import Center, ConfigError, Location
from gateway.runtime.alias_check import check_aliases


def center(*models: str, url: str | None = None) -> Center:
    return Center("c", "r", "z", "City", "CN", Location(30.0, 120.0), models=models, url=url)


HERE = (center("mlp", "grid-*"),)
MODELS = ("mlp", "grid-load", "rail")


@pytest.mark.parametrize("target", ["mlp", "mlp/3", "grid-load"])
def test_a_model_that_is_served_will_do(target: str) -> None:
    check_aliases({"fast": target}, HERE, MODELS)


def test_what_another_machine_serves_is_believed() -> None:
    owned = center("org/*", url="http://127.0.0.1:1")
    check_aliases({"fast": "org/far-70b", "old": "org/far-70b/2"}, (*HERE, owned), MODELS)
    check_aliases(
        {"fast": "far", "a/b": "far"}, (*HERE, center("f*", url="http://127.0.0.1:1")), MODELS
    )


@pytest.mark.parametrize(
    ("alias", "target", "what"),
    [
        ("fast", "grid-lode", "there is no such model; did you mean 'grid-load'"),
        ("fast", "nothing", "there is no such model; nearway models lists them"),
        ("fast", "rail", "no center serves that model"),
        ("fast", "mlp/0", "'0' is no version; expected MODEL or MODEL/2"),
        ("fast", "mlp/new", "there is no such model"),
        ("fast", "mlp/", "there is no such model"),
        ("rail", "mlp", "there is a model 'rail'; expected another name"),
        ("fast", "old", "'old' is an alias; expected the model it stands for"),
    ],
)
def test_what_is_wrong_is_said(alias: str, target: str, what: str) -> None:
    aliases = {alias: target, "old": "mlp"}
    with pytest.raises(ConfigError, match=f"models.aliases: '{alias}' = '{target}': {what}"):
        check_aliases(aliases, HERE, MODELS)
