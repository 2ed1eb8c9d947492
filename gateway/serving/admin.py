"""The admin door: look into the running gateway and pull its levers. Loopback, a port apart.

Only this machine, or who is named in ``server.admin_peers``, may use it. A page in a browser must
not reach it: the Host header has to name this machine (so a rebound name is refused), a request
that carries another site's Origin is refused, and what changes something needs
``application/json`` or DELETE, which browsers ask leave for first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Meta

from gateway.api import InvalidRequest, NearwayError, Query, Unsupported, UnsupportedMedia
from gateway.api.control import FAULT_KINDS, FaultKind
from gateway.serving.app import Route, Routes, metrics_handler
from gateway.serving.boundary import JSON, json_answer, make_boundary, message_answer
from gateway.serving.dashboard.routes import dashboard_routes
from gateway.serving.decisions import explained_json, explanation_json, recent_json
from gateway.serving.front import Front
from gateway.serving.intake import Intake, SlowBody

BODY_BYTES_MAX = 64 * 1024
BODY_S = 10.0
B = TypeVar("B")
Name = Annotated[str, Meta(min_length=1, max_length=256)]


class FaultRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /faults``; what ``value`` means depends on the kind."""

    center: Name
    kind: FaultKind
    value: float = 1.0
    vantage: Name | None = None


class DrainRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /drain``."""

    center: Name
    draining: bool


class ReloadRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of ``POST /reload``: an empty object."""


def build_admin_app(front: Front) -> web.Application:
    """All routes of the admin door of a front that stays."""
    return lasting_admin_app(admin_routes(front))


def admin_routes(front: Front) -> Routes:
    """Those of the admin door."""
    return Routes(front, _routes)


def lasting_admin_app(leads: Routes) -> web.Application:
    """All routes of the admin door; another front may take over."""
    front = leads.front
    return admin_app(leads.routes(), front.intake, front.settings.server.admin_host)


def _routes(front: Front) -> list[Route]:
    door = AdminDoor(front)
    return [
        ("GET", "/state", door.state),
        ("GET", "/fleet", door.fleet),
        ("GET", "/faults", door.faults),
        ("POST", "/faults", door.set_fault),
        ("DELETE", "/faults", door.clear_faults),
        ("GET", "/explain", door.explain),
        ("POST", "/drain", door.drain),
        ("POST", "/reload", door.reload),
        ("GET", "/decisions", door.decisions),
        ("GET", "/metrics", metrics_handler(front)),
        *dashboard_routes(front),
    ]


def admin_app(
    routes: Sequence[tuple[str, str, Handler]], intake: Intake, bound_host: str
) -> web.Application:
    """``routes`` behind the checks of this door, which is bound to ``bound_host``."""
    paths = sorted({path for _, path, _ in routes})
    app = web.Application(
        client_max_size=BODY_BYTES_MAX,
        middlewares=[make_boundary(intake, lambda: paths), _same_machine(intake, bound_host)],
    )
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
    return app


class AdminDoor:
    """Handlers of the admin door; the runtime's ``Control`` does the work."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._control = front.control

    async def state(self, _request: web.Request) -> web.Response:
        """Version, policy, plugins, loop."""
        return json_answer(self._control.gateway_state())

    async def fleet(self, _request: web.Request) -> web.Response:
        """A row a center."""
        return json_answer({"centers": self._control.fleet_state()})

    async def faults(self, _request: web.Request) -> web.Response:
        """The faults in force, and the kinds there are."""
        return json_answer({"faults": self._control.faults(), "kinds": FAULT_KINDS})

    async def set_fault(self, request: web.Request) -> web.Response:
        """Inject a fault at a center, a region, or on the path from one vantage."""
        asked = await read_body(request, FaultRequest)
        self._control.set_fault(asked.center, asked.kind, asked.value, asked.vantage)
        return json_answer(msgspec.to_builtins(asked))

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Remove the faults of ``?center=``, or all."""
        _only_known(request, ("center",))
        cleared = self._control.clear_faults(request.query.get("center") or None)
        return json_answer({"cleared": cleared})

    async def explain(self, request: web.Request) -> web.Response:
        """Decide without choosing: the whole table for origin, model and tenant."""
        front = self._front
        _only_known(request, ("origin", "model", "tenant"))
        model = request.query.get("model")
        if not model:
            raise InvalidRequest("model: missing; expected ?model=NAME of a model to decide for")
        origin = request.query.get("origin") or front.settings.origins.default
        vantage = front.intake.vantage_of(origin, "origin")
        query = Query(vantage, model, request.query.get("tenant") or "anonymous")
        table = self._control.explain(query)
        told = explanation_json(table, front.centers, front.vantage_names)
        told["query"]["origin"] = origin
        kept, now = front.decisions.kept(), front.clock()
        told["recent"] = recent_json(kept, query, front.center_ids, now)
        return json_answer(told)

    async def drain(self, request: web.Request) -> web.Response:
        """Take a center out of the choice, or back."""
        asked = await read_body(request, DrainRequest)
        self._control.drain(asked.center, draining=asked.draining)
        return json_answer(msgspec.to_builtins(asked))

    async def reload(self, request: web.Request) -> web.Response:
        """Read the config again: what changed, or 409 with the reason why nothing has."""
        await read_body(request, ReloadRequest)
        try:
            return json_answer(await self._control.reload())
        except Unsupported:
            raise
        except NearwayError as error:
            return message_answer(str(error), 409)

    async def decisions(self, _request: web.Request) -> web.Response:
        """The last explained decisions, newest first."""
        front = self._front
        now = front.clock()
        kept = front.decisions.kept()
        told = [explained_json(one, front.centers, front.vantage_names, now) for one in kept]
        return json_answer({"one_in": front.settings.routing.explain_every, "decisions": told})


async def read_body(request: web.Request, kind: type[B]) -> B:
    """The JSON body as ``kind``. Raises UnsupportedMedia, InvalidRequest naming the field."""
    if request.content_type != JSON or "Content-Type" not in request.headers:
        raise UnsupportedMedia(f"content-type {request.content_type!r}: send {JSON}")
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except TimeoutError:
        raise SlowBody(f"the body did not arrive within {BODY_S:g} s; send it faster") from None
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not a {kind.__name__}: {error}") from error


def _only_known(request: web.Request, names: tuple[str, ...]) -> None:
    for name in request.query:
        if name not in names:
            raise InvalidRequest(f"{name}: unknown; expected one of {', '.join(names)}")


def _same_machine(intake: Intake, bound_host: str) -> Middleware:
    """Refuse a stranger, a Host that is not this machine, and another site's Origin.

    Who comes over a Unix socket has no address, and the file's permissions.
    """

    @web.middleware
    async def same_machine(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.remote
        if peer and not intake.may_administer(peer):
            return _refusal(f"{peer} may not use the admin door; server.admin_peers names who may")
        host = request.headers.get("Host", "")
        if not _names_this_machine(host, bound_host):
            return _refusal(f"host {host!r} is not this door's; call it by its address")
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _refusal(f"origin {origin!r} may not use the admin door")
        return await handler(request)

    return same_machine


def _refusal(message: str) -> web.Response:
    return message_answer(message, 403)


def _names_this_machine(host: str, bound_host: str) -> bool:
    """Loopback, or the host the door is bound to; any address when it is bound to all."""
    name = _without_port(host)
    if name == "localhost" or (bound_host and name == bound_host.lower()):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or bound_host in ("0.0.0.0", "::")  # noqa: S104 - compared only


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()
