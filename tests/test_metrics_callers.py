"""Whose calls they are, counted where somebody asks for it, and who was not let in (SPEC 6, 8)."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyjob import Settings
from pyjob.metrics.access import REASONS, AccessMetrics
from pyjob.metrics.callers import MOST_CALLERS, Callers
from pyjob.metrics.formats import OPENMETRICS, TEXT
from pyjob.metrics.registry import new_registry
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.servers import ask, pyjob_run, started

COUNTED = Settings(caller_metrics=True)
SECRET = "Tr0ub4dor-and-3"


class Adder:
    def perform(self, x: int = 1) -> int:
        if x < 0:
            raise RuntimeError("negative")
        return x

    async def later(self) -> int:
        return 1

    def auxiliary_endpoints(self) -> Any:
        return {"/later": self.later}


def by_caller(client: JobClient) -> dict[str, float]:
    return {
        sample.labels["caller"]: sample.value
        for family in TEXT.read(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "pyjob_calls_by_caller_total"
    }


def call(client: JobClient, caller: str | None, path: str = "/perform", **arguments: Any) -> Any:
    headers = {} if caller is None else {"X-Caller-Name": caller}
    return client.post(path, json=arguments, headers=headers)


def test_calls_are_counted_by_the_names_of_their_callers(client_of: ClientOf) -> None:
    client = client_of(Adder, settings=COUNTED)
    assert by_caller(client) == {}
    for caller, path, arguments in (
        ("ada", "/perform", {}),
        ("ada", "/perform", {"x": -1}),
        ("grace", "/later", {}),
        (None, "/perform", {}),
        ("grace", "/perform", {"x": "wrong"}),  # no call: it is not started
    ):
        call(client, caller, path, **arguments)
    client.application.call("/perform", caller="in process")
    assert by_caller(client) == {"ada": 2, "grace": 1, "": 1, "in process": 1}


def test_nobody_is_counted_unless_somebody_asks(client_of: ClientOf) -> None:
    client = client_of(Adder)
    call(client, "ada")
    assert "ada" not in client.get("/metrics").text
    assert "by_caller" not in client.get("/metrics").text


def test_a_flood_of_names_fills_nothing(client_of: ClientOf) -> None:
    client = client_of(Adder, settings=COUNTED)
    for number in range(MOST_CALLERS + 50):
        call(client, f"caller-{number}")
    call(client, "caller-7")
    call(client, "other")
    found = by_caller(client)
    assert len(found) == MOST_CALLERS + 1
    assert (found["caller-7"], found["other"]) == (2, 51)
    assert sum(found.values()) == MOST_CALLERS + 52


def test_a_caller_that_is_called_other_is_not_lost() -> None:
    callers = Callers()
    for name in ("other", *map(str, range(MOST_CALLERS + 1))):
        callers.count(name)
    assert callers.counts()["other"] == 3
    assert len(callers.counts()) == MOST_CALLERS


@pytest.mark.parametrize(
    "caller", ['"} 1\\n', "\u00e4\u00f6", "x" * 5000, "\x1b[31m", "a\\b", "{}", "# EOF"], ids=ascii
)
def test_no_name_breaks_the_page(client_of: ClientOf, caller: str) -> None:
    client = client_of(Adder, settings=COUNTED)
    environ = {"HTTP_X_CALLER_NAME": caller.encode().decode("latin-1")}
    client.post("/perform", json={}, environ_overrides=environ)
    [(name, count)] = by_caller(client).items()
    assert count == 1
    assert len(name) <= 100
    page = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}).text
    assert "pyjob_calls_by_caller" in {family.name for family in OPENMETRICS.read(page)}


def test_a_name_with_a_secret_is_masked(make_job: MakeJob, client_of: ClientOf) -> None:
    folder = make_job(
        "class Job:\n    def perform(self):\n        return 1\n",
        fields="secret_runtime_env_file: .env",
        files={".env": f"PASSWORD={SECRET}\n"},
    )
    client = client_of(folder, settings=COUNTED)
    call(client, f"me-{SECRET}")
    assert SECRET not in client.get("/metrics").text
    assert list(by_caller(client)) == ["me-***"]


def test_many_callers_at_once_are_all_counted(client_of: ClientOf) -> None:
    client = client_of(Adder, settings=COUNTED)
    together = threading.Barrier(8)

    def calls(number: int) -> None:
        together.wait(60)
        for _ in range(50):
            call(client, f"caller-{number % 2}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(calls, range(8)))
    assert by_caller(client) == {"caller-0": 200, "caller-1": 200}


def test_a_job_cannot_take_the_name(client_of: ClientOf) -> None:
    class Claiming(Adder):
        def metrics(self) -> Any:
            return [{"name": "pyjob_calls_by_caller_total", "value": 5}]

    client = client_of(Claiming, settings=COUNTED)
    call(client, "ada")
    assert by_caller(client) == {"ada": 1}


def test_the_command_counts_callers_where_it_is_told_to(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job("class Job:\n    def perform(self):\n        return 1\n")
    with started(pyjob_run(folder, "--caller-metrics")) as server:
        server.wait_until("/ready", 200)
        ask(server, "POST", "/perform", b"{}", X_Caller_Name="ada")
        page = ask(server, "GET", "/metrics")[2].decode()
    assert 'pyjob_calls_by_caller_total{caller="ada"} 1.0' in page


def refused(page: str) -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for family in TEXT.read(page)
        for sample in family.samples
        if sample.name == "pyjob_access_refused_total"
    }


def test_every_reason_is_there_before_anybody_is_refused() -> None:
    metrics = AccessMetrics()
    assert refused(TEXT.write(new_registry(metrics)).decode()) == dict.fromkeys(REASONS, 0)
    metrics.refuse("no_token")
    metrics.refuse("no_token")
    assert refused(TEXT.write(new_registry(metrics)).decode()) == {
        **dict.fromkeys(REASONS, 0),
        "no_token": 2,
    }


def test_requests_that_are_not_let_in_are_counted(client_of: ClientOf) -> None:
    client = client_of(Adder, access=lambda environ: environ["PATH_INFO"] == "/metrics")
    assert call(client, "ada").status_code == 403
    assert client.get("/nothing").status_code == 403
    assert client.get("/live").status_code == 200
    assert refused(client.get("/metrics").text)["host"] == 2


def test_without_access_control_nobody_is_refused(client_of: ClientOf) -> None:
    assert "pyjob_access" not in client_of(Adder).get("/metrics").text
