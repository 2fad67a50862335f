"""The pages of `/docs` as their reader finds them in a browser: by what they say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

keys = pytest.importorskip("selenium.webdriver.common.keys", reason="selenium is not installed").Keys
exceptions = pytest.importorskip("selenium.common.exceptions", reason="selenium is not installed")
waiting = pytest.importorskip("selenium.webdriver.support.ui", reason="selenium is not installed")

PATIENCE = 30  # seconds; reached only where something is broken
WIDE, NARROW = 1280, 360

# The lowest contrast of any visible text with what is behind it, and that text (WCAG 2, 1.4.3).
CONTRAST = """
const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
const read = (colour) => {
  const [r, g, b, alpha = 1] = colour.match(/[\\d.]+/g).map(Number);
  return { rgb: [r, g, b].map((each) => each / 255), alpha };
};
const over = (top, below) => top.rgb.map((each, i) => each * top.alpha + below[i] * (1 - top.alpha));
const light = (rgb) => rgb.map(channel).reduce((sum, each, i) => sum + each * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (node) => {
  if (!node) return [1, 1, 1];
  const own = read(getComputedStyle(node).backgroundColor);
  return own.alpha === 1 ? own.rgb : over(own, ground(node.parentElement));
};
const measured = [];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const { data, parentElement: node } = texts.currentNode;
  if (!data.trim() || !node.checkVisibility() || node.closest(".hidden, .skip, noscript, option")) continue;
  const behind = ground(node);
  const text = over(read(getComputedStyle(node).color), behind);
  const [low, high] = [light(text), light(behind)].sort((a, b) => a - b);
  measured.push([(high + 0.05) / (low + 0.05), data.trim()]);
}
return measured.sort((a, b) => a[0] - b[0])[0];
"""


class Page:
    """The page at ``url``: once ``marker`` is on it and the job is ready, unless it ``is_waiting``."""

    marker = "#endpoints > *"

    def __init__(self, driver: Any, url: str, *, is_waiting: bool = False) -> None:
        self.driver = driver
        self.url = url
        for kind in ("browser", "performance"):
            driver.get_log(kind)  # what an earlier page left there
        driver.get(url)
        if not is_waiting:
            self.until(self.is_shown)

    def is_shown(self) -> bool:
        return self.text("#state") == "Ready" and bool(self.all(self.marker))

    def until(self, condition: Callable[[], object]) -> None:
        gone = [exceptions.StaleElementReferenceException]  # with the page before this one
        waiting.WebDriverWait(self.driver, PATIENCE, ignored_exceptions=gone).until(lambda _: condition())

    def all(self, selector: str) -> list[Any]:
        found: list[Any] = self.driver.find_elements("css selector", selector)
        return found

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def press_tab(self) -> Any:
        """The element that has the focus then."""
        self.driver.switch_to.active_element.send_keys(keys.TAB)
        return self.driver.switch_to.active_element

    def events(self) -> list[Any]:
        """What the network did since the last look."""
        return [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]

    def assert_all_is_quiet(self, prefix: str = "") -> list[Any]:
        """Nothing complained, nothing was blocked, all was asked of our server. Returns the requests."""
        complaints = [entry["message"] for entry in self.driver.get_log("browser")]
        assert complaints == []
        events = self.events()
        requests = [e["params"]["request"] for e in events if e["method"] == "Network.requestWillBeSent"]
        here = urlsplit(self.url)
        for request in requests:
            if not request["url"].startswith("data:"):
                assert request["url"].startswith(f"{here.scheme}://{here.netloc}{prefix}/"), request["url"]
        assert [e["params"] for e in events if e["method"] == "Network.loadingFailed"] == []
        return requests

    def needs_no_sideways_scrolling(self) -> bool:
        root = self.one("html")
        return bool(root.get_property("scrollWidth") <= root.get_property("clientWidth"))

    def lowest_contrast(self) -> tuple[float, str]:
        ratio, text = self.driver.execute_script(CONTRAST)
        return ratio, text


class PlainPage(Page):
    marker = perform = "#op-perform"

    @property
    def editor(self) -> Any:
        return self.one(f"{self.perform} textarea")

    def write(self, payload: str) -> None:
        self.editor.send_keys(keys.CONTROL, "a")
        self.editor.send_keys(payload)

    def send(self) -> None:
        self.one(f"{self.perform} .send").click()

    def answer(self) -> tuple[str, str]:
        """Status and body, as soon as they are there."""
        self.until(lambda: self.all(f"{self.perform} .answer pre"))
        return self.text(f"{self.perform} .verdict span"), self.text(f"{self.perform} .answer pre")


class SwaggerPage(Page):
    marker = perform = "#operations-job-perform"

    @property
    def editor(self) -> Any:
        return self.one(f"{self.perform} textarea")

    def try_out(self) -> None:
        """Open the endpoint and its form."""
        self.one(f"{self.perform} .opblock-summary-control").click()
        self.until(lambda: self.all(f"{self.perform} .try-out__btn"))
        button = self.one(f"{self.perform} .try-out__btn")
        assert button.text == "Try it out"
        button.click()
        self.until(lambda: self.all(f"{self.perform} textarea"))

    def execute(self) -> None:
        button = self.one(f"{self.perform} .execute")
        assert button.text == "Execute"
        button.click()
        self.until(lambda: self.all(f"{self.perform} .tracing"))

    def answer(self) -> tuple[str, str]:
        """Status and body."""
        row = f"{self.perform} .live-responses-table tbody"
        return self.text(f"{row} .response-col_status"), self.text(f"{row} .response-col_description pre")

    def tracing_id(self) -> str:
        return self.text(f"{self.perform} .tracing code")


@contextmanager
def screen(driver: Any, width: int, scheme: str) -> Iterator[None]:
    """A screen that is ``width`` pixels wide, of somebody who prefers that colour ``scheme``."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    prefer(driver, scheme)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def prefer(driver: Any, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
