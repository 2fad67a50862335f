"""The page of `/docs` with Swagger UI: below any prefix, offline, and for any reader (SPEC 4.1)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import EXAMPLE
from tests.browser.pages import NARROW, WIDE, SwaggerPage, prefer, screen
from tests.conftest import MakeJob
from tests.servers import Server, ask, pyjob_run, started

pytest.importorskip("swagger_ui_bundle", reason="swagger-ui-bundle-v2 is not installed")

Running = Callable[..., AbstractContextManager[str]]

DESCRIBED = '''
class Job:
    """Estimates prices.

    The model is **new**:

    - it needs an `area`,
    - and [more](https://example.com/notes).
    """

    def perform(self, area: float, rooms: int = 3) -> float:
        """Estimate the price of a house, whatever its rooms.

        :param area: In square metres.
        """
        return area * rooms

    def docs_input_examples(self):
        return {"/perform": [{"area": 120.5}, {"area": 42.5, "rooms": 1}]}
'''

HOSTILE = '''
class Job:
    """Does.

    <b>Bold</b> <script>document.title = "broken in"</script>
    <img src="data:," onerror="document.title = 'broken in'"> <a href="javascript:alert(1)">here</a>
    """

    def perform(self):
        pass
'''

# Waits for a file before it is ready.
SLOW = """
import time
from pathlib import Path

class Job:
    def __init__(self):
        while not Path("go").exists():
            time.sleep(0.01)

    def perform(self, x: float) -> float:
        return x
"""

# What the job answers, as the page sees it.
PICTURE = """
const ask = window.fetch;
window.fetch = async (...question) => {
  const answer = await ask(...question);
  if (!answer.url.endsWith("/perform")) return answer;
  const canvas = new OffscreenCanvas(2, 2);
  canvas.getContext("2d");
  const headers = { "Content-Type": "image/png" };
  const made = new Response(await canvas.convertToBlob(), { headers });
  Object.defineProperty(made, "url", { value: answer.url });
  return made;
};
"""


@pytest.fixture(scope="module", params=["", "/pub/job/x/1", "/one"], ids=["root", "platform", "mounted"])
def place(request: pytest.FixtureRequest) -> Iterator[tuple[Server, str]]:
    """A server of the example, and the prefix below which it is found."""
    mounted = [sys.executable, "-m", "tests.browser.mounted", str(EXAMPLE)]
    command = mounted if request.param == "/one" else pyjob_run(EXAMPLE)
    with started(command, cwd=Path(__file__).parents[2]) as server:
        server.wait_until(f"{request.param}/ready", 200)
        yield server, request.param


@pytest.fixture
def page(driver: Any, place: tuple[Server, str]) -> SwaggerPage:
    server, prefix = place
    return SwaggerPage(driver, f"{server.url}{prefix}/docs")


@contextmanager
def described(driver: Any, running: Running, make_job: MakeJob) -> Iterator[SwaggerPage]:
    with running(make_job(DESCRIBED)) as url:
        yield SwaggerPage(driver, f"{url}/docs")


def test_a_sample_is_tried_out_below_every_prefix_and_nothing_leaves_it(
    page: SwaggerPage, place: tuple[Server, str]
) -> None:
    server, prefix = place
    assert page.text("h1") == "supersmart 0.0.1"
    page.try_out()
    assert json.loads(page.editor.get_attribute("value")) == {"x": 20, "y": 5}
    page.execute()

    status, body = page.answer()
    assert (status, float(body)) == ("200", 100)
    requests = page.assert_all_is_quiet(prefix)
    posted = [request["url"] for request in requests if request["method"] == "POST"]
    assert posted == [f"{server.url}{prefix}/api/v1/perform"]
    assert any(request["url"].endswith("/swagger-ui-bundle.js") for request in requests)


def test_every_link_of_the_header_leads_somewhere_below_the_prefix(
    page: SwaggerPage, place: tuple[Server, str]
) -> None:
    server, prefix = place
    targets = [link.get_property("href") for link in page.all("header nav a")]
    paths = [target.removeprefix(f"{server.url}{prefix}") for target in targets]
    assert paths == ["/", "/status", "/metrics", "/health", "/openapi.json"]
    assert [ask(server, "GET", f"{prefix}{path}")[0] for path in paths] == [307, 200, 200, 200, 200]


def test_everything_in_the_page_can_be_opened_without_a_complaint(
    page: SwaggerPage, place: tuple[Server, str]
) -> None:
    for control in page.all(".opblock-summary-control, .models-control"):
        control.click()
    page.until(lambda: len(page.all(".try-out__btn")) == len(page.all(".opblock")))
    for button in page.all(".tablinks"):
        button.click()
    page.assert_all_is_quiet(place[1])


def test_the_tracing_id_that_was_sent_is_shown_beside_the_answer(page: SwaggerPage) -> None:
    page.try_out()
    page.execute()

    sent = next(one for one in page.assert_all_is_quiet() if one["method"] == "POST")
    assert page.tracing_id() == sent["headers"]["X-Request-Tracing-Id"]
    assert len(page.tracing_id()) == 36


def test_a_refusal_is_shown_with_its_reason(page: SwaggerPage) -> None:
    page.try_out()
    page.driver.execute_script("arguments[0].select()", page.editor)
    page.editor.send_keys('{"x": 3}')
    page.execute()

    status, body = page.answer()
    assert status.startswith("400")
    assert "y" in json.loads(body)["error"]


def test_several_samples_of_an_endpoint_can_be_chosen_and_the_first_is_filled_in(
    driver: Any, running: Running, make_job: MakeJob
) -> None:
    with described(driver, running, make_job) as page:
        page.try_out()
        assert json.loads(page.editor.get_attribute("value")) == {"area": 120.5}
        options = page.all(f"{page.perform} .examples-select option")
        assert [option.text for option in options] == ["sample 1", "sample 2"]

        options[1].click()

        second = {"area": 42.5, "rooms": 1}
        page.until(lambda: json.loads(page.editor.get_attribute("value")) == second)
        page.execute()
        assert page.answer() == ("200", "42.5")
        page.assert_all_is_quiet()


def test_docstrings_are_rendered_as_markdown(driver: Any, running: Running, make_job: MakeJob) -> None:
    with described(driver, running, make_job) as page:
        assert page.text("#summary") == "Estimates prices."
        assert page.text(".about strong") == "new"
        assert [item.text for item in page.all(".about li")] == ["it needs an area,", "and more."]
        assert page.text(".about code") == "area"
        page.assert_all_is_quiet()


def test_markup_in_a_docstring_can_do_nothing(driver: Any, running: Running, make_job: MakeJob) -> None:
    with running(make_job(HOSTILE)) as url:
        page = SwaggerPage(driver, f"{url}/docs")
        assert "Bold" in page.text(".about")
        assert driver.title == "sample 0.0.1"
        assert page.all(".about script, .about [onerror], .about [href^=javascript]") == []


def test_a_picture_that_is_answered_is_shown(driver: Any, base: str) -> None:
    source = {"source": PICTURE}
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", source)
    try:
        page = SwaggerPage(driver, f"{base}/docs")
        page.try_out()
        page.execute()
        picture = f"{page.perform} .live-responses-table img"
        page.until(lambda: page.all(picture) and page.one(picture).get_property("naturalWidth") == 2)
        page.assert_all_is_quiet()
    finally:
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_either_scheme_and_needs_no_sideways_scrolling(
    driver: Any, running: Running, make_job: MakeJob, scheme: str, width: int
) -> None:
    with screen(driver, width, scheme), described(driver, running, make_job) as page:
        page.try_out()
        page.execute()
        for button in [*page.all(f"{page.perform} .tablinks"), page.one(".models-control")]:
            button.click()
        assert page.needs_no_sideways_scrolling()
        contrast, text = page.lowest_contrast()
        assert contrast >= 4.5, text


def test_the_colours_follow_the_system_while_the_page_is_open(driver: Any, base: str) -> None:
    with screen(driver, WIDE, "light"):
        page = SwaggerPage(driver, f"{base}/docs")
        assert "dark-mode" not in page.one("html").get_attribute("class")
        prefer(driver, "dark")
        page.until(lambda: "dark-mode" in page.one("html").get_attribute("class"))


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_the_page_of_a_job_that_loads_becomes_swagger_ui_once_it_is_ready(
    driver: Any, make_job: MakeJob, path: str
) -> None:
    folder = make_job(SLOW)
    with started(pyjob_run(folder)) as server:
        page = SwaggerPage(driver, f"{server.url}{path}", is_waiting=True)
        page.until(lambda: page.text("#state") == "Loading")
        assert page.text("#notice h2") == "The job is not ready yet"
        assert page.all(page.marker) == []

        (folder / "go").touch()

        page.until(lambda: page.all(page.marker))
        page.until(page.is_shown)
        assert urlsplit(driver.current_url).path == "/docs"


def test_a_keyboard_reaches_what_is_to_be_done_and_sees_where_it_is(page: SwaggerPage) -> None:
    page.try_out()
    button = page.one(f"{page.perform} .execute")
    reached = (page.press_tab() for _ in range(20))
    assert button in reached
    assert button.value_of_css_property("outline-style") == "solid"
