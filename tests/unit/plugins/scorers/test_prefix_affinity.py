import numpy as np
import pytest
from gateway_plugins.scorers.prefix_affinity import PrefixAffinity, chained

from gateway.api import Center, Centers, Decision, Location, Query, Table

HERE = Location(0.0, 0.0)
SYSTEM = b"You are the shift leader of a blast furnace. " * 12  # 540 bytes: 8 blocks of 64


class Fleet:
    """Centers and one policy's plugin; ``give`` is what routing does when it chose."""

    def __init__(self, centers=5, **options):
        self.table = Table([Center(f"c{row}", "r", "z", "x", "CN", HERE) for row in range(centers)])
        self.plugin = PrefixAffinity(**{"ms_per_kb": 16.0, "block_bytes": 64, **options})

    def ms(self, prompt):
        query = Query(0, "m", prompt=prompt)
        charge_ms = self.plugin.ms(query, Centers(self.table, ()).bind(query), 0.0)
        assert charge_ms.dtype == np.float32
        assert charge_ms.shape == (len(self.table),)
        return charge_ms.tolist()

    def give(self, prompt, row):
        decision = Decision(Query(0, "m", prompt=prompt), row, 1.0, -1, 0.0, (), 0.0)
        self.plugin.chosen(decision, {}, None)


def test_nobody_has_read_a_new_prompt_and_none_is_free():
    fleet = Fleet()
    assert fleet.ms(b"") == [0.0] * 5
    assert fleet.ms(b"x" * 63) == [0.0] * 5, "no whole block"
    assert fleet.ms(SYSTEM) == [8.0] * 5, "8 blocks of a sixteenth of a kB at 16 ms"


def test_each_center_is_charged_for_what_it_has_not_read():
    fleet = Fleet()
    fleet.ms(SYSTEM + b"a" * 100)
    fleet.give(SYSTEM + b"a" * 100, 2)
    fleet.give(SYSTEM[:128] + b"b" * 500, 4)
    asked = SYSTEM + b"c" * 100  # 10 blocks, the ninth begins with the system prompt's end
    assert fleet.ms(asked) == [10.0, 10.0, 2.0, 10.0, 8.0]
    assert fleet.ms(SYSTEM + b"a" * 100) == [10.0, 10.0, 0.0, 10.0, 8.0]


def test_the_same_block_after_another_beginning_is_another():
    fleet = Fleet()
    fleet.ms(SYSTEM)
    fleet.give(b"a" * 64 + SYSTEM, 1)
    assert fleet.ms(b"a" * 64 + SYSTEM) == [9.0, 0.0, 9.0, 9.0, 9.0]
    assert fleet.ms(b"b" * 64 + SYSTEM) == [9.0] * 5


def test_what_was_used_last_is_remembered():
    fleet = Fleet(remember=2)
    fleet.ms(SYSTEM)
    fleet.give(b"a" * 64, 0)
    fleet.give(b"b" * 64, 1)
    fleet.give(b"a" * 64, 2)
    fleet.give(b"c" * 64, 3)
    assert fleet.ms(b"b" * 64) == [1.0] * 5, "forgotten"
    assert fleet.ms(b"a" * 64) == [0.0, 1.0, 0.0, 1.0, 1.0]


def test_other_centers_are_another_memory():
    fleet = Fleet()
    fleet.ms(SYSTEM)
    fleet.give(SYSTEM, 1)
    fleet.table = Fleet(3).table
    assert fleet.ms(SYSTEM) == [8.0] * 3


@pytest.mark.parametrize(
    "wrong", [{"ms_per_kb": -1.0}, {"block_bytes": 8}, {"remember": 0}], ids=str
)
def test_wrong_parameters_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Fleet(**wrong)


def test_hashes_are_few():
    assert len(chained(b"x" * 10**6, 64)) == 256
