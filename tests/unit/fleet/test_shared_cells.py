"""Rings that name cells: in order, once, and of what was written over only what is left."""

import numpy as np

from gateway.fleet.shared_cells import CellsReader, CellsWriter

SIZE = 8


def ring() -> tuple[CellsWriter, CellsReader, CellsReader]:
    values, count = np.zeros(SIZE, dtype=np.int64), np.zeros(1, dtype=np.int64)
    return (
        CellsWriter(values, count),
        CellsReader(values, count),
        CellsReader(values, count),
    )


def test_every_reader_reads_everything_once_in_order() -> None:
    writer, one, two = ring()
    read: list[int] = []
    for turn in range(10):
        writer.add(np.arange(turn * 3, turn * 3 + 3))
        read += one.fresh().tolist()
        assert one.fresh().tolist() == []
        two.fresh()
    assert read == list(range(30))


def test_who_was_away_for_a_turn_reads_what_is_left() -> None:
    writer, one, _ = ring()
    for value in range(20):
        writer.add(np.array([value]))
    assert one.fresh().tolist() == list(range(20 - SIZE, 20))


def test_more_than_the_ring_holds_leaves_the_last() -> None:
    writer, one, _ = ring()
    writer.add(np.arange(100))
    assert one.fresh().tolist() == list(range(100 - SIZE, 100))


def test_nothing_added_is_nothing_read() -> None:
    writer, one, _ = ring()
    writer.add(np.array([], dtype=np.int64))
    assert one.fresh().tolist() == []


def test_a_writer_that_begins_anew() -> None:
    values, count = np.zeros(SIZE, dtype=np.int64), np.zeros(1, dtype=np.int64)
    reader = CellsReader(values, count)
    CellsWriter(values, count).add(np.array([1, 2, 3]))
    reader.fresh()
    count[0] = 0
    reader.forget()
    CellsWriter(values, count).add(np.array([7]))
    assert reader.fresh().tolist() == [7]
