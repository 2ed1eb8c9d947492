"""``python -m gateway.testing.adversary``: run seeds, print what was done and what broke.

    --seeds N   how many (100)      --first K   the first of them (0)
    --trace     print what happened, line by line; for one seed
    --plant X   with a planted bug, by its name (see ``mutations``)

Exits 1 when an invariant was broken; each such seed is printed with the line that replays it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from gateway.testing.adversary.run import Result, run_seed

PROGRESS_EVERY = 50
SAY: Callable[[str], object] = lambda line: sys.stdout.write(line + "\n")  # noqa: E731  # its name is its use


def main() -> int:
    """0 when every invariant held."""
    given = _arguments()
    logging.disable(logging.CRITICAL)  # what the gateway says of faults is meant to be there
    planted: AbstractContextManager[None] = nullcontext()
    if given.plant:
        from gateway.testing.adversary.mutations import MUTATIONS

        planted = MUTATIONS[given.plant].planted()
    total, broken = Result(given.first), []
    with planted:
        for seed in range(given.first, given.first + given.seeds):
            result = run_seed(seed)
            if given.trace and result.trace is not None:
                SAY(result.trace.text())
            _add(total, result)
            if result.broken is not None:
                broken.append(result)
                SAY(f"seed {seed}: {result.broken}\n    replay: {result.replay}")
            done = seed - given.first + 1
            if done % PROGRESS_EVERY == 0:
                SAY(f"{done} seeds, {len(broken)} broken")
    SAY(_table(total, given.seeds, len(broken)))
    if given.seeds == 1:
        SAY(f"trace {total.digest}")
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.testing.adversary")
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--trace", action="store_true", help="print what happened")
    parser.add_argument("--plant", default="", help="run with this planted bug")
    return parser.parse_args()


def _add(total: Result, one: Result) -> None:
    total.turns += one.turns
    total.requests += one.requests
    total.starts += one.starts
    total.retries += one.retries
    total.hedges += one.hedges
    total.probes += one.probes
    total.answers.update(one.answers)
    total.blows.update(one.blows)
    total.digest = one.digest


def _table(total: Result, seeds: int, broken: int) -> str:
    def row(what: str, counts: Counter[str]) -> str:
        told = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
        return f"{what:>10}  {told}"

    asked = Counter(
        {
            "seeds": seeds,
            "broken": broken,
            "requests": total.requests,
            "attempts": total.starts,
            "retries": total.retries,
            "hedges": total.hedges,
            "probes": total.probes,
            "turns": total.turns,
        }
    )
    answers = Counter({str(status): count for status, count in total.answers.items()})
    lines = [row("ran", asked), row("answers", answers), row("blows", total.blows)]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
