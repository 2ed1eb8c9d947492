"""Three times what the fleet can do: what is served, who waits, how soon others are told.

    python -m bench.overload.run [--seconds 60] [--calm 20] [--seed 1] [--virtual] [--json FILE]

Real gateway process, emulated centers whose slots fill long before the cores do. Two episodes:
classes (a few requests of priority 1 beside a flood of the default class) and tenants (a polite
one beside one that floods). Ends with 1 when a floor is missed, with 2 when one was missed on a
machine too busy to tell. See README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import uvloop

from bench.overload.judging import (
    AFTER_S,
    BACK_WITHIN_S,
    Floor,
    class_floors,
    class_streams,
    is_too_busy,
    rows_of,
    tables,
    tenant_floors,
    tenant_streams,
)
from bench.overload.measuring import Episode, Stream, play
from bench.overload.scene import CAPACITY_PER_S
from bench.overload.virtual import play_virtually

EPISODES: tuple[
    tuple[str, Callable[[float], Sequence[Stream]], Callable[[Episode], list[Floor]]], ...
] = (
    ("Classes", class_streams, class_floors),
    ("Tenants", tenant_streams, tenant_floors),
)


def main() -> None:
    """Measure, print, and end with 1 when a floor is missed, with 2 when that says nothing."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--calm", type=float, default=20.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--virtual", action="store_true", help="rules only, in virtual time")
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    phases_s = (asked.calm, asked.seconds, BACK_WITHIN_S + AFTER_S)
    rows, floors, busy = {}, [], False
    for title, streams_of, floors_of in EPISODES:
        streams = streams_of(CAPACITY_PER_S)
        if asked.virtual:
            episode = play_virtually(streams, phases_s, seed=asked.seed)
        else:
            episode = uvloop.run(play(streams, phases_s, seed=asked.seed))
        found = floors_of(episode)
        print(tables(title, episode, found), flush=True)
        rows[title] = [asdict(row) for row in rows_of(episode)]
        floors += [asdict(floor) for floor in found]
        busy = busy or is_too_busy(episode)
    if asked.json is not None:
        text = json.dumps({"rows": rows, "floors": floors}, indent=1)
        asked.json.write_text(text.replace("NaN", "null"))
    if all(floor["holds"] for floor in floors):
        sys.exit(0)
    if busy:
        print("Cannot tell: the machine was busy, a bare server needed more than 2 ms at p99.")
    sys.exit(2 if busy else 1)


if __name__ == "__main__":
    main()
