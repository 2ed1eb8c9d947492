"""What a text costs: its first token, writing many at once, and relaying one from elsewhere.

    python -m bench.generation.run [first] [batching] [relay] [--json FILE] [--rounds 5]
                                   [--seconds 2] [--chats 200]

See README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import uvloop

from bench.generation.batching import batching
from bench.generation.first_token import first_token
from bench.generation.relay import relay
from bench.generation.served import Claim

PARTS = ("first", "batching", "relay")


def main() -> None:
    """Measure, print what was found and what was promised, write JSON when asked."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("parts", nargs="*", metavar="|".join(PARTS), help="all unless told")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0)
    options.add_argument("--chats", type=int, default=200)
    options.add_argument("--json", type=Path)
    told = options.parse_args()
    claims: list[Claim] = []
    for part in told.parts or PARTS:
        if part == "first":
            claims += uvloop.run(first_token(told.chats))
        elif part == "batching":
            claims += uvloop.run(batching(told.rounds, told.seconds))
        else:
            claims += uvloop.run(relay(told.rounds, told.seconds))
    print("\n| what | found | promised | kept |\n|---|---:|---:|---|")
    for claim in claims:
        print(f"| {claim.what} | {claim.found:.2f} | {claim.promised} | {claim.word} |")
    if told.json is not None:
        told.json.write_text(json.dumps([claim.told() for claim in claims], indent=1))
    sys.exit(0 if all(claim.kept for claim in claims) else 1)


if __name__ == "__main__":
    main()
