"""What must hold of a system: at every turn, and when all is over.

A check reads the parts' own state, so it knows their private names; it writes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from gateway.serving.deadlines import SWEPT_FROM
from gateway.testing.adversary.broken import InvariantBroken
from gateway.testing.adversary.clients import Client
from gateway.testing.adversary.generation import Generation
from gateway.testing.adversary.ledger import fleet_counts, own_ms_of
from gateway.testing.adversary.system import System

CLIENT_GONE = 499
TABLES_MAX = 256
PROBE_SLACK_S = 1.0


def check_turn(system: System) -> None:
    """Between two turns; cheap when nothing moved."""
    loop = system.loop
    if loop.faults:
        raise _fault(loop.faults[0])
    for generation in system.generations:
        if generation.ledger.moved:
            _check_generation(generation)


def _check_generation(generation: Generation) -> None:
    """Its two pairs of books agree."""
    ledger, shared = generation.ledger, generation.front.collaborators
    ledger.check(generation.fleet)
    in_flight = generation.lasting.metrics.in_flight
    if not 0 <= in_flight <= generation.settings.server.in_flight_max:
        raise InvariantBroken("in flight", f"{in_flight} requests are said to be under way")
    paid = sum(1 for call in ledger.open if call.paid)
    if shared.retries.in_flight != paid:
        raise InvariantBroken(
            "retry budget",
            f"{shared.retries.in_flight} paid retries are said to be under way, {paid} are",
        )
    looked_at = len(shared.deadlines)
    if looked_at > max(SWEPT_FROM, 4 * len(ledger.open)) + 1:
        raise InvariantBroken("bounded", f"{looked_at} entries wait for {len(ledger.open)} tries")


def check_probed(system: System) -> None:
    """Who is ejected is looked at again when that is due."""
    now = system.loop.time()
    for row, condition in enumerate(system.generation.fleet._health.conditions):
        if condition.stage == "ejected" and condition.probe_at < now - PROBE_SLACK_S:
            raise InvariantBroken("recovery", f"center {row} is ejected and nobody looks at it")


def check_drained(system: System, clients: list[Client]) -> None:
    """Nobody asks any more: everything is given back, everybody was answered."""
    for client in clients:
        lost = client.unanswered
        if lost and not client.was_excused:
            raise InvariantBroken(
                "one answer",
                f"client {client.name} ({client.manner}): request {lost[0].number} was read and "
                "is not answered",
            )
        if client.broken_off and not client.was_excused:
            raise InvariantBroken("one answer", f"client {client.name}: half an answer")
    if system.lasting.metrics.in_flight:
        raise InvariantBroken("in flight", f"{system.lasting.metrics.in_flight} are left over")
    for generation in system.generations:
        if generation.ledger.open:
            raise InvariantBroken("in flight", f"{len(generation.ledger.open)} attempts are left")
        for row, count in enumerate(fleet_counts(generation.fleet)):
            if count or own_ms_of(generation.fleet, row):
                raise InvariantBroken("charged", f"center {row} keeps {count} requests")
        if generation.front.collaborators.retries.in_flight:
            raise InvariantBroken("retry budget", "retries are paid for that are over")
    _check_books(system, clients)


def _check_books(system: System, clients: list[Client]) -> None:
    metrics = system.lasting.metrics
    counted: Counter[int] = Counter()
    for codes in metrics._requests.values():
        counted.update(codes)
    seen: Counter[int] = Counter()
    cut = 0
    for client in clients:
        seen.update(answer.status for answer in client.reader.answers)
        cut += client.broken_off or (client.left or client.was_reset)
    gone = counted.pop(CLIENT_GONE, 0)
    more = sum(counted.values()) - sum(seen.values())
    if not 0 <= more <= cut or not seen[200] <= counted[200] <= seen[200] + cut:
        raise InvariantBroken(
            "books", f"answers counted {dict(counted)}, seen {dict(seen)}, {gone} gone, {cut} cut"
        )
    ledgers = [generation.ledger for generation in system.generations]
    endings: Counter[str] = Counter()
    for ledger in ledgers:
        endings.update(ledger.endings)
    picks = sum(metrics._picks) + sum(metrics._former_picks.values())
    for what, count, seen_count in (
        ("picks", picks, sum(ledger.starts for ledger in ledgers)),
        ("retries", metrics._retries, sum(ledger.retries for ledger in ledgers)),
        ("endings", metrics._endings, dict(endings)),
    ):
        if count != seen_count:
            raise InvariantBroken("books", f"{what}: {count} counted, {seen_count} seen")


def check_over(system: System) -> None:
    """Everything is stopped: nothing waits, nothing is due, nothing is kept."""
    left = [task for task in asyncio.all_tasks(system.loop) if not task.done()]
    running = asyncio.current_task(system.loop)
    others = [task.get_name() for task in left if task is not running]
    if others:
        raise InvariantBroken("bounded", f"tasks are left: {sorted(others)}")
    timers = system.loop.pending_timers()
    if timers:
        raise InvariantBroken("bounded", f"{len(timers)} timers are left, one is {timers[0]}")
    if len(system.lane.connections):
        raise InvariantBroken("bounded", f"{len(system.lane.connections)} connections are left")
    for generation in system.generations:
        recorder, starts = generation.recorder, generation.ledger.starts
        if recorder.records + recorder.dropped != starts or recorder._open:
            raise InvariantBroken(
                "books",
                f"decision log: {recorder.records} records, {recorder.dropped} dropped, "
                f"{starts} attempts",
            )
        prober = generation.front.prober
        if prober._out or any(prober._out_at):
            raise InvariantBroken("bounded", f"{prober._out} probes are still out")
    for remote in system.ports.remote:
        if remote.pool.open_count or remote.pool.waiting_count:
            raise InvariantBroken("bounded", f"connections to {remote.center.id} are left")
    for port in system.ports.here:
        if port.free_slots != port.center.slots:
            raise InvariantBroken("bounded", f"{port.center.id} has {port.free_slots} slots free")
    if system.engine.runner.running:
        raise InvariantBroken("bounded", "runs are left in the engine")
    _check_sizes(system)


def _check_sizes(system: System) -> None:
    lane, fleet = system.lane, system.generation.fleet
    for name, size in (
        ("known heads", sum(len(cache) for cache in lane._heads)),
        ("residuals", len(fleet.residuals.ended)),
        ("explained decisions", len(system.generation.front.decisions.kept())),
    ):
        if size > 4 * TABLES_MAX:
            raise InvariantBroken("bounded", f"{name}: {size} entries")


def _fault(context: dict[str, Any]) -> InvariantBroken:
    """What a callback raised: an invariant of its own, or a surprise."""
    error = context.get("exception")
    if isinstance(error, InvariantBroken):
        return error
    broken = InvariantBroken("no surprise", f"{context.get('message')}: {error!r}")
    broken.__cause__ = error
    return broken
