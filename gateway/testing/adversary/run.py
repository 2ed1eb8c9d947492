"""One seed: a system is drawn, attacked while it is asked, healed, asked again and stopped.

    draw ─▶ start ─▶ clients ask, the adversary strikes ─▶ heal ─▶ calm ─▶ all answered?
         ─▶ a few more requests, which must be answered well ─▶ stop ─▶ is anything left?

Everything random comes from the seed, everything that takes time is virtual.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from gateway.testing.adversary.broken import InvariantBroken
from gateway.testing.adversary.clients import MANNER_WEIGHTS, MANNERS, Client, Vandal, make_request
from gateway.testing.adversary.faults import Adversary
from gateway.testing.adversary.invariants import (
    check_drained,
    check_over,
    check_probed,
    check_turn,
)
from gateway.testing.adversary.loop import VirtualLoop
from gateway.testing.adversary.network import Network
from gateway.testing.adversary.shapes import draw_shape
from gateway.testing.adversary.system import System
from gateway.testing.adversary.trace import Trace

ATTACKED_S = 2.0
CALM_S = 12.0
"""After this every center has been probed, however often it was out."""
BURSTS = 5
BURST_S = 0.002
TURNS_MAX = 40_000
"""Some thousands are usual."""
QUIET_S = 3.0
CLOSINGS_MAX = 8


@dataclass(slots=True)
class Result:
    """What became of one seed. ``broken``: the invariant that did not hold, None when all did."""

    seed: int
    broken: InvariantBroken | None = None
    digest: str = ""
    turns: int = 0
    requests: int = 0
    starts: int = 0
    retries: int = 0
    hedges: int = 0
    probes: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    blows: Counter[str] = field(default_factory=Counter)
    trace: Trace | None = None

    @property
    def replay(self) -> str:
        """The one line that does it again."""
        return f"python -m gateway.testing.adversary --first {self.seed} --seeds 1 --trace"


def run_seed(seed: int) -> Result:
    """Never raises for a broken invariant: it stands in the result."""
    world = World(seed)
    result = Result(seed, trace=world.trace)
    try:
        world.run()
    except InvariantBroken as broken:
        result.broken = broken
    except Exception as error:  # noqa: BLE001  # whatever escapes is a finding, with its seed
        result.broken = InvariantBroken("no surprise", f"{type(error).__name__}: {error}")
        result.broken.__cause__ = error
    finally:
        world.close()
    world.tell(result)
    return result


class World:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random = Random(f"adversary:{seed}")
        self.loop = VirtualLoop()
        self.trace = Trace(self.loop)
        self.network = Network(self.loop, Random(random.random()), cut=random.choice((0.0, 0.3)))
        self.loop.network = self.network
        self.system = System(
            self.loop, self.network, self.trace, Random(random.random()), draw_shape(random)
        )
        self.clients: list[Client] = []
        self.adversary = Adversary(self.system, self.clients, Random(random.random()))
        self._vandals: list[Vandal] = []
        self._numbers = 0

    def run(self) -> None:
        """Raises InvariantBroken."""
        self.loop.after_turn = self._after_turn
        collects = gc.isenabled()
        gc.disable()
        try:
            self.loop.run_until_complete(self._life())
        finally:
            if collects:
                gc.enable()

    def close(self) -> None:
        """Whatever state it is in."""
        self.loop.after_turn = None
        for _ in range(CLOSINGS_MAX):
            left = asyncio.all_tasks(self.loop)
            if not left:
                break
            for task in left:
                task.cancel()
            self.loop.call_later(QUIET_S, self.loop.stop)
            self.loop.run_forever()
        self.loop.close()

    def tell(self, result: Result) -> None:
        """Into the result."""
        result.digest = self.trace.digest()
        result.turns = self.loop.turns
        result.requests = sum(len(client.requests) for client in self.clients)
        for generation in self.system.generations:
            ledger = generation.ledger
            result.starts += ledger.starts
            result.retries += ledger.retries
            result.hedges += ledger.hedges
            result.probes += ledger.probes
        for client in self.clients:
            result.answers.update(answer.status for answer in client.reader.answers)
        result.blows = Counter(
            {what[2:]: n for what, n in self.trace.counts.items() if what.startswith("! ")}
        )

    # ---- its life ---------------------------------------------------------------------------

    async def _life(self) -> None:
        random, system = self._random, self.system
        await system.start()
        for number in range(random.randrange(12, 48)):
            self._client(f"{number}", random.choices(MANNERS, MANNER_WEIGHTS)[0])
        self.adversary.plan(random.randrange(6, 24), ATTACKED_S)
        begun = [self._begin(client, self._when()) for client in self.clients]
        if random.random() < 0.5:
            begun.append(self._begin_vandal(ATTACKED_S * random.random()))
        await asyncio.gather(*begun)
        await asyncio.sleep(ATTACKED_S)
        self.adversary.heal_all()
        await self.adversary.finished()
        await asyncio.sleep(QUIET_S + self._patience_s())
        self._stop_clients()
        await asyncio.sleep(0.5)
        check_drained(system, self.clients)
        await self._ask_in_peace()
        await system.stop()
        await asyncio.sleep(QUIET_S)
        check_over(system)

    def _when(self) -> float:
        """Some come by themselves, some all at once."""
        random = self._random
        if random.random() < 0.5:
            return ATTACKED_S * random.random()
        return ATTACKED_S * random.randrange(BURSTS) / BURSTS + BURST_S * random.random()

    async def _ask_in_peace(self) -> None:
        """Nothing is wrong: whoever asks now is answered well."""
        await asyncio.sleep(CALM_S)
        check_probed(self.system)
        calm = [self._client(f"calm-{number}", "steady", hurry=0.0) for number in range(3)]
        for client in calm:
            await client.run(self.network)
            await asyncio.sleep(self._patience_s())
        for client in calm:
            statuses = [answer.status for answer in client.reader.answers]
            if statuses != [200] * len(client.requests):
                raise InvariantBroken("recovery", f"all is well, and the answers are {statuses}")
        self._stop_clients()
        await asyncio.sleep(0.5)
        check_drained(self.system, self.clients)

    def _client(self, name: str, manner: str, *, hurry: float = 1.0) -> Client:
        random = Random(self._random.random())
        default_s = self.system.generation.settings.attempts.deadline_ms / 1e3
        requests = []
        for _ in range(random.randrange(1, 9)):
            self._numbers += 1
            requests.append(make_request(self._numbers, random, default_s, hurry=hurry))
        for asked in requests:
            self.system.lasting.requests[asked.told.body] = asked.told
        client = Client(name, manner, requests, random, self.trace, self.adversary.after_stops)
        self.clients.append(client)
        return client

    async def _begin(self, client: Client, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await client.run(self.network)

    async def _begin_vandal(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        vandal = Vandal(self.trace)
        self._vandals.append(vandal)
        await vandal.run(self.network, self._random)

    def _stop_clients(self) -> None:
        """Whoever was still served is not any more; what was not answered by now never will be."""
        for client in self.clients:
            client.settle()
        for vandal in self._vandals:
            vandal.stop()

    def _patience_s(self) -> float:
        return self.system.generation.settings.attempts.deadline_ms / 1e3 + 0.5

    def _after_turn(self) -> None:
        check_turn(self.system)
        if self.loop.turns > TURNS_MAX:
            raise InvariantBroken("bounded", f"{TURNS_MAX} turns of the loop and no end")
