"""Prefix affinity: a prompt goes where most of its beginning has been read already.

A language server keeps what it computed of a prompt (its KV cache) and reuses it for the next
prompt that begins alike: the same system prompt, the same document, the turns of one talk. What
it need not read again is time to the first token saved. The idea is that of cache-aware routing
over a prefix tree (SGLang, Zheng et al., 2024); here the tree is flat: a prompt is cut
into blocks of ``block_bytes``, each block's hash covers all before it, and for every hash stands
which centers were given it. A center is charged ``ms_per_kb`` for what it has not seen: the time
its model takes to read so much. So affinity is weighed against queue and network in the same unit,
and a center that is busier than its cache is worth is left.

What was sent there is a guess at what is kept there; the ``remember`` blocks used last are known.
Only prompts of ``/v1`` are seen: a request without one costs nothing anywhere.

    scorers = ["network", "queue", "service", { name = "prefix_affinity", ms_per_kb = 4.0 }]
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from math import inf
from typing import Any, ClassVar

import numpy as np

from gateway.api import F32N, PER_REQUEST, Array, Center, Centers, Decision, Query, Varies

BLOCKS_MAX = 256


class Blocks:
    """By a block's hash, the rows that were given it."""

    def __init__(self) -> None:
        self.topology: Sequence[Center] = ()
        self.rows: dict[bytes, set[int]] = {}
        self._prompt = b""
        self._hashes: tuple[bytes, ...] = ()

    def of(self, prompt: bytes, block_bytes: int) -> tuple[bytes, ...]:
        """The hashes of its whole blocks; the last prompt's are kept."""
        if prompt is not self._prompt:
            self._prompt, self._hashes = prompt, chained(prompt, block_bytes)
        return self._hashes

    def seen(self, hashes: tuple[bytes, ...], centers: Centers) -> Array:
        """int32[N]: how many of the first blocks each center was given."""
        if centers.topology is not self.topology:
            self.topology, self.rows = centers.topology, {}
        blocks = np.zeros(len(centers), dtype=np.int32)
        left = self.rows.get(hashes[0], set())
        for count, name in enumerate(hashes, 1):
            left = left & self.rows.get(name, set())
            if not left:
                break
            blocks[list(left)] = count
        return blocks

    def give(self, hashes: tuple[bytes, ...], row: int, remember: int) -> None:
        """The center reads them now; beyond ``remember`` the least recently used are forgotten."""
        for name in hashes:
            given = self.rows.pop(name, set())
            given.add(row)
            self.rows[name] = given
        for name in list(islice(self.rows, max(0, len(self.rows) - remember))):
            del self.rows[name]


@dataclass(frozen=True)
class PrefixAffinity:
    """Charges each center for what it must read of the prompt."""

    ms_per_kb: float
    block_bytes: int = 256
    remember: int = 16_384
    _blocks: Blocks = field(default_factory=Blocks, init=False, repr=False, compare=False)

    varies_by: ClassVar[tuple[Varies, ...] | None] = PER_REQUEST
    reads: ClassVar[tuple[str, ...]] = ()
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 0.0
    is_time: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.ms_per_kb < inf:
            raise ValueError(f"ms_per_kb = {self.ms_per_kb}; expected ms >= 0")
        if not 16 <= self.block_bytes <= 65_536:
            raise ValueError(f"block_bytes = {self.block_bytes}; expected 16 to 65536")
        if self.remember < 1:
            raise ValueError(f"remember = {self.remember}; expected 1 block or more")

    def ms(self, query: Query, centers: Centers, now: float) -> F32N:
        """float32[N], ms: 0 where all whole blocks of the prompt were read."""
        hashes = self._blocks.of(query.prompt, self.block_bytes)
        if not hashes:
            return np.zeros(len(centers), dtype=np.float32)
        unseen = len(hashes) - self._blocks.seen(hashes, centers)
        charge_ms: F32N = (unseen * (self.ms_per_kb * self.block_bytes / 1024)).astype(np.float32)
        return charge_ms

    def chosen(self, decision: Decision, mine: MutableMapping[str, Array], memory: Any) -> None:
        """The center that was chosen reads the prompt."""
        hashes = self._blocks.of(decision.query.prompt, self.block_bytes)
        if hashes:
            self._blocks.give(hashes, decision.center, self.remember)


def chained(prompt: bytes, block_bytes: int) -> tuple[bytes, ...]:
    """One hash a whole block, each of all up to its end; at most ``BLOCKS_MAX``."""
    whole = min(len(prompt) // block_bytes, BLOCKS_MAX)
    running, hashes = blake2b(digest_size=8), []
    for place in range(whole):
        running.update(prompt[place * block_bytes : (place + 1) * block_bytes])
        hashes.append(running.copy().digest())
    return tuple(hashes)
