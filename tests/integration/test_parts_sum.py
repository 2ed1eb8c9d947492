"""Every millisecond is somebody's: the five parts add up to what the client waited."""

from __future__ import annotations

import numpy as np
from gateway_models import repository

from gateway.measure.load import LoadPlan, run_plan
from gateway.measure.open_loop import drive


async def test_the_five_parts_are_the_clients_total(served) -> None:
    plan = LoadPlan(
        url=served.url,
        model="blast-furnace",
        body=(repository() / "blast-furnace" / "example.json").read_bytes(),
        duration_s=2,
        warmup_s=0.5,
        origins={"Shanghai": 3, "Wuhu": 1},
    )
    samples = await drive(run_plan(plan, 50.0))
    assert (samples.status == 200).all()
    parts = (
        samples.gateway_ms,
        samples.network_ms,
        samples.queue_ms,
        samples.service_ms,
        samples.client_ms,
    )
    assert np.allclose(sum(parts), samples.client_total_ms, atol=1e-6)
    for part in parts:
        assert (part >= 0).all()
    assert (samples.network_ms > 1).all()
