"""The index of several jobs as its reader finds it: it follows them by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import NARROW, WIDE, Page, screen
from tests.platforms import platform, write_job
from tests.servers import Server, ask

HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"
GOOD = "class Job:\n    def perform(self, end: bool = False):\n        if end: __import__('os')._exit(3)\n"


class IndexPage(Page):
    def is_shown(self) -> bool:
        return bool(self.all("#jobs > li"))

    def cards(self) -> list[tuple[str, str]]:
        """What each job is called, and its state."""
        return [
            (card.find_element("css selector", "h2").text, card.find_element("css selector", ".state").text)
            for card in self.all("#jobs > li")
        ]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folders = [
        write_job(tmp_path, "adder", GOOD),
        write_job(tmp_path, "broken", f"raise RuntimeError({HOSTILE!r})"),
        write_job(tmp_path, "house-price", GOOD, fields="version: 1.2.0"),
    ]
    with platform(*folders) as server:
        yield server


def test_the_index_shows_every_job_and_follows_what_becomes_of_them(driver: Any, server: Server) -> None:
    page = IndexPage(driver, f"{server.url}/")
    assert page.cards() == [
        ("adder 0.0.1", "Ready"),
        ("broken 0.0.1", "Failed"),
        ("house-price 1.2.0", "Ready"),
    ]
    assert page.text("#state") == "2 of 3 ready"
    assert page.text("#pub-url") == f"{server.url}/pub"
    assert HOSTILE in page.text("#jobs pre")
    assert driver.title == "2 of 3 jobs ready"
    page.assert_all_is_quiet()

    for scheme in ("light", "dark"):
        for width in (WIDE, NARROW):
            with screen(driver, width, scheme):
                assert page.needs_no_sideways_scrolling()
                contrast, text = page.lowest_contrast()
                assert contrast >= 4.5, text

    driver.execute_script("document.querySelector('[aria-label=\"Docs of house-price 1.2.0\"]').focus()")
    ask(server, "POST", "/pub/job/adder/latest/perform", b'{"end": true}')
    page.until(lambda: page.cards()[0] == ("adder 0.0.1", "Ended with status 3"))
    assert len(page.cards()) == 3
    # Cards that say the same as before are the same.
    assert driver.switch_to.active_element.accessible_name == "Docs of house-price 1.2.0"
    page.one("[aria-label='Status of house-price 1.2.0']").click()
    page.until(lambda: driver.current_url == f"{server.url}/pub/job/house-price/1.2.0/status")
