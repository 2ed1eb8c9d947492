"""A promise about time is judged by the majority of up to three rounds of its episode.

A pause of ten milliseconds, of the machine or of a scheduler with ten processes on two cores, is
five late requests at 500 a second: enough to break a p99 over one second. So an episode with such a
promise is played until two rounds agree, three times at most. Every other promise (nothing lost,
nothing wrong, few errors) has to hold in every round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.measure.chaos.episode import Episode
from gateway.measure.chaos.floors import Ruling, floors_of
from gateway.measure.chaos.report import shown

ROUNDS_MAX = 3
TIMED = ("recovery", "slowest")


@dataclass(frozen=True, slots=True)
class Judged:
    """One promise over all rounds of its episode: ``values`` and ``rulings`` by round."""

    title: str
    name: str
    values: tuple[float, ...]
    rulings: tuple[Ruling, ...]

    @property
    def timed(self) -> bool:
        """Whether a restless machine alone can break it."""
        return self.name.startswith(TIMED)

    @property
    def ruling(self) -> Ruling:
        """The majority's where it is about time, else the worst."""
        holds, broken = self.rulings.count("holds"), self.rulings.count("does not")
        if self.timed:
            return "cannot tell" if holds == broken else "holds" if holds > broken else "does not"
        return "does not" if broken else "holds" if holds else "cannot tell"


def judged(rounds: Sequence[Episode]) -> list[Judged]:
    """Every promise of one episode, by fault and name, in their order."""
    found: dict[tuple[str, str], list[tuple[float, Ruling]]] = {}
    for episode in rounds:
        for row in episode.rows:
            for floor in floors_of(row):
                found.setdefault((row.title, floor.name), []).append((floor.value, floor.ruling))
    return [
        Judged(title, name, tuple(value for value, _ in seen), tuple(ruling for _, ruling in seen))
        for (title, name), seen in found.items()
    ]


def enough(rounds: Sequence[Episode]) -> bool:
    """Whether another round could not change what is ruled, or would be one too many."""
    if len(rounds) >= ROUNDS_MAX:
        return True
    most = ROUNDS_MAX // 2 + 1
    return all(
        max(it.rulings.count("holds"), it.rulings.count("does not")) >= most
        for it in judged(rounds)
        if it.timed
    )


def words(every: Sequence[Judged]) -> str:
    """The promises about time as a Markdown table: what each round found."""
    lines = ["| fault | promise | rounds | by their majority |", "|---|---|---|---|"]
    for it in every:
        if it.timed:
            values = ", ".join(shown(value, 2) for value in it.values)
            lines.append(f"| {it.title} | {it.name} | {values} | {it.ruling} |")
    return "\n".join(lines)
