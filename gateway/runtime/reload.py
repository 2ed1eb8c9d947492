"""Taking over a new config while requests are under way, whole or not at all.

Theory of operation. Everything that a config decides is a ``Generation``. ``Reloader.reload``

1. reads config and fleet file; builds the deciding half, opens new and changed models, reads the
   sources, connects to centers that are new: all beside the generation in force, off the loop
   where it takes long. Anything wrong raises, and what was built is thrown away;
2. brings it into force in one turn of the loop (``come_into_force``): whatever was learned of
   centers that stay goes over, ports that stay move to their new rows, and the doors lead every
   request that begins from then on to the new generation;
3. lets the generation before end: what it charged it refunds, as answers come; then connections
   that only it had are closed.

Policies, plugins with their parameters, models and fleet are made anew each time; the *code* of a
plugin that was imported once is not read again. ``FIXED`` keys belong to sockets, threads or
buffers that live as long as the process: they are named, and stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING

from gateway.api import NearwayError
from gateway.config import Settings
from gateway.config.changes import Changes, center_changes, settings_changes, with_kept
from gateway.engine import ModelRepository
from gateway.fleet.kept_rows import kept_rows
from gateway.runtime.alias_check import check_aliases
from gateway.runtime.deciding import Deciding, build_deciding, model_roots
from gateway.runtime.generation import Generation, rows_by_id
from gateway.runtime.plugin_clock import plugin_clock

if TYPE_CHECKING:
    from gateway.runtime.gateway import Gateway

log = logging.getLogger("nearway.reload")

END_S = 1.0
CERTIFICATE = "server.tls_cert (contents)"
FIXED = (
    "server.host",
    "server.port",
    "server.admin_host",
    "server.admin_port",
    "server.grpc_port",
    "server.grpc_calls_max",
    "server.workers",
    "server.lane",
    "server.tls_cert",
    "server.tls_key",
    "server.head_bytes_max",
    "server.body_bytes_max",
    "server.tensor_elements_max",
    "models.custom_ops",
    "models.threads_max",
    "models.inline_below_ms",
)


class Reloader:
    """One at a time; ``load`` reads the config. ``last``: how the last one ended, for the state."""

    def __init__(self, gateway: Gateway, load: Callable[[], Settings]) -> None:
        self._gateway = gateway
        self._load = load
        self._one_at_a_time = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()
        self.reloads = 0
        self.refused = 0
        self.last_error = ""

    async def reload(self) -> Changes:
        """Take over the config as it is now. Raises NearwayError: nothing has changed."""
        async with self._one_at_a_time:
            began_s = time.monotonic()
            try:
                changes = await self._reload()
            except NearwayError as error:
                self.refused += 1
                self.last_error = str(error)
                log.error("the config was not taken over, the one before stays: %s", error)
                raise
            self.last_error = ""
            self.reloads += changes.any
            for line in changes.lines():
                log.warning("%s", line)
            took_ms = (time.monotonic() - began_s) * 1e3
            what = "is in force" if changes.any else "changes nothing"
            log.warning("the config that was read %s (%.0f ms)", what, took_ms)
            return changes

    def state(self) -> dict[str, object]:
        """JSON-ready."""
        return {
            "reloads": self.reloads,
            "refused": self.refused,
            "last_error": self.last_error,
            "generations_ending": len(self._ending),
        }

    async def stop(self) -> None:
        """Whatever has not ended by now is let go."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_S):
                await self.settled()

    async def settled(self) -> None:
        """Until every generation before the one in force has ended."""
        await asyncio.gather(*self._ending)

    async def _reload(self) -> Changes:
        before = self._gateway.generation
        read = await asyncio.to_thread(self._load)
        differs = settings_changes(before.settings, read)
        renewed = await asyncio.to_thread(self._renewed)
        fixed = {key: pair for key, pair in differs.items() if key in FIXED}
        settings = with_kept(before.settings, read, fixed)
        if renewed is not None:
            differs[CERTIFICATE] = renewed
        deciding = await asyncio.to_thread(
            build_deciding, settings, plugin_clock(), None, before.deciding.gazetteer.places
        )
        repository = await asyncio.to_thread(
            partial(before.repository.renewed, on_demand=settings.models.load == "on_demand"),
            model_roots(settings),
            _declared_here(deciding),
        )
        check_aliases(settings.models.aliases, deciding.centers, repository.names())
        changes = _changes(before, deciding, repository, differs, fixed)
        if not changes.any:
            return changes
        after = Generation(self._gateway.lasting, deciding, repository, before)
        try:
            await _make_ready(after)
            after.make_log()
        except BaseException:
            await after.close()
            await after.reach.close_all_but(before.reach)
            raise
        self._take(before, after, changes)
        return changes

    def _renewed(self) -> tuple[object, object] | None:
        """Is there another certificate where the one in force lay? Raises ConfigError."""
        certificate = self._gateway.door.certificate
        return None if certificate is None else certificate.changed()

    def _take(self, before: Generation, after: Generation, changes: Changes) -> None:
        gateway = self._gateway
        come_into_force(before, after, gateway.line.now())
        gateway.take(after)
        logging.getLogger().setLevel(after.settings.telemetry.log_level.upper())
        after.residency.start()
        after.start_writing()
        ending = self._end(before, after, frozenset(changes.models_removed))
        task = asyncio.create_task(ending, name="end the config before")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end(self, before: Generation, after: Generation, gone: frozenset[str]) -> None:
        """What is under way ends; then let go of what nobody needs any more."""
        await before.stop_asking()
        attempts = before.settings.attempts
        if not await before.emptied((attempts.deadline_ms + attempts.silence_ms) / 1e3):
            left = before.deciding.fleet.in_flight
            log.warning("%d attempts of the config before had no end", left)
        await before.close()
        await before.reach.close_all_but(after.reach)
        kept = {id(port) for port in after.reach.emulated}
        back = self._gateway.generation.residents.by_model.keys()
        for port in before.reach.emulated:
            if id(port) in kept:
                port.lose(gone - back)
            else:
                port.give_up(port.resident)


def _declared_here(deciding: Deciding) -> Callable[[str], bool]:
    patterns = {p for center in deciding.centers if center.url is None for p in center.models}
    return lambda name: any(fnmatchcase(name, pattern) for pattern in patterns)


def _changes(
    before: Generation,
    deciding: Deciding,
    repository: ModelRepository,
    differs: dict[str, tuple[object, object]],
    fixed: dict[str, tuple[object, object]],
) -> Changes:
    was, now = before.repository.present(), repository.present()
    added, removed, changed = center_changes(before.deciding.centers, deciding.centers)
    return Changes(
        {key: pair for key, pair in differs.items() if key not in fixed},
        fixed,
        added,
        removed,
        changed,
        tuple(sorted(now.keys() - was.keys())),
        tuple(sorted(was.keys() - now.keys())),
        tuple(sorted(name for name in was.keys() & now.keys() if was[name] is not now[name])),
    )


async def _make_ready(after: Generation) -> None:
    """Feed it, and reach what is new. A center that cannot be reached is no error."""
    await after.sources.start()
    kept = {id(port) for port in after.reach.kept}
    await after.reach.open_new()
    await after.residency.ask(
        spared=[center for center in after.reach.remote if id(center) in kept]
    )


def come_into_force(before: Generation, after: Generation, now: float) -> None:
    """All that must happen in one turn of the loop, but for the doors."""
    rows = rows_by_id(before.deciding, after.deciding)
    _catch_up(before.repository, after.repository)
    if after.faults is not before.faults:
        after.faults.take(before.faults, rows)
    after.residency.carry_over(before.residency, rows)
    engine = after.lasting.engine
    engine.take(after.repository)
    engine.on_residency, engine.on_cold = after.residents.told, after.residents.cold
    engine.memory_bytes_max = int(after.settings.models.memory_mb_max * 1e6)
    _hand_over_models(before, after)
    after.reach.settle(after.residents.told, after.residents.cold, after.reach_changed)
    _settle_models(before, after)
    fleet = after.deciding.fleet
    kept = kept_rows(before.deciding.centers, after.deciding.centers)
    fleet.carry_over(before.deciding.fleet, kept, now)
    draining = before.deciding.fleet.draining
    for old, new in rows.items():
        if draining(old):
            fleet.drain(new, draining=True)


def _catch_up(before: ModelRepository, after: ModelRepository) -> None:
    """What was loaded or unloaded by hand while the new generation was being built."""
    for name in before.present().keys() | after.present().keys():
        if not after.follows(before, name):
            after.take_over(name, before)
    after.follow_no_more()


def _hand_over_models(before: Generation, after: Generation) -> None:
    """The new fleet learns which models the ports that stay have."""
    present = after.repository.present()
    old_rows = {id(port): row for row, port in enumerate(before.reach.all)}
    here = {id(port) for port in after.reach.emulated}
    kept = {id(port) for port in after.reach.kept}
    for row, port in enumerate(after.reach.all):
        if id(port) not in kept:
            continue
        old_row = old_rows[id(port)]
        for model, run_ms in before.residents.at(old_row).items():
            if id(port) not in here:
                after.residents.told(model, row, True, run_ms)
                cold_ms = before.residents.cold_at.get((model, old_row), 0.0)
            elif model in present:
                after.residents.told(model, row, True, present[model].run_ms)
                cold = after.repository.cold(model)
                cold_ms = 0.0 if cold is None else cold.load_ms
            else:
                continue
            if cold_ms:
                after.residents.cold(model, (row,), cold_ms, run_ms)


def _settle_models(before: Generation, after: Generation) -> None:
    """Centers of this process serve new models. Those that are gone are chosen no more, but
    stay in memory for the requests that were sent before (``_end``).
    """
    was, present = before.repository.present(), after.repository.present()
    kept = {id(port) for port in after.reach.kept}
    for port in after.reach.emulated:
        for model in present.keys() - was.keys() if id(port) in kept else present:
            if not port.declares(model):
                continue
            if model in port.resident:  # it was gone for so short that the port still has it
                after.residents.told(model, port.row, True, present[model].run_ms)
            else:
                port.adopt(model)
    for model in was.keys() - present.keys():
        after.repository.take_over(model, before.repository)
