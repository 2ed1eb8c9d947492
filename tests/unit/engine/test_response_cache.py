"""Kept by what was asked, bounded, shared by whoever asks at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gateway.api import NdArray
from gateway.engine.response_cache import ENTRY_BYTES, CacheCounts, ResponseCache, key_of

X = np.arange(6, dtype=np.float32).reshape(2, 3)


class Heard:
    """A follower that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Sequence[NdArray] | None] = []

    def shared(self, arrays: Sequence[NdArray] | None) -> None:
        self.told.append(arrays)


def kept(cache: ResponseCache, key: bytes, arrays: Sequence[NdArray]) -> None:
    assert not cache.joins(key, Heard())
    cache.over(key, arrays)


def strings(*elements: bytes) -> NdArray:
    array = np.empty(len(elements), np.object_)
    array[:] = elements
    return array


def test_the_same_has_one_key_and_anything_else_another() -> None:
    n = np.arange(2)
    key = key_of("here", ("y",), {"x": X, "n": n})
    assert key == key_of("here", ("y",), {"n": n.copy(), "x": np.asfortranarray(X)})
    others = [
        key_of("there", ("y",), {"x": X, "n": n}),
        key_of("here", ("z",), {"x": X, "n": n}),
        key_of("here", ("y", "z"), {"x": X, "n": n}),
        key_of("here", ("y",), {"x": X}),
        key_of("here", ("y",), {"n": X, "x": n}),
        key_of("here", ("y",), {"x": X.reshape(3, 2), "n": n}),
        key_of("here", ("y",), {"x": X.view(np.int32), "n": n}),
        key_of("here", ("y",), {"x": X + 1e-7, "n": n}),
    ]
    assert len({key, *others}) == len(others) + 1


def test_strings_do_not_run_into_one_another() -> None:
    found = {
        key_of("h", (), {"s": strings(*words)})
        for words in ([b"ab", b"c"], [b"a", b"bc"], [b"", b"abc"], [b"abc", b""], [b"a:b", b"c"])
    }
    assert len(found) == 5


def test_the_least_recently_used_make_room() -> None:
    size = ENTRY_BYTES + X.nbytes
    cache = ResponseCache(3 * size, CacheCounts())
    for key in (b"1", b"2", b"3"):
        kept(cache, key, [X])
    assert cache.get(b"1") is not None
    kept(cache, b"4", [X])
    assert cache.bytes == 3 * size
    assert cache.get(b"2") is None
    assert [cache.get(key) is not None for key in (b"1", b"3", b"4")] == [True] * 3
    kept(cache, b"large", [np.zeros(3 * size, np.uint8)])
    assert cache.get(b"large") is None
    assert cache.bytes == 3 * size
    assert cache.counts == CacheCounts(hits=4, misses=5)


def test_what_is_kept_is_a_copy() -> None:
    whole = np.arange(6, dtype=np.float32)
    cache = ResponseCache(10_000, CacheCounts())
    kept(cache, b"k", [whole[:2]])
    whole[:] = 9
    found = cache.get(b"k")
    assert found is not None
    assert found[0].tolist() == [0, 1]
    assert found[0].base is None


@pytest.mark.parametrize("answered", [True, False])
def test_who_asks_the_same_meanwhile_hears_how_it_ended(answered: bool) -> None:
    cache, followers = ResponseCache(10_000, CacheCounts()), [Heard(), Heard()]
    assert not cache.joins(b"k", Heard())
    assert all(cache.joins(b"k", follower) for follower in followers)
    cache.over(b"k", [X] if answered else None)
    assert all(len(follower.told) == 1 for follower in followers)
    assert all((follower.told[0] is not None) is answered for follower in followers)
    assert (cache.get(b"k") is not None) is answered
    assert cache.counts.coalesced == 2
    assert not cache.joins(b"k", Heard()), "it is under way no more"
