"""A run that never was: cells with figures as one wishes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.peers.measuring import Cell, Load

AT = Load(16)
MadeCells = Callable[..., list[Cell]]


@pytest.fixture
def made_cells() -> MadeCells:
    """(row, CPU µs, load, rounds, p50 µs) -> a cell a round, a little apart."""

    def make(
        row: str, cpu_us: float, load: Load = AT, rounds: int = 5, p50_us: float = 100.0
    ) -> list[Cell]:
        return [
            Cell(
                row=row,
                load=load,
                round=number,
                cpu_us=cpu_us * (1 + 0.001 * (-1) ** number),
                requests_per_s=1_000.0,
                mean_us=p50_us,
                p50_us=p50_us + 0.1 * (-1) ** number,
                p99_us=10 * p50_us,
                resident_mb=50.0,
                peer_share=0.9,
                generator_share=0.4,
                upstream_share=0.3,
            )
            for number in range(rounds)
        ]

    return make
