"""The shared table: where fields stand, that they do not overlap, that a seat can be cleared."""

import numpy as np
import pytest

from gateway.fleet.shared_table import MODELS_MAX, SharedTable, TableSize, model_place

SIZE = TableSize(centers=5, seats=3, vantages=4, models=8)


def table_of(size: TableSize = SIZE) -> tuple[SharedTable, bytearray]:
    memory = bytearray(size.bytes)
    return SharedTable(memoryview(memory), size), memory


def test_every_field_has_memory_of_its_own() -> None:
    table, _ = table_of()
    for number, name in enumerate(SIZE.fields(), start=1):
        table[name][...] = number
    for number, name in enumerate(SIZE.fields(), start=1):
        assert (table[name] == number).all(), name


def test_two_tables_over_one_memory_see_the_same() -> None:
    mine, memory = table_of()
    other = SharedTable(memoryview(memory), SIZE)
    mine["work_ns"][2, 4] = 7
    mine.counts("in_flight", 1)[3] = 9
    mine.counts("heard", 2)[0] = 4
    assert other["work_ns"][2].tolist() == [0, 0, 0, 0, 7]
    assert other["in_flight"][1, 3] == 9
    assert other["heard"].tolist() == [0, 0, 4]


def test_cells_are_aligned_words() -> None:
    table, _ = table_of()
    for name in SIZE.fields():
        array = table[name]
        assert array.itemsize in (4, 8)
        assert array.flags.c_contiguous
        assert array.ctypes.data % array.itemsize == 0


def test_a_small_buffer_is_refused() -> None:
    with pytest.raises(ValueError, match=str(SIZE.bytes)):
        SharedTable(memoryview(bytearray(SIZE.bytes - 1)), SIZE)


def test_clearing_a_seat_leaves_the_others() -> None:
    table, _ = table_of()
    for name in ("work_ns", "in_flight", "rtt_samples", "pace_answers", "told_count", "heard"):
        table[name][...] = 3
    table.clear_seat(1)
    for name in ("work_ns", "in_flight", "rtt_samples", "pace_answers", "told_count", "heard"):
        assert not table[name][1].any(), name
        assert (table[name][[0, 2]] == 3).all(), name


def test_vantages_are_bounded() -> None:
    size = TableSize(centers=1, seats=1, vantages=10_000, models=1)
    table, _ = table_of(size)
    assert table.vantages == 512
    assert table["rtt_ms"].shape == (1, 512, 1)


def test_a_model_has_the_same_place_everywhere() -> None:
    places = [model_place(f"model-{number}", MODELS_MAX) for number in range(200)]
    assert places == [model_place(f"model-{number}", MODELS_MAX) for number in range(200)]
    assert len({key for _, key in places}) == 200
    assert all(0 <= place < MODELS_MAX for place, _ in places)
    keys = np.array([key for _, key in places], dtype=np.int64)
    assert (keys > 0).all()
