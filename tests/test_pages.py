"""Pages as people meet them, in a real browser: accessible, nothing fetched, no sideways scrolling, prints whole."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from made_up_results import RESULTS, TITLES, entries, page
from playwright.sync_api import Browser, Page, Route, sync_playwright
from sending_town import DUE, add_contacts, add_messages, open_town

from nudges.catalogue import load_templates
from nudges.domain import Language, Medium
from nudges.rendering import compile_for, sample_facts
from nudges.reporting import IndexEntry, impact_page, index_page, year_page
from nudges.settings import load_council
from nudges.studio import create_app

REPO = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or ""
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine: install the package 'chromium'")
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
WIDTHS = {"phone": 320, "desk": 1280}  # 320 CSS pixels is where WCAG 2.2, 1.4.10, wants no sideways scrolling


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as engine:
        with_browser = engine.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *sandbox])
        yield with_browser
        with_browser.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert not [url for url in asked if not url.startswith(("data:", STUDIO))], "the page fetched something"


STUDIO = "http://studio.test"


def serve_studio(tab: Page, folder: Path) -> None:
    """Answer for the officers' pages inside the browser, from the real application."""
    ws = open_town(folder)
    add_contacts(ws, 2)
    add_messages(ws, 2)
    app = create_app(ws, clock=lambda: DUE)

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=STUDIO) as client:
            return await client.get(path)

    def answer(route: Route) -> None:
        with ThreadPoolExecutor(1) as elsewhere:  # this thread has the browser's event loop
            reply = elsewhere.submit(asyncio.run, ask(route.request.url.removeprefix(STUDIO))).result()
        route.fulfill(status=reply.status_code, headers=dict(reply.headers), body=reply.text)

    tab.route(f"{STUDIO}/**", answer)


def email(template: str, language: str) -> str:
    council = load_council(REPO)
    compiled = compile_for(load_templates(REPO), template, language, council)
    return compiled.render(Medium.EMAIL, sample_facts(council.public_url)[0].values).html


PAGES = {
    **{f"impact {name}": lambda result=result: impact_page(page(result)) for name, result in RESULTS.items()},
    "year": lambda: year_page("Made-up Borough", 2026, entries(), generated_at=DUE),
    "index": lambda: index_page(
        "Made-up Borough",
        [IndexEntry.of(TITLES[name], result) for name, result in RESULTS.items()],
        generated_at=DUE,
        years=[2025, 2026],
    ),
    "email": lambda: email("tag_feedback", Language.EN),
    "email in Welsh": lambda: email("tag_feedback", Language.CY),
}


WCAG = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def judged(tab: Page, show: Callable[[], object]) -> None:
    for name, width in WIDTHS.items():
        tab.set_viewport_size({"width": width, "height": 900})
        show()
        wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{wide} px wider than a {name}"
    found = Axe().run(tab, options=WCAG)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("name", PAGES)
def test_page_is_accessible_and_fits(tab: Page, name: str) -> None:
    judged(tab, lambda: tab.set_content(PAGES[name]()))


@pytest.mark.parametrize("path", ["/", "/s/abcdefghijklmnop"])
def test_served_pages_are_accessible_and_fit(tab: Page, tmp_path: Path, path: str) -> None:
    serve_studio(tab, tmp_path)
    judged(tab, lambda: tab.goto(STUDIO + path))


A4 = 673  # CSS pixels between margins of 16 mm
PRINTED = {name: made for name, made in PAGES.items() if not name.startswith("email")}


@pytest.mark.parametrize("name", PRINTED)
def test_pages_print_whole_on_a4(tab: Page, name: str) -> None:
    tab.set_viewport_size({"width": A4, "height": 1000})
    tab.emulate_media(media="print")
    tab.set_content(PRINTED[name]())
    wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"{wide} px are cut off in print"
    printed = tab.pdf(format="A4")
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") <= (10 if name.startswith("impact") else 2)
