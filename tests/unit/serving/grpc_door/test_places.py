"""As many as there are, and each again once it was given back."""

from gateway.serving.grpc_door.places import Places


def test_there_are_so_many_and_no_more() -> None:
    places = Places(2)
    assert [places.take() for _ in range(3)] == [True, True, False]
    places.give_back()
    assert [places.take(), places.take()] == [True, False]
