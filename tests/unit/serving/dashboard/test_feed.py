"""Frames are made once, for all who watch, and only while somebody does."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from gateway.serving.dashboard import feed as feeding
from gateway.serving.dashboard.feed import Feed, Look
from gateway.telemetry.answers import RecentAnswers


class Eyes:
    """Counts how often it is asked; breaks when told."""

    def __init__(self) -> None:
        self.looks = 0
        self.broken = False

    async def look(self) -> Look:
        self.looks += 1
        if self.broken:
            raise RuntimeError("a plugin's state cannot be read")
        return Look(1.0, RecentAnswers().since(0.0), [], {"ready": True, "version": self.looks})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "PERIOD_S", 0.02)
    monkeypatch.setattr(feeding, "SHARE_MAX", 1.0)


async def serve(feed: Feed) -> TestServer:
    app = web.Application()
    app.router.add_get("/dashboard/events", feed.handle)
    server = TestServer(app)
    await server.start_server()
    return server


async def frames(session: ClientSession, server: TestServer, count: int) -> list[dict[str, object]]:
    told = []
    async with session.get(server.make_url("/dashboard/events")) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        async for line in answer.content:
            if line.startswith(b"data: "):
                told.append(json.loads(line[6:]))
                if len(told) == count:
                    break
    return told


@pytest.mark.usefixtures("quick")
async def test_all_watchers_are_told_the_same_frames_and_nobody_looks_for_nobody() -> None:
    eyes = Eyes()
    feed = Feed(eyes.look, 10.0)
    server = await serve(feed)
    async with ClientSession() as session:
        told = await asyncio.gather(*(frames(session, server, 3) for _ in range(5)))
        looks = [[one["gateway"]["version"] for one in watcher] for watcher in told]  # type: ignore[index]
        assert eyes.looks < 15  # five watchers, three frames each
        assert all(watcher == sorted(watcher) for watcher in looks)
        for _ in range(100):
            if not feed.watchers:
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        before = eyes.looks
        await asyncio.sleep(0.1)
        assert (feed.watchers, eyes.looks) == (0, before)
    await feed.stop()
    await server.close()


@pytest.mark.usefixtures("quick")
async def test_a_frame_that_fails_is_followed_by_the_next(caplog: pytest.LogCaptureFixture) -> None:
    eyes = Eyes()
    eyes.broken = True
    feed = Feed(eyes.look, 10.0)
    server = await serve(feed)
    async with ClientSession() as session:
        asking = asyncio.create_task(frames(session, server, 1))
        while eyes.looks < 2:
            await asyncio.sleep(0.01)
        eyes.broken = False
        assert len(await asking) == 1
    assert "no frame for the dashboard" in caplog.text
    await feed.stop()
    await server.close()


async def test_watchers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "WATCHERS_MAX", 0)
    feed = Feed(Eyes().look, 10.0)
    server = await serve(feed)
    async with ClientSession() as session, session.get(server.make_url("/dashboard/events")) as no:
        assert no.status == 500  # the admin door's boundary makes the 429 of it
    await server.close()


async def test_who_watches_is_let_go_when_it_stops() -> None:
    feed = Feed(Eyes().look, 10.0)
    server = await serve(feed)
    url = server.make_url("/dashboard/events")
    async with ClientSession() as session, session.get(url) as answer:
        assert (await answer.content.readline()).startswith(b"data: ")
        await feed.stop()
        await asyncio.wait_for(answer.content.read(), 10)  # to the end of the answer
        assert feed.watchers == 0
        async with session.get(url) as late:
            assert late.status == 500  # as above
    await server.close()
