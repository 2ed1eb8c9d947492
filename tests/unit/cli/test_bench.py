"""Benches belong to a checkout: what is run there, and what is said elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gateway.api import ConfigError
from gateway.cli.bench import BENCHES, CHECKOUT, bench_command


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_is_a_file_of_the_checkout(name: str) -> None:
    assert bench_command(name, CHECKOUT)[0] == sys.executable


def test_policies_are_run_as_a_module() -> None:
    assert bench_command("policies", CHECKOUT)[1:] == ["-m", "bench.policies.run"]


def test_an_unknown_bench_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'speed'.*router, policies, live"):
        bench_command("speed", CHECKOUT)


def test_an_installed_package_says_that_it_has_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="checkout"):
        bench_command("policies", tmp_path)
