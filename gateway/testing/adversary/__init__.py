"""Deterministic simulation testing: the real gateway in virtual time, under a seeded adversary.

``loop`` and ``sockets`` are the world's physics, ``network`` and ``processes`` who lives in it,
``system`` the gateway put together, ``clients`` who asks, ``faults`` who attacks, ``ledger`` and
``invariants`` what must hold. ``run_seed`` runs one seed, ``mutations`` proves that a bug would
be seen. A seed that fails is replayed by one line, which its result bears.
"""

from gateway.testing.adversary.broken import InvariantBroken
from gateway.testing.adversary.run import Result, run_seed

__all__ = ["InvariantBroken", "Result", "run_seed"]
