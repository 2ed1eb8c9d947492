"""What a client is told that admission did not let in: the words, the reason and when to return."""

from __future__ import annotations

from gateway.api import NoCapacity, Overloaded
from gateway.routing.shedding import retry_after_s


def over_share(tenant: str | None, wait_ms: float) -> Overloaded:
    """A tenant, or (None) an origin, has had its part."""
    whose = "this origin" if tenant is None else f"tenant {tenant!r}"
    return Overloaded(
        f"{whose} has had its fair share of the nearest center, where requests would wait "
        f"{wait_ms:.0f} ms; others want it too. Send less at once",
        retry_after_s(wait_ms, 0.0),
        "fair_share",
    )


def no_place(number: int, in_flight: int, in_flight_max: int) -> NoCapacity:
    """The last quarter of all requests is not for class ``number`` now."""
    return NoCapacity(
        f"{in_flight} requests are under way; the last quarter of {in_flight_max} is for higher "
        f"classes than {number} and for who has had less (server.in_flight_max); "
        "try again in a second",
        word="requests_in_flight",
    )


def behind_others(number: int, wait_ms: float) -> NoCapacity:
    """No slot is to spare for class ``number`` while a higher one is about."""
    return NoCapacity(
        f"requests of higher classes than {number} are about, and no center has a slot to spare: "
        f"the wait would be {wait_ms:.0f} ms (admission.yield_share); try again after Retry-After",
        retry_after_s(wait_ms, 0.0),
        "waiting",
    )


def too_long(wait_ms: float, allowed_ms: float) -> NoCapacity:
    """The wait is longer than anybody is let in for."""
    return NoCapacity(
        f"the wait for a slot would be {wait_ms:.0f} ms, and {allowed_ms:.0f} ms is the most "
        "(admission.wait_ms_max); try again after Retry-After",
        retry_after_s(wait_ms, allowed_ms),
        "waiting",
    )
