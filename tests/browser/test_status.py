"""The page of `/status` as its reader finds it: numbers and lines that move by themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import NARROW, WIDE, Page, keys, screen
from tests.conftest import MakeJob
from tests.servers import Server, ask, pyjob_run, started

HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"
JOB = f"""
HOSTILE = {HOSTILE!r}

class Job:
    def perform(self, kind: str = ""):
        if kind:
            raise type(kind, (Exception,), {{}})("secretly")

    def metrics(self):
        return [
            {{"name": "age_seconds", "value": 1234567, "labels": {{"of": HOSTILE}}}},
            {{"name": "drift", "value": float("nan")}},
        ]
"""
LIMITS = {"max_concurrency": 3, "max_concurrency_queue": 4}
# What is drawn of a line: a point alone, or several that are joined.
DRAWN = "#rates .plot :is(circle, .line[d^=M])"
# Whatever happens to this, the page was loaded again.
MARK = "document.documentElement.dataset.mark = 'the same page'"


class StatusPage(Page):
    def is_shown(self) -> bool:
        return self.text("#state") == "Ready"

    def rows(self, table: str) -> list[list[str]]:
        found = self.all(f"#{table} tbody tr")
        return [[cell.text for cell in row.find_elements("css selector", "td")] for row in found]


@pytest.fixture
def folder(make_job: MakeJob) -> Path:
    return make_job(JOB, extra=LIMITS)


@pytest.fixture
def server(folder: Path) -> Iterator[Server]:
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        yield server


def perform(server: Server, kind: str = "", **headers: str) -> None:
    body = json.dumps({"kind": kind}).encode()
    ask(server, "POST", "/perform", body, **headers)


@pytest.mark.parametrize("prefix", ["", "/pub/job/x/1"])
def test_the_state_and_what_is_missing_are_told_before_the_first_call(
    driver: Any, server: Server, prefix: str
) -> None:
    page = StatusPage(driver, f"{server.url}{prefix}/status")
    assert page.text("h1") == "sample 0.0.1"
    assert (page.text("#running"), page.text("#slots")) == ("0", "of 3 at once")
    assert (page.text("#waiting"), page.text("#queue")) == ("0", "of 4 places")
    assert page.text("#rates .empty") == "No call yet"
    assert page.text("#no-errors") == "No error yet."
    page.assert_all_is_quiet(prefix)
    page.one("nav a[href=docs]").click()
    page.until(lambda: driver.current_url == f"{server.url}{prefix}/docs")


def test_calls_and_errors_come_to_the_page_that_is_open(driver: Any, server: Server) -> None:
    page = StatusPage(driver, f"{server.url}/status")
    driver.execute_script(MARK)
    assert page.all("#rates .empty")

    perform(server)
    perform(server, HOSTILE, X_Request_Tracing_Id="found-again")

    page.until(lambda: page.text("#calls") == "2")
    page.until(lambda: page.all(DRAWN) and not page.all("#rates .empty"))
    assert (page.text("#errors"), page.text("#share")) == ("1", "50 % of all")
    [[_, endpoint, status, kind, tracing]] = page.rows("latest")
    assert (endpoint, status, kind) == ("/perform", "500", HOSTILE)
    assert tracing.split() == ["found-again", "Copy"]
    assert page.rows("metrics") == [
        ["age_seconds", f"of={json.dumps(HOSTILE)}", "1,234,567"],
        ["drift", "", "NaN"],
    ]
    assert driver.title == "Status: sample 0.0.1"
    assert page.one("html").get_attribute("data-mark") == "the same page"
    page.assert_all_is_quiet()

    plot = page.one("#rates .plot")
    plot.send_keys(keys.HOME)
    assert re.match(
        r"\d\d:\d\d:\d\d: ended [0-9.]+, errors [0-9.]+, ref", plot.get_attribute("aria-valuetext")
    )
    assert page.all("#rates .cross")
    plot.send_keys(keys.ESCAPE)
    assert not page.all("#rates .cross")


def test_a_row_keeps_the_focus_when_others_come(driver: Any, server: Server) -> None:
    perform(server, "KeyError")
    page = StatusPage(driver, f"{server.url}/status")
    page.until(lambda: page.all("#latest button"))
    button = page.one("#latest button")
    driver.execute_script("arguments[0].focus()", button)

    perform(server, "KeyError")

    page.until(lambda: len(page.rows("latest")) == 2)
    assert driver.switch_to.active_element == button


def test_a_server_that_has_gone_is_told_and_found_again(driver: Any, server: Server) -> None:
    page = StatusPage(driver, f"{server.url}/status")
    driver.execute_script(MARK)
    with unreachable(driver):
        page.until(lambda: page.text("#state") == "Unreachable")
        assert page.text("#notice h2") == "The server does not answer"
        assert page.text("#seen").startswith("Last heard of at ")
        assert page.text("h1") == "sample 0.0.1"

    page.until(page.is_shown)
    assert page.text("#notice") == ""
    assert page.one("html").get_attribute("data-mark") == "the same page"


@contextmanager
def unreachable(driver: Any) -> Iterator[None]:
    """No request of the page gets anywhere."""
    command, usual = "Network.emulateNetworkConditions", {"latency": 0, "downloadThroughput": -1}
    driver.execute_cdp_cmd(command, {**usual, "uploadThroughput": -1, "offline": True})
    try:
        yield
    finally:
        driver.execute_cdp_cmd(command, {**usual, "uploadThroughput": -1, "offline": False})


def test_a_job_that_failed_to_load_tells_why(driver: Any, make_job: MakeJob) -> None:
    with started(pyjob_run(make_job("raise RuntimeError('no model')"))) as server:
        server.wait_until("/live", 500)
        page = StatusPage(driver, f"{server.url}/status", is_waiting=True)
        page.until(lambda: page.text("#state") == "Failed")
        assert page.text("#notice h2") == "The job failed to load"
        assert "no model" in page.text("#notice pre")


def test_it_can_be_read_in_either_scheme_and_needs_no_sideways_scrolling(driver: Any, server: Server) -> None:
    perform(server, "KeyError", X_Request_Tracing_Id="a" * 100)
    for scheme in ("light", "dark"):
        for width in (WIDE, NARROW):
            with screen(driver, width, scheme):
                page = StatusPage(driver, f"{server.url}/status")
                page.until(lambda page=page: page.rows("latest"))  # type: ignore[misc]
                assert page.needs_no_sideways_scrolling()
                contrast, text = page.lowest_contrast()
                assert contrast >= 4.5, text
