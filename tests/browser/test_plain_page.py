"""The page of `/docs` in a real browser: what a reader sees, types and is told (SPEC 4.1)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is not installed").Keys
waiting = pytest.importorskip("selenium.webdriver.support.ui", reason="selenium is not installed")

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
pytestmark = [
    pytest.mark.skipif(not path.exists(), reason=f"{path} is not installed")
    for path in (CHROMIUM, CHROMEDRIVER)
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "supersmart"
PATIENCE = 30  # seconds; reached only where something is broken
FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PERFORM = "#op-perform"

Running = Callable[..., AbstractContextManager[str]]


class Page:
    """The page at ``url`` in a browser, found again as its reader finds it: by what it says."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        self.url = url
        for kind in ("browser", "performance"):
            driver.get_log(kind)  # what an earlier page left there
        driver.get(url)
        self.until(lambda: self.text("#state") == "Ready" and self.all(PERFORM))

    def until(self, condition: Callable[[], object]) -> None:
        waiting.WebDriverWait(self.driver, PATIENCE).until(lambda _: condition())

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    @property
    def editor(self) -> Any:
        return self.one(f"{PERFORM} textarea")

    def write(self, payload: str) -> None:
        self.editor.send_keys(keys.CONTROL, "a")
        self.editor.send_keys(payload)

    def answer(self) -> tuple[str, str]:
        """Status and body, as soon as they are there."""
        self.until(lambda: self.all(f"{PERFORM} .answer pre"))
        return self.text(f"{PERFORM} .verdict span"), self.text(f"{PERFORM} .answer pre")

    def network(self) -> tuple[list[str], list[str], list[str]]:
        """The addresses asked, those asked with POST, and the failures, since the last look."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [e["params"]["request"] for e in entries if e["method"] == "Network.requestWillBeSent"]
        failures = [str(e["params"]) for e in entries if e["method"] == "Network.loadingFailed"]
        return [s["url"] for s in sent], [s["url"] for s in sent if s["method"] == "POST"], failures


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    flags = [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('browser')}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium refuses to start as root otherwise
    for flag in flags:
        options.add_argument(flag)
    service = webdriver.ChromeService(str(CHROMEDRIVER))
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()


@pytest.fixture
def base(running: Running) -> Iterator[str]:
    with running(EXAMPLE) as url:
        yield url


@pytest.fixture
def page(driver: Any, base: str) -> Page:
    return Page(driver, f"{base}/docs")


@pytest.mark.parametrize("prefix", ["", "/pub/job/x/1"])
def test_the_page_shows_the_job_and_sends_its_sample_below_its_own_prefix(
    driver: Any, base: str, prefix: str
) -> None:
    page = Page(driver, f"{base}{prefix}/docs")
    assert page.text("h1") == "supersmart 0.0.1"
    assert json.loads(page.editor.get_attribute("value")) == {"x": 20, "y": 5}

    page.one(f"{PERFORM} .send").click()

    status, body = page.answer()
    assert status == "200 OK"
    assert float(body) == 100
    _, posted, _ = page.network()
    assert posted == [f"{base}{prefix}/api/v1/perform"]


def test_nothing_is_blocked_complained_about_or_asked_of_another_host(driver: Any, base: str) -> None:
    page = Page(driver, f"{base}/docs")
    for send in page.all(".send"):
        send.click()
    page.until(lambda: len(page.all(".answer pre")) == len(page.all(".answer")))

    assert driver.get_log("browser") == []
    asked, _, failures = page.network()
    assert f"{base}/docs/_assets/plain.js" in asked
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(base).netloc}
    assert failures == []


def test_control_and_enter_in_the_payload_send_it(page: Page) -> None:
    page.write('{"x": 3, "y": 0.5}')
    page.editor.send_keys(keys.CONTROL, keys.ENTER)

    status, body = page.answer()
    assert (status, float(body)) == ("200 OK", 1.5)


def test_the_keyboard_alone_reaches_the_button_and_keeps_its_place(page: Page) -> None:
    page.editor.send_keys(keys.TAB)
    button = page.driver.switch_to.active_element
    assert button.text == "Send"

    button.send_keys(keys.ENTER)

    assert page.answer()[0] == "200 OK"
    assert page.driver.switch_to.active_element == button


def test_a_refusal_of_the_server_is_shown_with_its_reason(page: Page) -> None:
    page.write('{"x": 3}')
    page.one(f"{PERFORM} .send").click()

    status, body = page.answer()
    assert status.upper() == "400 BAD REQUEST"
    assert "y" in json.loads(body)["error"]


def test_invalid_json_is_told_with_its_line_and_never_sent(page: Page) -> None:
    page.write('{"x": 20,\n"y": NaN}')
    page.one(f"{PERFORM} .send").click()

    page.until(lambda: page.text(f"{PERFORM} .problem"))
    assert page.text(f"{PERFORM} .problem") == (
        "This is not valid JSON. Line 2, column 6: expected a value, found NaN."
    )
    assert page.editor.get_attribute("aria-invalid") == "true"
    assert page.driver.switch_to.active_element == page.editor
    _, posted, _ = page.network()
    assert posted == []


def test_the_sample_comes_back_and_the_message_goes(page: Page) -> None:
    page.write("{")
    page.one(f"{PERFORM} .send").click()
    page.until(lambda: page.text(f"{PERFORM} .problem"))

    next(button for button in page.all(f"{PERFORM} button") if button.text == "Reset sample").click()

    assert json.loads(page.editor.get_attribute("value")) == {"x": 20, "y": 5}
    assert page.text(f"{PERFORM} .problem") == ""


def test_the_curl_command_follows_the_payload(page: Page, base: str) -> None:
    page.write('{"x": 7}')
    command = page.text(f"{PERFORM} .curl pre")
    assert f"{base}/api/v1/perform" in command
    assert """'{"x": 7}'""" in command


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_needs_no_sideways_scrolling(driver: Any, base: str, scheme: str) -> None:
    screen = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    theme = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", theme)
    try:
        page = Page(driver, f"{base}/docs")
        page.one(f"{PERFORM} .send").click()
        page.answer()
        root = page.one("html")
        assert root.get_property("scrollWidth") <= root.get_property("clientWidth") <= 360
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
