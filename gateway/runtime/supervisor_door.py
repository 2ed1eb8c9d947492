"""The admin door of several workers: one place to look into all of them and pull their levers.

It has the routes of a gateway's own admin door. What is asked goes to the workers' doors and
comes back as one answer (``merged_answers``); health and draining it answers itself, since
they are decided in this process. A command answers when everybody has acknowledged it, or
says who did not: 503, and what was asked may hold for some.

Faults live where the emulated centers live: in the one process that hosts them all. Where every
center has a URL there are none, and the workers are asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.api import CenterDown, InvalidRequest, NearwayError
from gateway.config.changes import Changes
from gateway.runtime.child_process import Answer, ChildLost, ChildProcess, Worker
from gateway.runtime.look import EVENTS_TOLD
from gateway.runtime.merged_answers import (
    merged_decisions,
    merged_fleet,
    merged_metrics,
    merged_state,
)
from gateway.runtime.workforce import Workforce
from gateway.serving.admin import DrainRequest, ReloadRequest, admin_app, read_body
from gateway.serving.app import metrics_answer
from gateway.serving.boundary import bytes_answer, json_answer, message_answer
from gateway.serving.dashboard import Feed, Look
from gateway.serving.dashboard.routes import PAGES
from gateway.serving.intake import Intake
from gateway.telemetry import catalogue
from gateway.telemetry.answers import joined
from gateway.telemetry.events import RecentEvents

ACKNOWLEDGED_WITHIN_S = 2.0
LOOK_S = 0.005


class SupervisorDoor:
    """Handlers over the workforce in charge, which ``in_charge`` names."""

    def __init__(
        self,
        in_charge: Callable[[], Workforce],
        reload: Callable[[], Awaitable[Changes]],
        target_ms: float,
    ) -> None:
        self._in_charge = in_charge
        self._reload = reload
        self._started_s = time.monotonic()
        self.events = RecentEvents()
        self.feed = Feed(self._seen, target_ms)

    def app(self, intake: Intake, bound_host: str) -> web.Application:
        """All routes, behind the checks of an admin door."""
        routes = [
            ("GET", "/state", self.state),
            ("GET", "/fleet", self.fleet),
            ("GET", "/faults", self.faults),
            ("POST", "/faults", self.change_faults),
            ("DELETE", "/faults", self.change_faults),
            ("GET", "/explain", self.explain),
            ("POST", "/drain", self.drain),
            ("POST", "/reload", self.reload),
            ("GET", "/decisions", self.decisions),
            ("GET", "/metrics", self.metrics),
            ("GET", "/", PAGES.index),
            ("GET", "/dashboard/facts", self.facts),
            ("GET", "/dashboard/events", self.feed.handle),
            ("GET", "/dashboard/models/{name}", self.model),
            ("GET", "/dashboard/{name}", PAGES.file),
        ]
        return admin_app(routes, intake, bound_host)

    # ---- looking ---------------------------------------------------------------------------

    async def state(self, _request: web.Request) -> web.Response:
        """The workers' states as one, each worker's own, and the supervisor's."""
        return json_answer(await self._state())

    async def _state(self) -> dict[str, Any]:
        force = self._in_charge()
        host = force.centers_host
        told = await self._look("/state")
        state = merged_state({slot: msgspec.json.decode(body) for slot, body in told.items()})
        if host is not None:
            (answer,) = await _ask([host], "GET", "/state")
            centers = msgspec.json.decode(answer.body)
            state |= {"models": centers["models"], "delay_line": centers["delay_line"]}
            state["centers_host"] = centers
        state["uptime_s"] = time.monotonic() - self._started_s
        state["supervisor"] = {
            "workers": force.slots,
            "running": len(force.workers),
            "restarts": force.restarts,
            "given_up": sorted(force.given_up),
            "processes": {slot: each.process.pid for slot, each in force.workers.items()},
        }
        return state

    async def fleet(self, _request: web.Request) -> web.Response:
        """A row a center: what the workers know, and the health that was decided here."""
        return json_answer({"centers": await self._fleet()})

    async def _fleet(self) -> list[dict[str, Any]]:
        force, now = self._in_charge(), time.monotonic()
        told = [msgspec.json.decode(body) for body in (await self._look("/fleet")).values()]
        rows = merged_fleet([answer["centers"] for answer in told])
        (answer,) = await _ask(self._holding_faults()[:1], "GET", "/faults")
        faults = msgspec.json.decode(answer.body)["faults"]
        for row, known in enumerate(rows):
            known.update(_health_of(force, row, now, known))
            known["faults"] = [one for one in faults if one["center"] == known["center"]]
        return rows

    async def decisions(self, _request: web.Request) -> web.Response:
        """The last explained decisions of all workers, newest first."""
        told = (await self._look("/decisions")).values()
        return json_answer(merged_decisions([msgspec.json.decode(body) for body in told]))

    async def metrics(self, _request: web.Request) -> web.Response:
        """The workers' figures added up, and how many workers there are."""
        texts = list((await self._look("/metrics")).values())
        return metrics_answer(merged_metrics(texts, self._own_figures()))

    async def facts(self, _request: web.Request) -> web.Response:
        """What does not change on the dashboard, as a worker tells it."""
        told = msgspec.json.decode(next(iter((await self._look("/dashboard/facts")).values())))
        told["faults"] |= self._in_charge().hosts_centers
        return json_answer(told)

    async def _seen(self) -> Look:
        """What the dashboard of all workers sees."""
        answers = (await self._look("/dashboard/answers")).values()
        return Look(
            time.monotonic(),
            joined(list(answers)),
            await self._fleet(),
            await self._state(),
            self.events.since(0)[-EVENTS_TOLD:],
        )

    def _own_figures(self) -> list[Metric]:
        force = self._in_charge()
        running, restarts = catalogue.WORKERS, catalogue.WORKER_RESTARTS
        return [
            GaugeMetricFamily(running.name, running.help, value=len(force.workers)),
            CounterMetricFamily(restarts.name, restarts.help, value=force.restarts),
        ]

    async def explain(self, request: web.Request) -> web.Response:
        """One worker decides without choosing, and speaks for all."""
        return _passed_on(await self._ask_first(_processes(self._workers()), request))

    async def model(self, request: web.Request) -> web.Response:
        """What is written beside a model, as one worker tells it."""
        return _passed_on(await self._ask_first(_processes(self._workers()), request))

    async def faults(self, request: web.Request) -> web.Response:
        """The faults in force, of whoever holds them."""
        return _passed_on(await self._ask_first(self._holding_faults(), request))

    async def _ask_first(self, children: Sequence[ChildProcess], request: web.Request) -> Answer:
        (answer,) = await _ask(children[:1], "GET", request.path_qs)
        return answer

    async def _look(self, path: str) -> dict[int, bytes]:
        """What each worker says, by slot; one that died this moment says nothing.

        Raises CenterDown when nobody says anything.
        """
        workers = self._workers()
        asked = (worker.process.ask("GET", path) for worker in workers)
        told: dict[int, bytes] = {}
        why: BaseException | None = None
        for worker, answer in zip(
            workers, await asyncio.gather(*asked, return_exceptions=True), strict=True
        ):
            if isinstance(answer, Answer):
                told[worker.slot] = answer.body
            else:
                why = answer
        if why is not None and (not told or not isinstance(why, ChildLost)):
            raise CenterDown(str(why)) if isinstance(why, ChildLost) else why
        return told

    # ---- commands --------------------------------------------------------------------------

    async def change_faults(self, request: web.Request) -> web.Response:
        """To everybody who holds faults; the first refusal, or the first answer."""
        body = await request.read()
        media = request.headers.get("Content-Type")
        answers = await _ask(
            self._holding_faults(), request.method, request.path_qs, body=body, content_type=media
        )
        refused = [answer for answer in answers if answer.status >= 400]
        return _passed_on((refused or answers)[0])

    def _holding_faults(self) -> list[ChildProcess]:
        """The centers' host where there is one, else every worker."""
        force = self._in_charge()
        if not force.hosts_centers:
            return _processes(self._workers())
        if force.centers_host is None:
            raise CenterDown("the centers' process is being started again; ask again")
        return [force.centers_host]

    async def drain(self, request: web.Request) -> web.Response:
        """Out of the choice of every worker, or back."""
        asked = await read_body(request, DrainRequest)
        force = self._in_charge()
        for row in _rows_of(force, asked.center):
            force.merger.drain(row, draining=asked.draining)
        await _seen_by_all(force, force.merger.version)
        return json_answer(msgspec.to_builtins(asked))

    async def reload(self, request: web.Request) -> web.Response:
        """Replace the workers by those of the config as it is now; 409: why nothing has changed."""
        await read_body(request, ReloadRequest)
        try:
            return json_answer((await self._reload()).told())
        except NearwayError as error:
            return message_answer(str(error), 409)

    def _workers(self) -> list[Worker]:
        """Those that run, in the order of their slots. Raises CenterDown when there are none."""
        workers = self._in_charge().workers
        if not workers:
            raise CenterDown("no worker runs at this moment; one is being started, ask again")
        return [workers[slot] for slot in sorted(workers)]


def _processes(workers: Sequence[Worker]) -> list[ChildProcess]:
    return [worker.process for worker in workers]


async def _ask(
    children: Sequence[ChildProcess],
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    content_type: str | None = None,
) -> list[Answer]:
    """All of them at once. Raises CenterDown naming those that did not answer."""
    asked = (each.ask(method, path, body=body, content_type=content_type) for each in children)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    told: list[Answer] = []
    silent = []
    for answer in answers:
        if isinstance(answer, Answer):
            told.append(answer)
        elif isinstance(answer, ChildLost):
            silent.append(str(answer))
        else:
            raise answer
    if silent:
        raise CenterDown(
            f"{method} {path}: {len(silent)} of {len(children)} processes did not acknowledge: "
            f"{'; '.join(silent)}"
        )
    return told


def _passed_on(answer: Answer) -> web.Response:
    return bytes_answer(answer.body, answer.status)


async def _seen_by_all(force: Workforce, version: int) -> None:
    """Until every worker goes by ``version``. Raises CenterDown naming those that do not."""
    until_s = time.monotonic() + ACKNOWLEDGED_WITHIN_S
    while True:
        behind = [
            str(worker.process)
            for worker in force.workers.values()
            if not force.merger.has_seen(worker.seat, version)
        ]
        if not behind:
            return
        if time.monotonic() > until_s:
            raise CenterDown(
                f"not acknowledged within {ACKNOWLEDGED_WITHIN_S:.0f} s by {', '.join(behind)}; "
                "it holds for the others"
            )
        await asyncio.sleep(LOOK_S)


def _rows_of(force: Workforce, name: str) -> list[int]:
    rows = [row for row, center in enumerate(force.centers) if center.id == name]
    rows = rows or [row for row, center in enumerate(force.centers) if center.region == name]
    if not rows:
        raise InvalidRequest(
            f"center: {name!r} is neither a center nor a region of this fleet; GET /fleet lists "
            "them"
        )
    return rows


def _health_of(force: Workforce, row: int, now: float, known: dict[str, Any]) -> dict[str, Any]:
    """The fields of a fleet row that are decided here; a slow center is the workers' finding."""
    it = force.merger.condition(row)
    stage = "draining" if it.draining else it.stage
    if stage == "ok" and known["health"] == "slow":
        return {}
    why = it.why(now)
    return {
        "healthy": bool(force.shared["healthy"][row]),
        "health": stage,
        "reason": why or known["reason"],
        "since_s": max(0.0, now - it.since),
        "error_rate": it.error_rate,
    }
