"""A verification under faults: what does not fit is refused before anything is started."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.config.fleet_file import load_fleet
from gateway.measure.chaos.verifying import staged
from gateway.measure.verify_plan import VerifyPlan

PLAN = '[[fault]]\nat_s = 5.0\nfor_s = 10.0\nkind = "kill"\ntarget = "{}"\n'


async def refused(folder: Path, text: str, words: str) -> None:
    file = folder / "plan.toml"
    file.write_text(text)
    plan = VerifyPlan(chaos=file, duration_s=12.0, sites="core")
    async with AsyncExitStack() as stack:
        with pytest.raises(ConfigError, match=words):
            await staged(plan, file, load_fleet(None, "core"), stack)


async def test_faults_end_before_the_measuring_does(tmp_path: Path) -> None:
    await refused(tmp_path, PLAN.format("cn-north-9a"), r"lifted at 15 s, but only 12 s")


async def test_a_target_is_one_of_the_fleet(tmp_path: Path) -> None:
    file = PLAN.replace("10.0", "1.0").format("nowhere")
    await refused(tmp_path, file, "'nowhere'.*expected one of")


def test_a_gateway_that_is_not_ours_cannot_be_harmed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave out --url"):
        VerifyPlan(chaos=tmp_path / "plan.toml", url="http://127.0.0.1:1")
    with pytest.raises(ConfigError, match="--wire json"):
        VerifyPlan(chaos=tmp_path / "plan.toml", wire="json")
