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


# From now on the page is told so, whatever the server says; it looks at once.
IS_TOLD = """
const [told] = arguments;
window.reallyFetch ??= window.fetch;
window.fetch = async (...asked) => {
  const answer = await window.reallyFetch(...asked);
  return new Response(JSON.stringify({ ...await answer.json(), ...told }), answer);
};
return look();
"""
# How many pixels the widest text goes beyond the room that its tile has for it.
OVERHANG = """
Math.max(...[...document.querySelectorAll(".tiles dd")].map((each) => each.scrollWidth - each.clientWidth))
"""
LEVELS = '[...document.querySelectorAll("#durations .level")].map((each) => each.textContent)'
SMALLEST = 320


class StatusPage(Page):
    def is_told(self, **numbers: object) -> None:
        self.driver.execute_script(IS_TOLD, numbers)

    def value(self, expression: str) -> Any:
        return self.driver.execute_script(f"return {expression.strip()}")

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


def test_shares_are_told_in_full_and_are_all_only_where_they_are(driver: Any, server: Server) -> None:
    page = StatusPage(driver, f"{server.url}/status")
    for errors, calls, share in (
        (0, 7, "0"),
        (1, 1_000_000, "<0.01"),
        (1, 200, "0.5"),
        (33, 1000, "3.3"),
        (199, 200, "99.5"),
        (999_999, 1_000_000, ">99.99"),
        (200, 200, "100"),
    ):
        page.is_told(totals={"calls": calls, "errors": errors, "refused": 0, "abandoned": 0})
        page.until(lambda share=share: page.text("#share") == f"{share} % of all")  # type: ignore[misc]


def test_faults_in_the_jobs_own_metrics_are_told(driver: Any, make_job: MakeJob) -> None:
    code = "class Job:\n    def perform(self): ...\n    def metrics(self): raise KeyError('x')\n"
    with started(pyjob_run(make_job(code))) as server:
        server.wait_until("/ready", 200)
        page = StatusPage(driver, f"{server.url}/status")
        page.until(lambda: re.fullmatch(r"\d+ faults? in metrics\(\) so far: .+\.", page.text("#faults")))
        assert page.text("#no-metrics") == "Its metrics() gives nothing now."


def test_one_long_call_leaves_short_ones_readable(driver: Any, server: Server) -> None:
    page = StatusPage(driver, f"{server.url}/status")
    now = page.value("Date.now() / 1000")
    ends = [now - 100 + 5 * at for at in range(20)]
    calls, none = [1] * 20, [0] * 20

    def durations(p50: float, p99: float) -> dict[str, object]:
        columns = {"calls": calls, "errors": none, "refused": none}
        quantiles = {"p50": [p50] * 20, "p90": [p50] * 20, "p99": [p50] * 19 + [p99]}
        return {"width": 5, "end": ends, **columns, **quantiles}

    page.is_told(now=now, history=durations(0.012, 60))
    page.until(lambda: page.value(LEVELS) == ["10 ms", "100 ms", "1 s", "10 s", "100 s"])
    page.is_told(now=now, history=durations(0.0005, 0.0009))
    page.until(lambda: page.value(LEVELS) == ["0.1 ms", "0.2 ms", "0.5 ms", "1 ms"])
    page.is_told(now=now, history=durations(0.1, 0.1))
    page.until(lambda: page.value(LEVELS) == ["100 ms", "200 ms", "500 ms", "1 s"])


@pytest.mark.parametrize("width", [SMALLEST, NARROW])
def test_numbers_stay_within_their_tiles_on_small_phones(driver: Any, server: Server, width: int) -> None:
    with screen(driver, width, "light"):
        page = StatusPage(driver, f"{server.url}/status")
        page.is_told(uptime=3599, longest=3599, running=1)
        page.until(lambda: page.text("#uptime") == page.text("#longest") == "59 min 59 s")
        assert page.value(OVERHANG) == 0
        assert page.needs_no_sideways_scrolling()


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
