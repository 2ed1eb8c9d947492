"""A verification under faults: the same gateway, over centers in processes that can be harmed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from gateway_models import repository

from gateway.api import Center, ConfigError
from gateway.measure.chaos.answers import known_answers, other_models
from gateway.measure.chaos.episode import Trouble
from gateway.measure.chaos.plan import ChaosPlan, load_plan
from gateway.measure.chaos.stage import Stage, stage_plan
from gateway.measure.cores import on, share_out
from gateway.measure.verify_plan import VerifyPlan


async def staged(
    plan: VerifyPlan, chaos: Path, centers: Sequence[Center], stack: AsyncExitStack
) -> tuple[Stage, Trouble]:
    """Start everything, to be ended by ``stack``. Raises ConfigError.

    The stage keeps off the generator's core, as the gateway of any verification does.
    """
    faults = fitting(load_plan(chaos), plan, chaos)
    folder = next((d for d in plan.models if (d / plan.model).is_dir()), repository())
    known = known_answers(folder, plan.model, seed=plan.seed)
    sections = plan.gateway_options.sections()
    network_and_models = {k: v for k, v in sections.items() if k not in ("server", "fleet")}
    stage = Stage(stage_plan((faults,), centers, network_and_models))
    with on(share_out()[1]):
        await stack.enter_async_context(stage)
    other = next((name for name in other_models(folder) if name != plan.model), "")
    return stage, Trouble(stage, faults, known, plan.warmup_s, plan.duration_s, other)


def fitting(faults: ChaosPlan, plan: VerifyPlan, file: Path) -> ChaosPlan:
    """The faults, when they are over before the measuring is. Raises ConfigError."""
    if faults.until_s > plan.duration_s:
        raise ConfigError(
            f"{file}: the last fault is lifted at {faults.until_s:g} s, but only "
            f"{plan.duration_s:g} s are measured; give a longer --duration"
        )
    return faults
