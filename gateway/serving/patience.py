"""How long a client may take, and whom to let go first when there is no room for all.

Both lanes look at their connections a few times a second and hold them against these bounds, so
no request and no connection has a timer of its own. See ``gateway.serving.sweep``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gateway.config.settings import Settings
from gateway.serving.intake import SlowBody


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: for a head, for a body, without a request, with an answer unread."""

    head_s: float
    body_s: float
    idle_s: float
    unread_s: float
    body_key: str

    def slow(self, part: Literal["head", "body"]) -> SlowBody:
        """The error for a ``part`` of a request that took too long."""
        head = part == "head"
        return SlowBody(
            f"the {part} did not arrive within {self.head_s if head else self.body_s:.3g} s; "
            f"send it faster or raise {'server.head_timeout_s' if head else self.body_key}"
        )


def patience_of(settings: Settings) -> Patience:
    """As the config says; no body is waited for beyond the longest deadline."""
    server, deadline_s = settings.server, settings.attempts.deadline_ms / 1e3
    by_deadline = deadline_s < server.body_timeout_s
    return Patience(
        server.head_timeout_s,
        deadline_s if by_deadline else server.body_timeout_s,
        server.idle_timeout_s,
        server.unread_timeout_s,
        "attempts.deadline_ms" if by_deadline else "server.body_timeout_s",
    )
