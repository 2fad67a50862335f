"""Pages of other origins in a browser: who reads the job's answers, and who does not (SPEC 4.9)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeJob
from tests.servers import Server, pyjob_run, started

JOB = """
class Job:
    def perform(self, x: int = 1):
        if x < 0:
            raise ValueError("x is negative")
        return {"doubled": 2 * x}
"""
# Calls as a page does; what came of it, or why nothing did.
CALL = """
const [url, options, done] = arguments;
fetch(url, options).then(
  async (answer) => {
    const id = answer.headers.get("X-Request-ID");
    done({ status: answer.status, body: await answer.json(), id });
  },
  (error) => done({ error: error.name }),
);
"""


class BlankPage(BaseHTTPRequestHandler):
    """A page with nothing on it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>a page of another origin</title>")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing is told of it."""


@contextmanager
def page() -> Iterator[str]:
    """The origin of a blank page: another port is another origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BlankPage) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def pages() -> Iterator[tuple[str, str]]:
    """Two origins."""
    with page() as one, page() as other:
        yield one, other


def post(driver: Any, server: Server, x: int, **options: Any) -> Any:
    headers = {"Content-Type": "application/json", "X-Racetrack-Auth": "some-token"}
    sent = {"method": "POST", "headers": headers, "body": json.dumps({"x": x}), **options}
    return driver.execute_async_script(CALL, f"{server.url}/perform", sent)


def test_a_listed_page_calls_with_a_token_and_another_reads_nothing(
    driver: Any, make_job: MakeJob, pages: tuple[str, str]
) -> None:
    listed, other = pages
    with started(pyjob_run(make_job(JOB), "--cors-origin", listed)) as server:
        server.wait_until("/ready", 200)
        driver.get(listed)
        answer = post(driver, server, 21)
        assert (answer["status"], answer["body"]) == (200, {"doubled": 42})
        assert answer["id"]
        assert post(driver, server, -1)["status"] == 400
        assert post(driver, server, 4, credentials="include")["body"] == {"doubled": 8}
        parameters = f"{server.url}/parameters", {"cache": "force-cache"}
        assert driver.execute_async_script(CALL, *parameters)["status"] == 200
        driver.get(other)
        assert post(driver, server, 21) == {"error": "TypeError"}
        # What needs no preflight arrives, but is not read.
        assert post(driver, server, 21, headers={}) == {"error": "TypeError"}
        # Nor is what a cache has of the listed page.
        assert driver.execute_async_script(CALL, *parameters) == {"error": "TypeError"}


def test_any_page_calls_where_any_may_and_none_with_credentials(
    driver: Any, make_job: MakeJob, pages: tuple[str, str], tmp_path: Path
) -> None:
    folder = make_job(JOB, extra={"cors_origins": '["*"]'})
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        driver.get(pages[0])
        assert post(driver, server, 21)["body"] == {"doubled": 42}
        assert post(driver, server, 21, credentials="include") == {"error": "TypeError"}
        # Of a file, whose origin is null.
        file = tmp_path / "page.html"
        file.write_text("<!doctype html><title>a file</title>")
        driver.get(file.as_uri())
        assert post(driver, server, 21) == {"error": "TypeError"}
