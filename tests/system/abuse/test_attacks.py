"""Every attack on a real gateway, in both lanes: answered as it should be, health all the time,
memory within its bound, no descriptor left, and honest requests are served afterwards.

The whole attacks, and their figures, are `nearway bench abuse`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bench.abuse.attacks import ATTACKS, Attack, one_good
from bench.abuse.target import Target, raise_own_limit, serving, watching

SCALE = 0.02
CONFIG = """
[models]
shipped = false
dirs = ["models"]

[server]
lane = "{lane}"
head_timeout_s = 0.6
body_timeout_s = 0.6
unread_timeout_s = 1.0
"""


@pytest.fixture(scope="module", params=["hot", "aiohttp"])
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Target]:
    raise_own_limit()
    folder = tmp_path_factory.mktemp("attacked")
    with serving(folder, CONFIG.format(lane=request.param), scale=SCALE) as gateway:
        assert asyncio.run(one_good(gateway)) == "200"
        yield gateway


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_it_does_no_harm(target: Target, attack: Attack) -> None:
    hurt(target, attack)


def hurt(target: Target, attack: Attack) -> None:
    with watching(target) as watch:
        seen = asyncio.run(attack.run(target))
    assert attack.suits(seen), seen
    assert watch.health.ms
    assert watch.health.failures == []
    assert watch.growth_mb < attack.growth_mb
    assert watch.descriptors_left <= 0
    assert asyncio.run(one_good(target)) == "200"


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_whole_of_it_does_no_harm(target: Target, attack: Attack) -> None:
    hurt(Target(target.url, target.admin_url, target.pid, 1.0), attack)
