"""The web view of the Flask example in a browser: its picture, style and script, and its form (SPEC 4.7)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import NARROW, WIDE, Page, screen
from tests.servers import pyjob_run, started

pytest.importorskip("flask", reason="flask is not installed")

EXAMPLE = Path(__file__).parents[2] / "examples" / "web_view_flask"
BASE = "/pub/job/bike-rentals/0.0.1/api/v1/webview"
# Where the reader begins, what all addresses begin with, and how the job is served.
PLACES = {
    "the root, its home page": ("/", "", pyjob_run(EXAMPLE)),
    "below an alias of the platform": ("/pub/job/bike-rentals/latest/webview", "", pyjob_run(EXAMPLE)),
    "mounted": (
        "/one/",
        "/one",
        [sys.executable, "-m", "tests.browser.mounted", str(EXAMPLE), "/one"],
    ),
}


class HomePage(Page):
    def is_shown(self) -> bool:
        return self.text("output") == "0"  # which its script writes

    def picture_is_drawn(self) -> bool:
        return int(self.one("img").get_property("naturalWidth")) > 0


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The address of the page, and the prefix that all others begin with."""
    path, prefix, command = PLACES[request.param]
    with started(command) as server:
        server.wait_until(f"{prefix}/ready", 200)
        yield f"{server.url}{path}", prefix


def test_the_page_is_whole_and_its_form_is_answered(driver: Any, place: tuple[str, str]) -> None:
    url, prefix = place
    page = HomePage(driver, url)
    assert page.text("h1") == "Bike rentals"
    assert page.picture_is_drawn()

    page.one("[value=weekend]").click()
    page.one("form button").click()
    page.until(lambda: page.all("[role=status]"))

    assert page.text("[role=status]") == "360 bikes"
    assert driver.current_url.endswith(f"{prefix}{BASE}/forecast")
    requests = page.assert_all_is_quiet(prefix)
    asked = {request["url"].partition("/static/")[2] for request in requests} - {""}
    assert asked == {"bike.svg", "style.css", "sliders.js"}
    assert all(f"{prefix}{BASE}/" in request["url"] for request in requests if "/static/" in request["url"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_page_fits_every_screen_and_can_be_read(
    driver: Any, place: tuple[str, str], width: int, scheme: str
) -> None:
    with screen(driver, width, scheme):
        page = HomePage(driver, place[0])
        assert page.needs_no_sideways_scrolling()
        ratio, text = page.lowest_contrast()
        assert ratio >= 4.5, text
