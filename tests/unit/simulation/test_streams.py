from __future__ import annotations

from gateway.simulation.streams import stream


def test_a_stream_is_fixed_by_seed_and_purpose() -> None:
    assert stream(1, "a").random(3).tolist() == stream(1, "a").random(3).tolist()
    assert stream(1, "a").random() != stream(1, "b").random()
    assert stream(1, "a").random() != stream(2, "a").random()


def test_the_same_on_every_machine() -> None:
    assert stream(7, "arrivals").integers(0, 1000, 4).tolist() == [795, 501, 220, 861]
