"""Taking a request's body off the wire: bounded in bytes and in time.

Framing that breaks in the middle of a body is not told to its reader (aiohttp's parser drops
the payload and answers the next request with 400), so the time bound is also what ends that wait.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.api import InvalidRequest, TooLarge
from gateway.serving.intake import Intake, SlowBody


async def late_body(request: web.Request, intake: Intake, deadline_s: float) -> bytes:
    """The bytes as they come, still compressed where they are; waits ``deadline_s`` at most.

    Raises TooLarge above the application's bound, InvalidRequest for broken framing, SlowBody.
    """
    try:
        async with asyncio.timeout(deadline_s):
            return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge(intake.too_large("more bytes than that")) from error
    except web.RequestPayloadError as error:
        raise InvalidRequest(f"the body's framing is broken: {error}") from error
    except TimeoutError as error:
        raise slow("body", deadline_s) from error


def slow(part: str, deadline_s: float) -> SlowBody:
    """The error for a ``part`` of a request (head or body) that took too long."""
    return SlowBody(
        f"the {part} did not arrive within {deadline_s:.3g} s; "
        "send it faster or raise attempts.deadline_ms"
    )
