"""What the OpenAPI document says of tokens (SPEC 8): how to send one, who needs one, and what is open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyjob.access.store.ledger import Ledger
from pyjob.openapi.security import with_open
from tests.access_job import NAME, TOKEN, VERSION, make_guarded
from tests.conftest import ClientOf, JobClient

PATIENCE = 30  # seconds; reached only where something is broken
HEADERS = {"X-Racetrack-Auth": TOKEN}
TELLING = "/api/v1/told"  # listed, and not approved


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    return make_guarded(tmp_path)


@pytest.fixture
def client(place: tuple[Path, Path], client_of: ClientOf) -> JobClient:
    job, store = place
    return client_of(job, access=str(store))


def document_of(client: JobClient) -> dict[str, Any]:
    answer = client.get("/openapi.json", headers=HEADERS)
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json
    return document


def operations_of(document: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """By method and path."""
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def is_open(operation: Any) -> bool:
    return bool(operation.get("security") == [])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_token_is_sent_as_a_header_of_either_kind(client: JobClient) -> None:
    document = document_of(client)
    schemes = document["components"]["securitySchemes"]
    assert [(one["type"], one.get("name"), one.get("scheme")) for one in schemes.values()] == [
        ("apiKey", "X-Racetrack-Auth", None),
        ("http", None, "bearer"),
    ]
    assert document["security"] == [{name: []} for name in schemes]


def test_the_document_is_valid(client: JobClient) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    schemathesis.openapi.from_dict(document_of(client)).validate()


def test_what_is_open_by_the_document_is_so_and_nothing_else(client: JobClient) -> None:
    for (method, path), operation in operations_of(document_of(client)).items():
        answer = client.open(path.replace("{name}", "any").replace("{path}", "any"), method=method)
        assert (answer.status_code != 401) == is_open(operation), path


def test_closed_operations_may_be_refused_and_open_ones_say_that_they_are_open(client: JobClient) -> None:
    document = document_of(client)
    operations = operations_of(document)
    assert {is_open(one) for one in operations.values()} == {True, False}
    for operation in operations.values():
        if is_open(operation):
            assert operation["description"].endswith("Open: needs no token.")
            assert operation["responses"].keys().isdisjoint(("401", "403"))
        else:
            assert "Open:" not in operation.get("description", "")
            assert operation["responses"]["401"] == {"$ref": "#/components/responses/Unauthorized"}
            assert operation["responses"]["403"] == {"$ref": "#/components/responses/Forbidden"}
    for name in ("Unauthorized", "Forbidden"):
        answer = document["components"]["responses"][name]
        assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


def test_a_template_of_which_only_some_paths_are_open_is_closed(client: JobClient) -> None:
    operations = operations_of(document_of(client))
    assert client.get("/api/v1/items/open").status_code == 200
    assert not is_open(operations["GET", "/api/v1/items/{name}"])
    assert not is_open(operations["GET", "/api/v1/static/{path}"])
    assert is_open(operations["POST", "/api/v1/perform"])


def test_what_is_open_as_a_whole_is_so_by_its_template_too(
    place: tuple[Path, Path], client_of: ClientOf
) -> None:
    job, store = place
    manifest = job / "job.yaml"
    manifest.write_text(
        manifest.read_text().replace("- /webview/open", "- /webview\n  - /items\n  - /static")
    )
    for path in ("webview", "items", "static"):
        Ledger(store).approve(NAME, VERSION, f"/api/v1/{path}")
    operations = operations_of(document_of(client_of(job, access=str(store))))
    for path in ("items/{name}", "static/{path}", "webview/"):
        assert is_open(operations["GET", f"/api/v1/{path}"]), path


def test_a_template_within_a_segment_is_not_open_by_what_stands_before_it(
    place: tuple[Path, Path], client_of: ClientOf
) -> None:
    job, store = place
    code, manifest = job / "job.py", job / "job.yaml"
    code.write_text(code.read_text().replace("/items/{name}", "/items/x-{name}"))
    manifest.write_text(manifest.read_text().replace("- /api/v1/items/open", "- /items/x-"))
    Ledger(store).approve(NAME, VERSION, "/api/v1/items/x-")
    client = client_of(job, access=str(store))
    assert client.get("/items/x-any").status_code == 401
    assert not is_open(operations_of(document_of(client))["GET", "/api/v1/items/x-{name}"])


def test_a_path_with_braces_of_its_own_is_open_where_that_very_path_is(
    place: tuple[Path, Path], client_of: ClientOf
) -> None:
    job, store = place
    code = job / "job.py"
    code.write_text(code.read_text().replace('{"/static": "files"', '{"/{x}": "files/open.txt"'))
    manifest = job / "job.yaml"
    manifest.write_text(manifest.read_text().replace("- /webview/open", '- "/{x}"'))
    Ledger(store).approve(NAME, VERSION, "/api/v1/{x}")
    client = client_of(job, access=str(store))
    assert client.get("/api/v1/{x}").status_code == 200
    assert is_open(operations_of(document_of(client))["GET", "/api/v1/%7Bx%7D"])


def test_an_approval_and_its_end_show_while_the_job_is_served(
    client: JobClient, place: tuple[Path, Path]
) -> None:
    ledger = Ledger(place[1])

    def tells() -> bool:
        return is_open(operations_of(document_of(client))["POST", TELLING])

    before = document_of(client)
    assert not tells()
    ledger.approve(NAME, VERSION, TELLING)
    wait_until(tells)
    ledger.revoke_approval(NAME, VERSION, TELLING)
    wait_until(lambda: not tells())
    assert document_of(client) == before


def test_the_document_is_made_once_for_what_is_open(
    place: tuple[Path, Path], client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counting(*arguments: Any) -> Any:
        made.append(arguments)
        return with_open(*arguments)

    monkeypatch.setattr("pyjob.apps.openapi.with_open", counting)
    client = client_of(place[0], access=str(place[1]))
    for _ in range(5):
        document_of(client)
    assert len(made) == 1
    Ledger(place[1]).approve(NAME, VERSION, TELLING)
    wait_until(lambda: is_open(operations_of(document_of(client))["POST", TELLING]))
    document_of(client)
    assert len(made) == 2


def test_whoever_asks_while_approvals_change_gets_one_whole_document(
    client: JobClient, place: tuple[Path, Path]
) -> None:
    ledger, done, lock = Ledger(place[1]), threading.Event(), threading.Lock()
    seen: list[dict[str, Any]] = []

    def ask() -> None:
        while not done.is_set():
            document = document_of(client)
            with lock:
                if document not in seen:
                    seen.append(document)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(seen) == 1)
        ledger.approve(NAME, VERSION, TELLING)
        wait_until(lambda: len(seen) == 2)
        ledger.revoke_approval(NAME, VERSION, TELLING)
        wait_until(lambda: not is_open(operations_of(document_of(client))["POST", TELLING]))
    finally:
        done.set()
        for thread in threads:
            thread.join(PATIENCE)
    assert [is_open(operations_of(one)["POST", TELLING]) for one in seen] == [False, True]


def test_without_access_control_nothing_is_said_of_it(
    place: tuple[Path, Path], client: JobClient, client_of: ClientOf
) -> None:
    open_document = client_of(place[0]).get("/openapi.json").json
    assert "security" not in open_document
    assert "securitySchemes" not in open_document["components"]
    guarded = document_of(client)
    for key, operation in operations_of(open_document).items():
        assert "security" not in operation
        assert operation["responses"].keys().isdisjoint(("401", "403"))
        told = operations_of(guarded)[key]
        assert told["responses"].items() >= operation["responses"].items()


def test_where_the_host_decides_there_are_no_schemes(place: tuple[Path, Path], client_of: ClientOf) -> None:
    decided = client_of(place[0], access=lambda environ: True).get("/openapi.json").json
    assert decided == client_of(place[0]).get("/openapi.json").json


@pytest.mark.parametrize("path", ["/docs", "/status"])
def test_pages_lead_to_the_way_out_where_people_sign_in(
    client: JobClient, place: tuple[Path, Path], client_of: ClientOf, path: str
) -> None:
    link = '<a href="sign-out">Sign out</a>'
    assert link in client.get(path, headers=HEADERS).text
    assert link not in client_of(place[0]).get(path).text
    assert link not in client_of(place[0], access=lambda environ: True).get(path).text


def test_the_page_of_a_job_that_is_not_there_leads_there_too(
    place: tuple[Path, Path], client_of: ClientOf
) -> None:
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no model")

        def perform(self) -> None: ...

    client = client_of(Broken, access=str(place[1]), load="background")
    client.application.start()
    assert client.application.state.wait(60) == "failed"
    page = client.get("/docs", headers=HEADERS)
    assert page.status_code == 503
    assert '<a href="sign-out">' in page.text
    assert client.get("/docs").status_code == 401
