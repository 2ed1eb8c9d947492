"""Files with a tag and a policy that allows nobody else."""

from __future__ import annotations

import re

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.serving.dashboard.pages import ASSETS, POLICY, Pages


async def client_of(pages: Pages) -> TestClient[web.Request, web.Application]:
    app = web.Application()
    app.router.add_get("/", pages.index)
    app.router.add_get("/dashboard/{name}", pages.file)
    return TestClient(TestServer(app))


async def test_every_file_is_sent_with_its_type_tag_and_policy() -> None:
    async with await client_of(Pages()) as client:
        answer = await client.get("/")
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Content-Security-Policy"] == POLICY
        again = await client.get("/", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status == 304
        assert await again.read() == b""
        for path in ASSETS.iterdir():
            assert (await client.get(f"/dashboard/{path.name}")).status == 200


async def test_nothing_else_is_sent() -> None:
    pages = Pages()
    assert "../feed.py" not in pages._files
    assert all("/" not in name for name in pages._files)


def test_all_of_it_is_small_and_names_no_other_host() -> None:
    assert Pages().size_bytes < 400_000
    for path in ASSETS.iterdir():
        hosts = set(re.findall(r"https?://([a-z0-9.-]+)", path.read_text()))
        assert hosts <= {"www.w3.org"}, path.name


def test_markup_is_never_made_of_text() -> None:
    """What comes from outside is put in as text nodes and attributes alone."""
    for path in ASSETS.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text()
        )
