"""What each model's module hands to `make.py`: how to train it and how to measure it.

A module `<name>.py` beside its plant `<name>_plant.py` exposes `MODELS`, a tuple of `Training`, one
for each folder of `models/gateway_models` that it makes. The plant exposes `SPLITS` and
`generate(count, seed)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured metric beside the naive guess, the noise floor or ceiling, and the target.

    A `share` of 0..1 is shown in per cent. `naive` and `floor` are None where there is no such
    thing, `target` is None for a figure that is only told.
    """

    metric: str
    ours: float
    naive: float | None = None
    floor: float | None = None
    target: float | None = None
    better: Literal["higher", "lower"] = "higher"
    unit: str = ""
    digits: int = 3

    def holds(self) -> bool:
        """Is the target met? True when there is none; not-a-number meets none."""
        if self.target is None:
            return True
        return self.ours >= self.target if self.better == "higher" else self.ours <= self.target

    def spell(self, value: float | None) -> str:
        """A value in the words of a table; shares in per cent."""
        if value is None:
            return "–"
        if self.unit == "%":
            return f"{100 * value:.{self.digits}f} %"
        return f"{value:.{self.digits}f} {self.unit}".rstrip()

    def spell_target(self) -> str:
        """The target with its sign; a dash when there is none."""
        sign = "≥" if self.better == "higher" else "≤"
        return "–" if self.target is None else f"{sign} {self.spell(self.target)}"


def share(metric: str, ours: float, naive: float | None, floor: float | None) -> Figure:
    """A share without a target, to one digit of a per cent; `dataclasses.replace` adds one."""
    return Figure(metric=metric, ours=ours, naive=naive, floor=floor, unit="%", digits=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How one model folder comes about.

    `train()` writes `1/model.onnx`, `example.json` and label files by means of `export`.
    `measure(seed)` runs the exported file, never the network, on samples of that seed; it is called
    with `SPLITS.card` after a training and with `SPLITS.check` by a check, and takes at most about
    half a minute.
    """

    name: str
    """Of the folder in `models/gateway_models`."""
    train: Callable[[], None]
    measure: Callable[[int], Sequence[Figure]]
    naive: str
    """What the naive guess is called in the table."""
    floor: str
    """What the last column is called: `noise floor` or `ceiling`."""
    notes: str
    """How it was measured; stands below the table of the card."""
    sources: tuple[str, ...] = ()
    """Further modules whose change makes the model stale, e.g. `rail_inspection_parts`."""
    minutes: float = 5.0
    """About how long training takes on one core; the longest is begun first."""
