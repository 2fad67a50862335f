"""Ways by which a request might get past the guard, or learn what it is not told (SPEC 8)."""

from __future__ import annotations

import asyncio
import logging
import subprocess
from pathlib import Path
from typing import Any

import pytest

import pyjob
from pyjob.access.store.store import Store
from pyjob.errors import ManifestError
from tests.callers import calling, hold, pipe, released, until_waiting
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import Server, pyjob_run, started
from tests.stores import HEADER, Made, until

# Each of its endpoints would answer at a path that needs no token, if it were not the service's own.
NAMESAKE = """
    from pyjob import EndpointConfig


    class Job:
        def perform(self) -> int:
            return 1

        def auxiliary_endpoints(self):
            names = ("/live", "/sign-in", "/docs", "/openapi.json", "/sign-in/_assets/x")
            return dict.fromkeys(names, self.ran)

        def ran(self) -> str:
            return "ran"

        def auxiliary_endpoints_v2(self):
            return [EndpointConfig("/{one}", "POST", self.one)]

        def one(self, one: str) -> str:
            return "ran"

        def static_endpoints(self):
            return {"/sign-in": "files", "/sign-in/_assets/one.txt": "files/_assets/a.txt"}
"""
FURTHER = """
    from pyjob import EndpointConfig


    class Job:
        def perform(self) -> int:
            return 1

        def auxiliary_endpoints_v2(self):
            return [EndpointConfig("/{a}/{b}/{c}", "GET", self.three)]

        def three(self, a: str, b: str, c: str) -> str:
            return "ran"
"""


@pytest.mark.parametrize("job", [NAMESAKE, FURTHER], ids=["names", "braces"])
def test_where_the_service_needs_no_token_the_job_has_no_short_form(
    make_job: MakeJob, store: Made, client_of: ClientOf, job: str
) -> None:
    token = {HEADER: store.token()}
    store.approve("/docs")
    store.approve("/openapi.json")
    folder = make_job(
        job,
        fields="public_endpoints: [/docs, /openapi.json]",
        files={"files/_assets/a.txt": "ran", "files/_assets/b/c.txt": "ran"},
    )
    client = client_of(folder, access=store.path, cookies=False)
    assert client.post("/perform", json={}, headers=token).json == 1
    for path in ("/live", "/ready", "/health", "/sign-in", "/sign-out", "/docs", "/openapi.json"):
        for prefix in ("", "/pub/job/a/b"):
            for method in ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"):
                answer = client.open(f"{prefix}{path}", method=method, json={})
                assert "ran" not in answer.get_data(as_text=True).split('"'), (method, path)
    for name in ("a.txt", "b/c.txt", "one.txt", "x"):
        for method in ("GET", "POST"):
            assert client.open(f"/sign-in/_assets/{name}", method=method, json={}).status_code == 404
    if job == NAMESAKE:
        assert client.post("/api/v1/live", json={}, headers=token).json == "ran"
        assert client.post("/api/v1/ready", json={}, headers=token).json == "ran"
        assert client.post("/api/v1/live", json={}).status_code == 401


def test_who_has_no_token_is_told_of_no_other_path(
    make_job: MakeJob, store: Made, client_of: ClientOf
) -> None:
    code = """
        class Job:
            def perform(self): return 1
            def auxiliary_endpoints(self): return {"/quarterly-report": self.perform}
    """
    token = {HEADER: store.token()}
    store.approve("/api/v1/perform")
    client = client_of(
        make_job(code, fields="public_endpoints: [/perform]"), access=store.path, cookies=False
    )
    for path in ("/perform/quarterly-repor", "/sign-in/_assets/quarterly-repor"):
        told = client.get(path)
        assert told.status_code == 404
        assert "quarterly-report" not in told.json["error"]
        assert "did you mean /quarterly-report?" in client.get(path, headers=token).json["error"]


PASSING_ON = """
    import io
    import pyjob


    class Inner:
        def perform(self):
            return "ran"


    inner = pyjob.create(Inner, access=r"{store}", load="now")


    class Job:
        def perform(self, n: int = 0, hold: str = ""):
            if hold:
                with open(hold) as pipe:
                    pipe.read()
            environ = dict(self.request_context.get().environ)
            told = []
            body = inner(environ, lambda status, headers, error=None: told.append(status))
            return told[0] + b"".join(body).decode()
"""


@pytest.mark.parametrize("outer_asks", [False, True], ids=["open", "with tokens"])
def test_an_application_that_a_job_passes_its_environ_on_to_decides_for_itself(
    make_job: MakeJob, store: Made, tmp_path: Path, outer_asks: bool
) -> None:
    store.approve("/metrics")
    store.approve("/api/v1/perform")
    fields = "public_endpoints: [/metrics, /perform]"
    code = PASSING_ON.replace("{store}", str(store.path))
    folder = make_job(code, fields=fields, extra={"max_concurrency": 1, "entrypoint_class": "Job"})

    async def scenario(server: Server, path: Path) -> list[Any]:
        async with await hold(server, path) as first, await calling(server.port) as second:
            await until_waiting(server.port, 1)  # it is the second time that the server asks for this one
            return [one.json for one in await released(path, (first, second))]

    options = ("--access", str(store.path)) if outer_asks else ()
    with started(pyjob_run(folder, *options)) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        for told in asyncio.run(scenario(server, path)):
            assert told.startswith("401")


def test_a_probe_for_life_does_not_wait_for_the_disk_of_the_store(
    make_job: MakeJob, store: Made, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job("class Job:\n    def perform(self): return 1", fields="public_endpoints: [/perform]")
    client = client_of(folder, access=store.path, cookies=False)

    def look(store: Store) -> None:
        raise AssertionError("it looks, and the disk may not answer")

    monkeypatch.setattr(Store, "_current", look)
    assert client.get("/live").status_code == 200


def test_a_store_that_is_named_among_the_variables_of_the_job_is_an_error_and_does_not_go_unheard(
    make_job: MakeJob, store: Made, client_of: ClientOf
) -> None:
    folder = make_job("class Job:\n    def perform(self): return 1")
    with pytest.raises(ManifestError, match="a store is named by --access"):
        client_of(folder, env={"PYJOB_ACCESS": str(store.path)})
    command = [*pyjob_run(folder), "--env", f"PYJOB_ACCESS={store.path}"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert "PYJOB_ACCESS: expected a variable of the job's own" in ended.stderr + ended.stdout


class Told:
    """A job that says by which name it was called."""

    request_context: Any

    def perform(self) -> str:
        name: str = self.request_context.get().caller_name
        return name


def test_a_cookie_gives_no_name_where_it_would_not_let_in(store: Made, client_of: ClientOf) -> None:
    cookie = {"Cookie": f"{HEADER}={store.token()}"}
    store.approve("/api/v1/perform", name="told")
    manifest = {
        "name": "told",
        "owner_email": "nobody@example.com",
        "jobtype": "python3:latest",
        "git": {"remote": "https://example.com/told"},
        "public_endpoints": ["/perform"],
    }
    client = client_of(Told, manifest=manifest, access=store.path, cookies=False)
    for headers, name in (
        ({"Sec-Fetch-Site": "same-origin"}, "alice"),
        ({"Sec-Fetch-Site": "cross-site"}, ""),
        ({}, ""),  # of a browser that does not say whose page has sent the form
    ):
        answer = client.post("/perform", json={}, headers={**cookie, **headers})
        assert (answer.status_code, answer.json) == (200, name)


def test_a_filter_of_the_host_that_fails_costs_nobody_an_answer(
    make_job: MakeJob, store: Made, client_of: ClientOf, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(record: logging.LogRecord) -> bool:
        raise RuntimeError("the host's filter")

    token = {HEADER: store.token()}
    store.path.chmod(0o644)
    guards = logging.getLogger("pyjob.access.guard")
    guards.addFilter(fail)
    try:
        folder = make_job(
            "class Job:\n    def perform(self): return 1", fields="public_endpoints: [/perform]"
        )
        client = client_of(folder, access=store.path, cookies=False)
        assert client.post("/perform", json={}, headers=token).json == 1
        assert client.post("/perform", json={}).status_code == 401
        store.path.unlink()
        until(lambda: client.get("/ready").status_code == 500)
        assert client.post("/perform", json={}, headers=token).status_code == 401
    finally:
        guards.removeFilter(fail)
    assert "a record cannot be logged: RuntimeError" in capfd.readouterr().err


def test_a_cookie_that_only_mentions_the_name_of_ours_is_the_jobs(store: Made, client_of: ClientOf) -> None:
    class Job:
        request_context: Any

        def perform(self) -> str:
            cookies: str = self.request_context.get().headers["Cookie"]
            return cookies

    others = f"my-{HEADER}=1; a={HEADER}"
    client = client_of(Job, access=store.path, cookies=False)
    headers = {"Cookie": f"{others}; {HEADER}={store.token()}", "Sec-Fetch-Site": "same-origin"}
    until(lambda: client.post("/perform", json={}, headers=headers).status_code == 200)
    assert client.post("/perform", json={}, headers=headers).json == others


def test_a_job_may_be_public_as_a_whole_and_the_service_is_not(
    make_job: MakeJob, store: Made, client_of: ClientOf
) -> None:
    store.approve("/api/v1")
    folder = make_job("class Job:\n    def perform(self): return 1", fields="public_endpoints: [/api/v1]")
    client = client_of(folder, access=store.path, cookies=False)
    assert client.post("/perform", json={}).json == client.post("/api/v1/perform", json={}).json == 1
    assert client.get("/parameters").status_code == 200
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/status"):
        assert client.get(path).status_code == 401


def test_what_a_host_says_counts_for_the_application_of_the_current_folder_too(
    make_job: MakeJob, store: Made, mount: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class Job:\n    def perform(self): return self.request_context.get().caller_name"
    monkeypatch.chdir(make_job(code))
    application = pyjob.create(
        access=lambda environ: environ.get("HTTP_X_USER") is not None,
        caller=lambda environ: environ.get("HTTP_X_USER"),
        load="now",
    )
    client = JobClient(application, mount)
    assert client.post("/perform", json={}).status_code == 403
    assert client.post("/perform", json={}, headers={"X-User": "bob"}).json == "bob"
    with pytest.raises(ValueError, match="PYJOB_ACCESS in the environment"):
        pyjob.create(access=store.path, caller=lambda environ: "bob")
