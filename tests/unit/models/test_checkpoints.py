"""A training that was stopped ends with the weights of one that was not. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with the extra `train`")

Modules = Callable[[str], ModuleType]
STEPS, ROUND, BATCH = 12, 16, 4


@pytest.fixture
def fitted(
    training_module: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """The weights after `STEPS` steps in rounds of four; `stop` breaks off in that round."""
    causal, fit = training_module("causal_network"), training_module("causal_fit")

    def run(checkpoint: str, stop: int = 99) -> Any:
        monkeypatch.setenv(training_module("checkpoints").VARIABLE, str(tmp_path / checkpoint))
        torch.manual_seed(1)
        network = causal.Network(causal.Size(vocabulary=20, width=8, layers=1, heads=1, head=4))

        def make(number: int) -> list[Any]:
            if number == stop:
                raise KeyboardInterrupt
            draw = torch.Generator().manual_seed(number)
            texts = torch.randint(20, (ROUND, 6), generator=draw).tolist()
            return [fit.Text(text, 2) for text in texts]

        fit.fit(network, make, steps=STEPS, batch=BATCH)
        return network.state_dict()

    return run


def test_a_stopped_training_goes_on_to_the_same_weights(fitted: Callable[..., Any]) -> None:
    whole = fitted("whole")
    with pytest.raises(KeyboardInterrupt):
        fitted("parts", stop=2)
    resumed = fitted("parts")
    assert all(torch.equal(resumed[name], weight) for name, weight in whole.items())


def test_the_end_is_saved_in_one_file(
    fitted: Callable[..., Any], tmp_path: Path, training_module: Modules
) -> None:
    fitted("kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert training_module("checkpoints").saved()["done"] == STEPS


def test_without_a_name_nothing_is_saved(
    training_module: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = training_module("checkpoints")
    monkeypatch.delenv(checkpoints.VARIABLE, raising=False)
    checkpoints.save(lambda: pytest.fail("nobody wants the state"))
    assert checkpoints.saved() is None
