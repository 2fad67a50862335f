"""A browser for all tests of pages, and a server for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
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
EXAMPLE = Path(__file__).parents[2] / "examples" / "supersmart"


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium without a window; skips where it or selenium is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    for path in (CHROMIUM, CHROMEDRIVER):
        if not path.exists():
            pytest.skip(f"{path} is not installed")
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
    # It begins with a page of its own, whose requests would be taken for those of the first test's page.
    browser.get("about:blank")
    while browser.get_log("performance"):
        pass
    yield browser
    browser.quit()


@pytest.fixture
def base(running: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    """The address of an example that is served as it is."""
    with running(EXAMPLE) as url:
        yield url
