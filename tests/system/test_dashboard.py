"""A real browser looks at a real gateway: nothing from elsewhere, nothing broken, levers that ask.

Needs Chromium on the machine and the package ``playwright``; skipped with the reason otherwise.
Screenshots go to ``reports/dashboard``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the package playwright is absent")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / "reports" / "dashboard"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EXAMPLE = ROOT / "models/gateway_models/blast-furnace/example.json"
WAIT_MS = 60_000
CITIES = (
    *("Shanghai", "Beijing", "Chengdu", "Guangzhou", "Wuhan", "Nanjing", "Hangzhou", "Hefei"),
    *("Xi'an", "Jinan", "Zhengzhou", "Changsha", "Tianjin", "Shenyang", "Kunming", "Fuzhou"),
)

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.timeout(300),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture(scope="module")
def gateway(start_gateway: Callable[..., Any]) -> Iterator[Any]:
    with start_gateway() as running:
        yield running


def ask(gateway: Any, times: int, origins: tuple[str, ...] = ("Shanghai",)) -> str:
    """Some requests, of Shanghai's unless told; returns the center that answered last."""
    center = ""
    for number in range(times):
        origin = origins[number % len(origins)]
        _, headers = gateway.infer("blast-furnace", EXAMPLE.read_bytes(), origin)
        center = headers["x-nearway-center"]
    return center


def complaints_of_axe(page: Any) -> list[Any]:
    """Rule, meaning and some places of all that axe-core does not like."""
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core is absent").Axe()
    return [
        (one["id"], one["help"], [node["html"][:120] for node in one["nodes"]][:3])
        for one in axe.run(page)["violations"]
    ]


class Watched:
    """A page, what it fetched and what it complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self.bytes = 0
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        page.on("response", self._came)

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _came(self, response: Any) -> None:
        self.bytes += int(response.headers.get("content-length", 0))


@pytest.fixture
def watch(browser: Any, gateway: Any) -> Iterator[Any]:
    pages: list[Watched] = []

    def opened(**how: Any) -> Watched:
        page = browser.new_page(**{"viewport": {"width": 1400, "height": 1500}, **how})
        page.set_default_timeout(WAIT_MS)
        watched = Watched(page)
        pages.append(watched)
        page.goto(f"{gateway.admin_url}/")
        page.wait_for_selector("body[data-frames]")
        return watched

    yield opened
    for watched in pages:
        watched.page.close()
        assert watched.complaints == []


def test_it_loads_from_the_gateway_alone_and_is_small(watch: Any, gateway: Any) -> None:
    watched = watch()
    assert watched.hosts == {gateway.admin_url.split("/")[2]}
    assert watched.bytes < 400_000
    assert watched.page.locator("#map circle.center").count() == 88
    assert watched.page.locator("#centers-table tbody tr").count() == 88


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("light", {"color_scheme": "light"}),
        ("dark", {"color_scheme": "dark"}),
        ("narrow", {"viewport": {"width": 420, "height": 2600}}),
    ],
)
def test_it_fits_every_screen(watch: Any, gateway: Any, name: str, how: dict[str, Any]) -> None:
    ask(gateway, 240, CITIES)
    watched = watch(**how)
    watched.page.wait_for_selector("path.flow", state="attached")
    wide, shown = watched.page.evaluate_handle(
        "() => [document.documentElement.scrollWidth, window.innerWidth]"
    ).json_value()
    assert wide <= shown
    assert watched.page.locator("#origins-table tbody tr").count() == len(CITIES)
    REPORTS.mkdir(parents=True, exist_ok=True)
    watched.page.screenshot(path=REPORTS / f"{name}.png", full_page=True)


def test_a_fault_is_asked_about_first_and_turns_the_center_red(watch: Any, gateway: Any) -> None:
    page = watch().page
    center = ask(gateway, 1)
    page.get_by_role("button", name=f"inject a fault at {center}", exact=True).click()
    page.locator("#ask").get_by_label("Kind").select_option("down")
    page.get_by_role("button", name="Cancel").click()
    assert gateway.admin("GET", "/faults")["faults"] == []
    page.get_by_role("button", name=f"inject a fault at {center}", exact=True).click()
    page.locator("#ask").get_by_label("Kind").select_option("down")
    page.get_by_role("button", name="Do it").click()
    page.wait_for_selector(f"tr[data-center='{center}'] >> text=injected: down")
    for _ in range(100):  # until one of them is meant for that center
        ask(gateway, 1)
        if page.locator(f"circle.ejected[data-center='{center}']").count():
            break
    page.wait_for_selector(f"circle.ejected[data-center='{center}']", state="attached")
    page.get_by_role("button", name=f"clear the faults of {center}", exact=True).click()
    page.wait_for_selector(f"circle.center:not(.ejected)[data-center='{center}']", state="attached")


def test_a_decision_says_why(watch: Any, gateway: Any) -> None:
    ask(gateway, 210)
    page = watch().page
    page.get_by_role("button", name="Refresh").click()
    page.locator("#decisions-table button").first.click()
    page.wait_for_selector("dialog#explain[open] svg rect")
    told = page.locator("#explain-body").inner_text()
    assert "network" in told
    assert "It took" in told
    bars = page.locator("#explain-body svg[role=img]")
    assert "measured (cn-" in (bars.get_attribute("aria-label") or "")
    assert bars.locator("rect.network").count() >= 2  # what was measured, and the candidates
    REPORTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=REPORTS / "decision.png")
    page.keyboard.press("Escape")
    page.wait_for_selector("dialog#explain", state="hidden")


def test_a_models_card_says_how_good_it_is(watch: Any) -> None:
    page = watch().page
    page.get_by_role("button", name="card of blast-furnace", exact=True).click()
    page.wait_for_selector("dialog#explain[open] h3")
    told = page.locator("#explain-body").inner_text()
    assert "Quality" in told
    assert "1 ready" in told
    assert page.locator("#explain-body table").count() >= 3
    assert page.locator("#explain-body li").count() >= 3
    assert complaints_of_axe(page) == []
    REPORTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=REPORTS / "card.png")


def test_a_keyboard_is_enough(watch: Any) -> None:
    page = watch().page
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the centers"
    page.keyboard.press("Enter")
    page.locator("#centers-table th button").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#centers-table th[aria-sort=ascending]")
    first = page.locator("#centers-table tbody tr").first.get_attribute("data-center")
    assert first == min(
        row.get_attribute("data-center") for row in page.locator("#centers-table tbody tr").all()
    )
    page.locator("#filter").fill("wuhu")
    page.wait_for_selector("#centers-table tbody tr")
    assert page.locator("#centers-table tbody tr").count() < 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_unreadable_or_unnamed(watch: Any, gateway: Any, scheme: str) -> None:
    """axe-core's rules: contrast, names, roles, order of headings."""
    ask(gateway, 20)
    page = watch(color_scheme=scheme).page
    page.wait_for_selector("path.flow", state="attached")
    assert complaints_of_axe(page) == []
