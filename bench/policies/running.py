"""Running cells in worker processes: in order, resumable, stopped in time.

Cells that have figures already cost nothing. At most two per worker are handed out ahead, so
that the end of the time budget stops the run within a cell. A cell that the plugins or the
simulator refuse is kept as refused; one that breaks is told and not kept, so the next run
tries it again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context

from bench.policies.cells import Cell, Results, Stored
from bench.policies.measuring import Job, measured
from gateway.api import NearwayError

Told = Callable[[Cell, float], None]
"""Called for each cell that is done, with what it was expected to cost, in seconds."""


@dataclass(slots=True)
class Ran:
    """What came of the jobs: by key; and the cells for which the time did not suffice."""

    stored: dict[str, Stored] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    left: list[Job] = field(default_factory=list)
    reused: int = 0


def run_jobs(
    jobs: Sequence[Job],
    results: Results,
    *,
    workers: int,
    until_s: float,
    told: Told,
    resume: bool,
) -> Ran:
    """Run what is not known yet, first come first served, until ``until_s`` (monotonic)."""
    ran = Ran()
    waiting: list[Job] = []
    for job in jobs:
        known = results.get(job.key) if resume else None
        if known is not None:
            ran.stored[job.key] = Stored(
                cell=job.cell, figures=known.figures, refused=known.refused
            )
            ran.reused += 1
            told(job.cell, job.cost_s)
        else:
            waiting.append(job)
    if not waiting:
        return ran
    # Spawned, not forked: the progress bar has a thread of its own here.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for job, future in _as_completed(pool, waiting, 2 * workers, until_s, ran):
            _keep(job, future, results, ran)
            told(job.cell, job.cost_s)
    return ran


def _as_completed(
    pool: ProcessPoolExecutor, jobs: Sequence[Job], ahead: int, until_s: float, ran: Ran
) -> Iterator[tuple[Job, Future[Stored]]]:
    running: dict[Future[Stored], Job] = {}
    place = 0
    while running or place < len(jobs):
        while place < len(jobs) and len(running) < ahead:
            if time.monotonic() > until_s:
                ran.left = list(jobs[place:])
                place = len(jobs)
                break
            running[pool.submit(measured, jobs[place])] = jobs[place]
            place += 1
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), future


def _keep(job: Job, future: Future[Stored], results: Results, ran: Ran) -> None:
    error = future.exception()
    if error is None:
        stored = future.result()
        results.put(job.key, stored)
        ran.stored[job.key] = stored
    elif isinstance(error, NearwayError | LookupError):
        stored = Stored(cell=job.cell, refused=f"{error}")
        ran.stored[job.key] = stored
    else:
        ran.broken[job.key] = f"{type(error).__name__}: {error}"
