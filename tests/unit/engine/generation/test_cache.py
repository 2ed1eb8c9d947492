from __future__ import annotations

import numpy as np

from gateway.engine.generation.cache import ROOM_STEP, Cache


def read(cache: Cache, row: int, ids: list[int]) -> None:
    """The key of a token is its number, everywhere; the value twice that."""
    shape = (cache.key.shape[1], len(ids), cache.key.shape[3])
    key = np.broadcast_to(np.array(ids, np.float32)[None, :, None], shape)
    cache.write(row, np.array(ids), key, 2.0 * key)


def seen(cache: Cache, row: int) -> list[float]:
    used = int(cache.length[row])
    assert np.array_equal(cache.value[row, :, :used], 2.0 * cache.key[row, :, :used])
    return [float(x) for x in cache.key[row, 0, :used, 0]]


def filled() -> Cache:
    cache = Cache(4, 2, 3)
    for ids in ([1, 2, 3], [4], [5, 6]):
        read(cache, cache.add(), ids)
    return cache


def test_rows_hold_what_was_read_and_the_last_two_tokens() -> None:
    cache = filled()
    assert [seen(cache, row) for row in range(3)] == [[1, 2, 3], [4], [5, 6]]
    assert cache.before[:3].tolist() == [[2, 3], [0, 4], [5, 6]]


def test_one_token_each() -> None:
    cache = filled()
    key = np.arange(7, 9, dtype=np.float32)[:, None, None, None] * np.ones((2, 2, 1, 3))
    cache.write_one_each(np.array([7, 8]), key, 2.0 * key)
    assert [seen(cache, row) for row in range(3)] == [[1, 2, 3, 7], [4, 8], [5, 6]]
    assert cache.before[:2].tolist() == [[3, 7], [4, 8]]


def test_the_last_row_takes_the_place_of_one_that_leaves() -> None:
    cache = filled()
    assert cache.remove(0) == 2
    assert [seen(cache, row) for row in range(cache.rows)] == [[5, 6], [4]]
    assert cache.before[0].tolist() == [5, 6]
    row = cache.add()
    assert seen(cache, row) == []
    assert cache.before[row].tolist() == [0, 0]


def test_rows_change_places() -> None:
    cache = filled()
    cache.exchange(0, 1)
    cache.exchange(2, 2)
    assert [seen(cache, row) for row in range(3)] == [[4], [1, 2, 3], [5, 6]]


def test_room_grows_with_the_longest_and_shrinks_when_it_has_gone() -> None:
    cache = filled()
    long = list(range(3 * ROOM_STEP))
    row = cache.add()
    read(cache, row, long)
    assert cache.room == 3 * ROOM_STEP
    assert seen(cache, row) == long
    assert seen(cache, 0) == [1, 2, 3]
    cache.shrink()
    assert cache.room == 3 * ROOM_STEP
    cache.remove(row)
    cache.shrink()
    assert cache.room == ROOM_STEP
    assert seen(cache, 0) == [1, 2, 3]
