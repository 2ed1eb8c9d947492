"""The dashboard's files: read once, sent with a tag and a policy that allows no other host."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from aiohttp import web

from gateway.api import NotFound

ASSETS = Path(__file__).with_name("assets")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Pages:
    """Every file of ``assets`` by its name."""

    def __init__(self, folder: Path = ASSETS) -> None:
        self._files = {
            path.name: (path.read_bytes(), TYPES[path.suffix])
            for path in sorted(folder.iterdir())
            if path.suffix in TYPES
        }
        self._tags = {
            name: f'"{sha256(body).hexdigest()[:16]}"' for name, (body, _) in self._files.items()
        }

    @property
    def size_bytes(self) -> int:
        """What a browser fetches in all."""
        return sum(len(body) for body, _ in self._files.values())

    async def index(self, request: web.Request) -> web.Response:
        """``GET /``."""
        return self._send(request, "index.html")

    async def file(self, request: web.Request) -> web.Response:
        """``GET /dashboard/{name}``. Raises NotFound."""
        return self._send(request, request.match_info["name"])

    def _send(self, request: web.Request, name: str) -> web.Response:
        if name not in self._files:
            raise NotFound(
                f"the dashboard has no file {name[:60]!r}; it has {', '.join(self._files)}"
            )
        body, kind = self._files[name]
        headers = {
            "ETag": self._tags[name],
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        if request.headers.get("If-None-Match") == self._tags[name]:
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, headers={**headers, "Content-Type": kind})
