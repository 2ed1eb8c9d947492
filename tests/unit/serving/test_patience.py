"""How long a client may take, and which key it is told."""

from __future__ import annotations

import pytest

from gateway.config.settings import Attempts, Server, Settings
from gateway.serving.patience import patience_of


def test_every_bound_is_its_key() -> None:
    server = Server(
        head_timeout_s=1.0, body_timeout_s=2.0, idle_timeout_s=3.0, unread_timeout_s=4.0
    )
    patience = patience_of(Settings(server=server))
    assert (patience.head_s, patience.body_s) == (1.0, 2.0)
    assert (patience.idle_s, patience.unread_s) == (3.0, 4.0)


@pytest.mark.parametrize(
    ("deadline_ms", "body_s", "key"),
    [(500.0, 0.5, "attempts.deadline_ms"), (9000.0, 2.0, "server.body_timeout_s")],
)
def test_no_body_is_waited_for_beyond_the_deadline(
    deadline_ms: float, body_s: float, key: str
) -> None:
    settings = Settings(
        server=Server(body_timeout_s=2.0), attempts=Attempts(deadline_ms=deadline_ms)
    )
    patience = patience_of(settings)
    assert patience.body_s == body_s
    error = patience.slow("body")
    assert error.http_status == 408
    assert f"within {body_s:.3g} s" in str(error)
    assert str(error).endswith(key)


def test_a_slow_head_names_its_own_key() -> None:
    assert str(patience_of(Settings()).slow("head")).endswith("server.head_timeout_s")
