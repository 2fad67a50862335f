"""What `/docs` is made of: addresses, caching and what is left out; no browser is needed (SPEC 4.1)."""

from __future__ import annotations

import importlib.util
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import JobClient

needs_swagger_ui = pytest.mark.skipif(
    importlib.util.find_spec("swagger_ui_bundle") is None, reason="swagger-ui-bundle-v2 is not installed"
)
BODY = "def perform(self, x: float) -> float: return x"


def assets(page: Any) -> list[str]:
    """The addresses that a page names, other than those of its links for people."""
    found: list[str] = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="([^"]+)"', page.text)
    assert found
    return [f"/{address}" for address in dict.fromkeys(found)]


@pytest.fixture(params=["with", "without"])
def client(
    request: pytest.FixtureRequest, job_of: Callable[..., JobClient], monkeypatch: pytest.MonkeyPatch
) -> JobClient:
    """A job, with Swagger UI where that is installed, and without."""
    if request.param == "without":
        monkeypatch.setitem(sys.modules, "swagger_ui_bundle", None)
    return job_of(BODY)


def test_assets_are_kept_for_ever_and_the_page_is_asked_for_again(client: JobClient) -> None:
    page = client.get("/docs")
    assert page.headers["Cache-Control"] == "no-cache"
    for address in assets(page):
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
        assert re.fullmatch(r"/docs/_assets/[0-9a-f]{12}/[a-z-]+\.(css|js|svg)", address)


def test_the_policy_lets_nothing_in_from_elsewhere_or_inline(client: JobClient) -> None:
    policy = client.get("/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("where", ["with", "without"])
def test_an_asset_of_the_waiting_page_is_still_there_when_the_job_is_ready(
    client_of: Callable[..., JobClient], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "without":
        monkeypatch.setitem(sys.modules, "swagger_ui_bundle", None)

    may_load = threading.Event()

    class Job:
        def __init__(self) -> None:
            may_load.wait()

        def perform(self) -> None: ...

    client = client_of(Job, load="background")
    waiting = client.get("/docs")
    assert waiting.status_code == 503
    assert "data-waiting" in waiting.text
    may_load.set()
    client.application.state.wait()

    assert {client.get(address).status_code for address in assets(waiting)} == {200}
    assert "data-waiting" not in client.get("/docs").text


@needs_swagger_ui
def test_of_swagger_ui_two_files_are_served_and_no_others(job_of: Callable[..., JobClient]) -> None:
    client = job_of(BODY)
    of_it = [address for address in assets(client.get("/docs")) if "/swagger-ui" in address]
    assert [Path(address).name for address in of_it] == ["swagger-ui.css", "swagger-ui-bundle.js"]
    for other in ("index.html", "swagger-ui.css.map", "swagger-ui-standalone-preset.js", "../__init__.py"):
        assert client.get(str(Path(of_it[0]).parent / other)).status_code in (400, 404)


@needs_swagger_ui
def test_a_file_of_swagger_ui_that_vanished_is_said_to_be_gone(
    job_of: Callable[..., JobClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = swagger_ui(monkeypatch, tmp_path / "swagger-ui-5.31.0")
    client = job_of(BODY)
    script = next(address for address in assets(client.get("/docs")) if address.endswith("-bundle.js"))
    assert client.get(script).data == b"swagger-ui-bundle.js"

    (folder / "swagger-ui-bundle.js").unlink()

    answer = client.get(script)
    assert answer.status_code == 404
    assert "swagger-ui-bundle.js has gone since the job started" in answer.json["error"]


@pytest.mark.parametrize("name", ["swagger-ui-4.15.5", "swagger-ui-5.30.2", "swagger-ui"])
def test_a_swagger_ui_that_is_too_old_is_left_alone(
    job_of: Callable[..., JobClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    swagger_ui(monkeypatch, tmp_path / name)
    assert "pip install 'swagger-ui-bundle-v2&gt;=5.31'" in job_of(BODY).get("/docs").text


def test_half_a_swagger_ui_is_left_alone(
    job_of: Callable[..., JobClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (swagger_ui(monkeypatch, tmp_path / "swagger-ui-5.31.0") / "swagger-ui.css").unlink()
    assert "pip install" in job_of(BODY).get("/docs").text


def swagger_ui(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Pretend that the package in ``folder`` is installed."""
    folder.mkdir()
    for name in ("swagger-ui.css", "swagger-ui-bundle.js"):
        (folder / name).write_text(name)
    module = ModuleType("swagger_ui_bundle")
    module.swagger_ui_path = folder  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "swagger_ui_bundle", module)
    return folder
