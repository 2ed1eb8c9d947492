"""What each attack costs: memory, and the time of the health endpoint beside an idle run.

nearway bench abuse [--lane hot|aiohttp] [--scale 1.0] [NAME ...]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.abuse.attacks import ATTACKS, Attack, one_good
from bench.abuse.target import Target, Watch, raise_own_limit, serving, watching
from bench.abuse.wire import Seen

IDLE_S = 5.0
CONFIG = """
[models]
shipped = false
dirs = ["models"]

[server]
lane = "{lane}"
head_timeout_s = 2.0
body_timeout_s = 2.0
unread_timeout_s = 2.0
"""
ROW = "{:22} {:>8} {:>8} {:>5} {:>8} {:>8} {:>8} {:>5}  {}"


def main() -> int:
    """Exit code 1 when an attack was answered wrong or something was left behind."""
    parser = argparse.ArgumentParser(prog="nearway bench abuse", description=__doc__)
    parser.add_argument("names", nargs="*", help="attacks; all when none is named")
    parser.add_argument("--lane", choices=("hot", "aiohttp"), action="append")
    parser.add_argument("--scale", type=float, default=1.0)
    asked = parser.parse_args()
    attacks = [one for one in ATTACKS if not asked.names or one.name in asked.names]
    if not attacks:
        parser.error(f"no such attack; there are {', '.join(one.name for one in ATTACKS)}")
    limit = raise_own_limit()
    wrong = 0
    for lane in asked.lane or ("hot", "aiohttp"):
        print(f"\nlane {lane}; this process may open {limit} files; scale {asked.scale:g}")
        print(ROW.format("attack", "peak MB", "kept MB", "fds", "p50 ms", "p99 ms", "max ms",
                         "lost", "seen"))  # fmt: skip
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(Path(folder), CONFIG.format(lane=lane), scale=asked.scale) as target,
        ):
            wrong += sum(not judged(target, one) for one in (None, *attacks))
    return 1 if wrong else 0


def judged(target: Target, attack: Attack | None) -> bool:
    """Run one (None: an idle run) and print its row."""
    seen: Seen = Counter()
    with watching(target) as watch:
        if attack is None:
            time.sleep(IDLE_S)
        else:
            seen = asyncio.run(attack.run(target))
    bad = attack is not None and not attack.suits(seen)
    bad = bad or bool(watch.health.failures) or watch.descriptors_left > 0
    bad = bad or (attack is not None and watch.growth_mb > attack.growth_mb)
    bad = bad or asyncio.run(one_good(target)) != "200"
    told = " ".join(f"{status}×{count}" for status, count in sorted(seen.items()))
    _print(attack.name if attack else "(idle)", watch, told + ("  WRONG" if bad else ""))
    return not bad


def _print(name: str, watch: Watch, told: str) -> None:
    health = watch.health
    print(
        ROW.format(
            name,
            f"{watch.growth_mb:.1f}",
            f"{watch.kept_mb:.1f}",
            watch.descriptors_left,
            f"{health.quantile(0.5):.1f}",
            f"{health.quantile(0.99):.1f}",
            f"{health.quantile(1.0):.1f}",
            len(health.failures),
            told,
        ),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
