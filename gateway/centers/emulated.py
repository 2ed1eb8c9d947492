"""A center in this process: an emulated way there and back, a real model in between.

It owns what visits share: slots, the line of those who wait, the load meter; the way of one
request is a ``Visit``. Its slots are served first come, first served, one request each, and
class C last (``waiting``): what
reaches it together came over different paths, and its slots are declared for single requests,
as the simulator has them. A center without an emulated network is a ``LocalCenter``.

A probe goes the way of a request without its work: it takes a round trip drawn for the path
it comes along, meets the same faults, and brings back what the load meter says.
"""

from __future__ import annotations

from collections import deque
from random import Random

from gateway.api import Center
from gateway.centers.language.text_visit import TEXT_ROUTES, TextVisit
from gateway.centers.language.ways import EmulatedWay
from gateway.centers.load_meter import LoadMeter
from gateway.centers.port import Attempt, Call, OnEvent, OnReport
from gateway.centers.resident_models import ResidentModels
from gateway.centers.served_model import ServedModel
from gateway.centers.shared_engine import SharedEngine
from gateway.centers.visit import Visit
from gateway.centers.waiting import slots_kept
from gateway.telemetry.recent import RecentMs
from gateway.wan import DelayLine, EmulatedNetwork, Faults


class EmulatedCenter(ResidentModels):
    """One row of the fleet, served by this process. Implements ``CenterPort``."""

    def __init__(
        self,
        row: int,
        center: Center,
        *,
        engine: SharedEngine,
        network: EmulatedNetwork,
        faults: Faults,
        line: DelayLine,
        overshoot: RecentMs,
        random: Random,
        queue_max: int,
    ) -> None:
        super().__init__(row, center, engine)
        self.network = network
        self.faults = faults
        self.line = line
        self.overshoot = overshoot
        self.random = random
        self.queue_max = queue_max
        self.free_slots = center.slots
        self.waiting: deque[Visit] = deque()
        self.waiting_c: deque[Visit] = deque()
        self.kept_slots = slots_kept(center.slots)
        self.meter, self.meter_c = LoadMeter(line.now()), LoadMeter(line.now())
        self._serving_queue = False

    def moved(self, row: int, network: EmulatedNetwork, faults: Faults) -> None:
        """It stands in another row from now on, among paths and faults by those rows."""
        self.row, self.network, self.faults = row, network, faults

    def meter_of(self, served: ServedModel) -> LoadMeter:
        """Of class C nothing is reported but that its runs take slots: nobody waits for it."""
        return self.meter_c if served.class_c else self.meter

    # ---- requests -------------------------------------------------------------------------

    def start(self, attempt: Attempt, on_event: OnEvent) -> Call:
        """Send ``attempt`` on its way; see ``gateway.centers.port``."""
        if attempt.route in TEXT_ROUTES:
            way = EmulatedWay(self.line, self.network.draw_ms(attempt.vantage, self.row))
            return TextVisit(self, attempt, on_event, way)
        return Visit(self, attempt, on_event)

    def probe(self, vantage: int, on_result: OnReport) -> None:
        """There and back with no work in between; a black hole swallows it."""
        line = self.line
        one_way_s = self.network.draw_ms(vantage, self.row) * 5e-4

        def arrive() -> None:
            effect = self.faults.effect(self.row, vantage)
            fails = False
            if effect is not None:
                if effect.black_hole:
                    return
                fails = effect.down or self.random.random() < effect.error_rate
            now = line.now()
            report = None if fails else self.meter.probed(now, self.center.slots)
            line.call_at(now + one_way_s, lambda: on_result(report))

        line.call_at(line.now() + one_way_s, arrive)

    def next_from_queue(self) -> None:
        """A slot is free: run whoever waits longest.

        A model that runs inline frees its slot before ``run`` returns and comes back here;
        the loop below then goes on, instead of one stack frame a waiting visit.
        """
        if self._serving_queue:
            return
        self._serving_queue = True
        while self.waiting and self.free_slots > 0:
            self.waiting.popleft().run()
        while self.waiting_c and self.free_slots > self.kept_slots:
            self.waiting_c.popleft().run()
        self._serving_queue = False
