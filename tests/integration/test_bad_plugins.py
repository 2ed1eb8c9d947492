"""A bad plugin may cost quality, never availability: through a gateway that serves for real."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf, nan
from typing import Any, ClassVar

import aiohttp
import msgspec
import numpy as np
import pytest
from gateway_models import repository

from gateway.api import Query
from gateway.config import Policy, load_settings
from gateway.loading import Offer, Registry
from gateway.runtime.gateway import Gateway

MODEL = "blast-furnace"
BODY = json.loads((repository() / MODEL / "example.json").read_bytes())
REQUESTS = 30


@dataclass(frozen=True)
class Scorer:
    """Free; what is worse about the others stands in their ``ms``."""

    varies_by: ClassVar[Any] = ()
    reads: ClassVar[Any] = ()
    live: ClassVar[bool] = False
    refresh_ms: ClassVar[float] = 1.0

    def ms(self, query, centers, now):
        return np.zeros(len(centers), np.float32)


def scorer_that(answer: Any, *, per_request: bool = False) -> type:
    @dataclass(frozen=True)
    class Bad(Scorer):
        varies_by: ClassVar[Any] = None if per_request else ()

        def ms(self, query, centers, now):
            return answer(len(centers))

    return Bad


def raises(*arguments: Any) -> Any:
    raise RuntimeError("not today")


BAD_ANSWERS = {
    "raises": raises,
    "nan": lambda n: np.full(n, nan, np.float32),
    "one_nan": lambda n: np.where(np.arange(n) == 3, nan, 0).astype(np.float32),
    "negative": lambda n: np.full(n, -5, np.float32),
    "minus_inf": lambda n: np.full(n, -inf, np.float32),
    "short": lambda n: np.zeros(n - 1, np.float32),
    "square": lambda n: np.zeros((n, n), np.float32),
    "doubles": lambda n: np.zeros(n),
    "nothing": lambda n: None,
}
BAD_SCORERS = {
    **{name: scorer_that(answer) for name, answer in BAD_ANSWERS.items()},
    **{f"{n}_each": scorer_that(a, per_request=True) for n, a in BAD_ANSWERS.items()},
}


@dataclass(frozen=True)
class AdvisoryFilter:
    varies_by: ClassVar[Any] = ("model",)
    reads: ClassVar[Any] = ()
    advisory: ClassVar[bool] = True

    def keep(self, query, centers, now):
        return np.zeros(3, np.bool_)


@dataclass(frozen=True)
class DeafObserver:
    columns: ClassVar[Any] = {}

    def ended(self, outcome, mine, memory):
        raise KeyError("who?")


@dataclass(frozen=True)
class ForbiddenPicker:
    sample: ClassVar[Any] = None
    reads: ClassVar[Any] = ()

    def pick(self, total_ms, candidates, centers, query, now, random, memory):
        return int(total_ms.argmax()) if (total_ms == inf).any() else len(total_ms)


@dataclass(frozen=True)
class RaisingPicker(ForbiddenPicker):
    def pick(self, *arguments):
        raise ZeroDivisionError("no denominator")


@dataclass(frozen=True)
class VaguePicker(ForbiddenPicker):
    def pick(self, total_ms, *rest):
        return float(total_ms.min())


class Switch:
    """A mandatory filter's health, changed while the gateway serves."""

    broken = True


@dataclass(frozen=True)
class MustHold:
    varies_by: ClassVar[Any] = ()
    reads: ClassVar[Any] = ()
    advisory: ClassVar[bool] = False

    def keep(self, query, centers, now):
        if Switch.broken:
            raise OSError("the list of permits is gone")
        return np.ones(len(centers), np.bool_)


SLEPT: list[str] = []


def sleeps(who: str) -> None:
    SLEPT.append(who)
    time.sleep(0.05)


@dataclass(frozen=True)
class SleepyScorer(Scorer):
    def ms(self, query, centers, now):
        sleeps("scorer")
        return np.zeros(len(centers), np.float32)


@dataclass(frozen=True)
class SleepyEachTime(SleepyScorer):
    varies_by: ClassVar[Any] = None


@dataclass(frozen=True)
class SleepyFilter(AdvisoryFilter):
    def keep(self, query, centers, now):
        sleeps("filter")
        return np.ones(len(centers), np.bool_)


@dataclass(frozen=True)
class SleepyPicker(ForbiddenPicker):
    def memory(self, centers, random):
        return {}

    def pick(self, total_ms, *rest):
        sleeps("picker")
        return int(total_ms.argmin())

    def chosen(self, decision, mine, memory):
        pass


@dataclass(frozen=True)
class SleepyObserver(DeafObserver):
    def chosen(self, decision, mine, memory):
        pass

    def ended(self, outcome, mine, memory):
        sleeps("observer")


class Serving:
    """A gateway in this process, and the requests tests send it."""

    def __init__(self, gateway: Gateway, url: str, session: aiohttp.ClientSession) -> None:
        self.gateway, self.url, self.session = gateway, url, session

    async def infer(self) -> tuple[int, str, str]:
        """Status, center, body."""
        async with self.session.post(
            f"{self.url}/v2/models/{MODEL}/infer",
            json=BODY,
            headers={"x-nearway-origin": "Shanghai"},
        ) as answer:
            return answer.status, answer.headers.get("x-nearway-center", ""), await answer.text()

    async def statuses(self, requests: int = REQUESTS) -> set[int]:
        """Some one after another, some at once."""
        one_by_one = [await self.infer() for _ in range(requests // 2)]
        at_once = await asyncio.gather(*(self.infer() for _ in range(requests // 2)))
        return {status for status, _, _ in (*one_by_one, *at_once)}

    def plugins(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in self.gateway.deciding.router.plugin_state()}


@pytest.fixture(autouse=True)
def leave_the_collector_as_it_was() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function: plugins by kind and name, and how to put them in -> a serving gateway."""
    SLEPT.clear()
    Switch.broken = True
    installed = Registry.discover()

    @asynccontextmanager
    async def serve(plugins: dict[str, dict[str, type]], **policy: Any) -> AsyncIterator[Serving]:
        offers = [
            Offer(kind, name, "here", "the test", lambda found=found: found)
            for kind, named in plugins.items()
            for name, found in named.items()
        ]
        monkeypatch.setattr(Registry, "discover", lambda: installed.plus(offers))
        flags = {"server.port": 0, "server.admin_port": 0, "fleet.sites": "core"}
        settings = load_settings(None, flags).settings
        base = settings.policies["predicted_completion"]
        settings = msgspec.structs.replace(
            settings,
            routing=msgspec.structs.replace(settings.routing, policy="bad"),
            policies={**settings.policies, "bad": added(base, plugins, policy)},
        )
        gateway = Gateway(settings, asyncio.get_running_loop())
        try:
            await gateway.load_models()
            url, _ = await gateway.open_doors()
            async with aiohttp.ClientSession() as session:
                yield Serving(gateway, url, session)
        finally:
            await gateway.close()

    return serve


def added(base: Policy, plugins: dict[str, dict[str, type]], changes: dict[str, Any]) -> Policy:
    more = {kind: (*getattr(base, kind), *plugins[kind]) for kind in plugins if kind != "pickers"}
    if "pickers" in plugins:
        more["picker"] = next(iter(plugins["pickers"]))
    return msgspec.structs.replace(base, **{**more, **changes})


async def test_what_raises_or_answers_nonsense_costs_no_request(serving: Any) -> None:
    plugins = {
        "scorers": BAD_SCORERS,
        "filters": {"absent": AdvisoryFilter},
        "observers": {"deaf": DeafObserver},
    }
    async with serving(plugins) as served:
        assert await served.statuses() == {200}
        state = served.plugins()
        for name in (*BAD_SCORERS, "absent", "deaf"):
            assert state[name]["errors"] > 0, name
            assert state[name]["last_error"], name
        assert state["network"]["errors"] == 0
        control = served.gateway.control
        notes = " ".join(control.explain(an_inquiry(served)).notes)
        assert all(f"scorer {name}:" in notes for name in BAD_SCORERS)
        bad_choice = (await served.infer())[1]
    async with serving({}) as served:
        assert bad_choice.rstrip("abc") == (await served.infer())[1].rstrip("abc")


def an_inquiry(served: Serving) -> Query:
    return Query(served.gateway.deciding.find_vantage("Shanghai"), MODEL)


@pytest.mark.parametrize("picker", [ForbiddenPicker, RaisingPicker, VaguePicker])
async def test_a_bad_picker_costs_no_request(serving: Any, picker: type) -> None:
    async with serving({"pickers": {"bad_picker": picker}}) as served:
        assert await served.statuses() == {200}
        assert served.plugins()["bad_picker"]["errors"] >= REQUESTS
        assert any(
            "bad_picker" in note
            for note in served.gateway.control.explain(an_inquiry(served)).notes
        )


@pytest.mark.parametrize(
    ("kind", "plugin"),
    [
        ("scorers", SleepyScorer),
        ("scorers", SleepyEachTime),
        ("filters", SleepyFilter),
        ("pickers", SleepyPicker),
        ("observers", SleepyObserver),
    ],
)
async def test_one_that_sleeps_is_out_after_its_first_call(
    serving: Any, kind: str, plugin: type
) -> None:
    async with serving({kind: {"sleepy": plugin}}) as served:
        at_once = await asyncio.gather(*(served.infer() for _ in range(10)))
        assert {status for status, _, _ in at_once} == {200}
        state = served.plugins()["sleepy"]
        assert state["overruns"] == 1
        assert state["quarantined"]
        assert len(SLEPT) == 1
        assert await served.statuses() == {200}


async def test_a_broken_mandatory_filter_refuses_by_name_until_it_is_whole_or_replaced(
    serving: Any,
) -> None:
    async with serving({"filters": {"permits": MustHold}}) as served:
        for _ in range(3):
            status, center, body = await served.infer()
            assert (status, center) == (503, "")
            assert "permits" in body
        Switch.broken = False
        await asyncio.sleep(0.01)  # a cached row is looked at again after a millisecond
        assert await served.statuses() == {200}
    Switch.broken = True

    @dataclass(frozen=True)
    class Mended(MustHold):
        def keep(self, query, centers, now):
            return np.ones(len(centers), np.bool_)

    async with serving({"filters": {"permits": Mended}}) as served:
        assert await served.statuses() == {200}
