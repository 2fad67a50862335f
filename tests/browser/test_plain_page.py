"""The page of `/docs` where Swagger UI is not installed: what a reader sees, types and is told (SPEC 4.1)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import EXAMPLE
from tests.browser.pages import NARROW, WIDE, PlainPage, keys, screen
from tests.servers import started

# `pyjob run` where the package is not installed.
WITHOUT_SWAGGER_UI = """
import sys
sys.modules["swagger_ui_bundle"] = None
from pyjob.cli import main
sys.exit(main())
"""


MOUNTED = """
import sys
from pathlib import Path
sys.modules["swagger_ui_bundle"] = None
from tests.browser.mounted import main
main(Path(sys.argv[1]))
"""


@pytest.fixture
def base() -> Iterator[str]:
    command = [sys.executable, "-c", WITHOUT_SWAGGER_UI, "run", str(EXAMPLE)]
    with started([*command, "--host", "127.0.0.1", "--port", "0"], cwd=Path(__file__).parents[2]) as server:
        server.wait_until("/ready", 200)
        yield server.url


@pytest.fixture
def page(driver: Any, base: str) -> PlainPage:
    return PlainPage(driver, f"{base}/docs")


@pytest.mark.parametrize("prefix", ["", "/pub/job/x/1"])
def test_the_page_shows_the_job_and_sends_its_sample_below_its_own_prefix(
    driver: Any, base: str, prefix: str
) -> None:
    page = PlainPage(driver, f"{base}{prefix}/docs")
    assert page.text("h1") == "supersmart 0.0.1"
    assert json.loads(page.editor.get_attribute("value")) == {"x": 20, "y": 5}

    page.send()

    status, body = page.answer()
    assert status == "200 OK"
    assert float(body) == 100
    posted = [one["url"] for one in page.assert_all_is_quiet(prefix) if one["method"] == "POST"]
    assert posted == [f"{base}{prefix}/api/v1/perform"]


def test_the_page_sends_its_sample_where_the_job_is_mounted(driver: Any) -> None:
    with started([sys.executable, "-c", MOUNTED, str(EXAMPLE)], cwd=Path(__file__).parents[2]) as server:
        server.wait_until("/one/ready", 200)
        page = PlainPage(driver, f"{server.url}/one/docs")
        page.send()
        status, body = page.answer()
        assert (status, float(body)) == ("200 OK", 100)
        posted = [one["url"] for one in page.assert_all_is_quiet("/one") if one["method"] == "POST"]
        assert posted == [f"{server.url}/one/api/v1/perform"]


def test_nothing_is_blocked_complained_about_or_asked_of_another_host(page: PlainPage) -> None:
    for send in page.all(".send"):
        send.click()
    page.until(lambda: len(page.all(".answer pre")) == len(page.all(".answer")))

    asked = [one["url"] for one in page.assert_all_is_quiet()]
    assert any(url.endswith("/plain.js") for url in asked)


def test_it_says_quietly_how_to_get_swagger_ui(page: PlainPage) -> None:
    assert "pip install 'swagger-ui-bundle-v2" in page.text("footer")


def test_the_tracing_id_of_an_answer_is_shown(page: PlainPage) -> None:
    page.send()
    page.answer()

    sent = next(one for one in page.assert_all_is_quiet() if one["method"] == "POST")
    assert page.text(f"{page.perform} .tracing code") == sent["headers"]["X-Request-Tracing-Id"]


def test_control_and_enter_in_the_payload_send_it(page: PlainPage) -> None:
    page.write('{"x": 3, "y": 0.5}')
    page.editor.send_keys(keys.CONTROL, keys.ENTER)

    status, body = page.answer()
    assert (status, float(body)) == ("200 OK", 1.5)


def test_the_keyboard_alone_reaches_the_button_and_keeps_its_place(page: PlainPage) -> None:
    page.editor.send_keys(keys.TAB)
    button = page.driver.switch_to.active_element
    assert button.text == "Send"

    button.send_keys(keys.ENTER)

    assert page.answer()[0] == "200 OK"
    assert page.driver.switch_to.active_element == button


def test_a_refusal_of_the_server_is_shown_with_its_reason(page: PlainPage) -> None:
    page.write('{"x": 3}')
    page.send()

    status, body = page.answer()
    assert status.upper() == "400 BAD REQUEST"
    assert "y" in json.loads(body)["error"]


def test_invalid_json_is_told_with_its_line_and_never_sent(page: PlainPage) -> None:
    page.write('{"x": 20,\n"y": NaN}')
    page.send()

    page.until(lambda: page.text(f"{page.perform} .problem"))
    assert page.text(f"{page.perform} .problem") == (
        "This is not valid JSON. Line 2, column 6: expected a value, found NaN."
    )
    assert page.editor.get_attribute("aria-invalid") == "true"
    assert page.driver.switch_to.active_element == page.editor
    assert [one for one in page.assert_all_is_quiet() if one["method"] == "POST"] == []


def test_the_sample_comes_back_and_the_message_goes(page: PlainPage) -> None:
    page.write("{")
    page.send()
    page.until(lambda: page.text(f"{page.perform} .problem"))

    buttons = page.all(f"{page.perform} button")
    next(button for button in buttons if button.text == "Reset sample").click()

    assert json.loads(page.editor.get_attribute("value")) == {"x": 20, "y": 5}
    assert page.text(f"{page.perform} .problem") == ""


def test_the_curl_command_follows_the_payload(page: PlainPage, base: str) -> None:
    page.write('{"x": 7}')
    command = page.text(f"{page.perform} .curl pre")
    assert f"{base}/api/v1/perform" in command
    assert """'{"x": 7}'""" in command


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_in_either_scheme_and_needs_no_sideways_scrolling(
    driver: Any, base: str, scheme: str, width: int
) -> None:
    with screen(driver, width, scheme):
        page = PlainPage(driver, f"{base}/docs")
        page.send()
        page.answer()
        assert page.needs_no_sideways_scrolling()
        contrast, text = page.lowest_contrast()
        assert contrast >= 4.5, text
