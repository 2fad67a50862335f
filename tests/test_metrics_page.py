"""The page of metrics as it is sent: formats, exemplars, gzip; and docs/metrics.md (SPEC 6)."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.core import Metric

from pyjob import Settings
from pyjob.metrics.calls import CallMetrics
from pyjob.metrics.formats import OPENMETRICS, TEXT
from pyjob.metrics.registry import new_registry
from tests.conftest import ClientOf, JobClient
from tests.documents import REPO

AS_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
# What Prometheus 2 and 3 send.
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


class Adder:
    def perform(self, x: float, y: float = 0) -> float:
        if x < 0:
            raise ValueError("negative")
        return x + y

    def metrics(self) -> Any:
        return [{"name": "adder_size", "value": 1}]


@pytest.fixture
def client(client_of: ClientOf) -> JobClient:
    return client_of(Adder)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/plain", "text/plain"),
        ("application/openmetrics-text", "application/openmetrics-text"),
        ('Application/OpenMetrics-Text ; Version="1.0.0"', "application/openmetrics-text"),
        (PROMETHEUS_2, "application/openmetrics-text"),
        (PROMETHEUS_3, "application/openmetrics-text"),
        ("application/openmetrics-text;q=0", "text/plain"),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.5", "text/plain"),
        ("application/openmetrics-text;version=2.0.0", "text/plain"),
        ("application/openmetrics-text;version=\u00e4\u00f6", "text/plain"),
        ("application/openmetrics-text;version=a;escaping=dots,,;;=,q", "text/plain"),
        ("application/openmetrics-text;q=nan", "text/plain"),
    ],
)
def test_the_format_is_the_one_that_is_liked_best(client: JobClient, accept: str, kind: str) -> None:
    answer = client.get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.content_type.startswith(kind)
    assert answer.text.endswith("# EOF\n") == (kind != "text/plain")
    families = TEXT.read(answer.text) if kind == "text/plain" else OPENMETRICS.read(answer.text)
    assert "requests_started" in {family.name for family in families}


@pytest.mark.parametrize(
    ("accept", "is_packed"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5, br", True),
        ("*", True),
        ("gzip, *;q=0", True),
        ("gzip;q=1.0", True),
        ("", False),
        ("br", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("*, gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0.2, identity;q=0.9", False),
        ("gzip;q=much", False),
        (";=,;q,=;\u00e4", False),
    ],
)
@pytest.mark.parametrize("headers", [{}, AS_OPENMETRICS], ids=["text", "openmetrics"])
def test_the_page_is_packed_where_it_is_asked_for(
    client: JobClient, accept: str, is_packed: bool, headers: dict[str, str]
) -> None:
    answer = client.get("/metrics", headers={**headers, "Accept-Encoding": accept})
    assert answer.headers.get("Content-Encoding") == ("gzip" if is_packed else None)
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    page = gzip.decompress(answer.data) if is_packed else answer.data
    assert b"\nrequests_started_total 0.0\n" in page
    if is_packed:
        assert len(answer.data) < len(page) / 3


def test_head_is_answered_without_the_page(client: JobClient) -> None:
    answer = client.open("/metrics", method="HEAD", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) > 0
    assert answer.data == b""


def exemplars_of(page: str) -> dict[str, tuple[dict[str, str], float, float]]:
    """By the bound of its bucket: labels, value, and Unix time."""
    return {
        sample.labels["le"]: (
            sample.exemplar.labels,
            sample.exemplar.value,
            float(sample.exemplar.timestamp or 0),
        )
        for family in OPENMETRICS.read(page)
        for sample in family.samples
        if sample.exemplar is not None
    }


def pages_of(calls: CallMetrics) -> tuple[str, str]:
    registry = new_registry(calls)
    return TEXT.write(registry).decode(), OPENMETRICS.write(registry).decode()


def test_the_latest_call_of_each_bucket_is_its_exemplar() -> None:
    calls = CallMetrics("job", "1")
    endpoint = calls.endpoint("/perform")
    for seconds, tracing_id in ((0.02, "first"), (0.02, "second"), (0.3, "third"), (5000, "last"), (0.3, "")):
        endpoint.finish(seconds, failed=False, tracing_id=tracing_id)
    text, openmetrics = pages_of(calls)
    found = exemplars_of(openmetrics)
    assert {bound: (labels, value) for bound, (labels, value, _) in found.items()} == {
        "0.025": ({"trace_id": "second"}, 0.02),
        "0.5": ({"trace_id": "third"}, 0.3),
        "+Inf": ({"trace_id": "last"}, 5000),
    }
    assert all(time > 1.7e9 for _, _, time in found.values())
    assert "trace_id" not in text


@pytest.mark.parametrize("tracing_id", ["x" * 120, "0af7651916cd43dd-8448", "a.b_c:d/e@f+g~h"])
def test_an_exemplar_may_have_any_plain_id(tracing_id: str) -> None:
    calls = CallMetrics("job", "1")
    calls.endpoint("/perform").finish(0.02, failed=False, tracing_id=tracing_id)
    [(labels, _, _)] = exemplars_of(pages_of(calls)[1]).values()
    assert labels == {"trace_id": tracing_id}


@pytest.mark.parametrize(
    "tracing_id", ["x" * 121, 'a"b', "a\\b", "a\nb", "a # {b}", "a}", "a,b=", "\ud800", "\0", "\u00e4"]
)
def test_an_id_that_not_every_reader_of_openmetrics_understands_is_no_exemplar(tracing_id: str) -> None:
    calls = CallMetrics("job", "1")
    calls.endpoint("/perform").finish(0.02, failed=False, tracing_id=tracing_id)
    assert exemplars_of(pages_of(calls)[1]) == {}


def test_the_id_of_a_call_is_the_exemplar_of_its_bucket(client: JobClient) -> None:
    client.post("/perform", json={"x": 1}, headers={"X-Request-Tracing-Id": "id-of-the-call"})
    page = client.get("/metrics", headers=AS_OPENMETRICS).text
    assert [labels for labels, _, _ in exemplars_of(page).values()] == [{"trace_id": "id-of-the-call"}]


def states_of(client: JobClient) -> dict[str, float]:
    return {
        sample.labels["pyjob_state"]: sample.value
        for family in OPENMETRICS.read(client.get("/metrics", headers=AS_OPENMETRICS).text)
        for sample in family.samples
        if family.name == "pyjob_state" and family.type == "stateset"
    }


def test_the_state_is_loading_then_ready_then_draining(client_of: ClientOf) -> None:
    goes_on = threading.Event()

    class Slow(Adder):
        def __init__(self) -> None:
            goes_on.wait(60)

    client = client_of(Slow, load="background")
    assert states_of(client) == {"loading": 1, "ready": 0, "failed": 0, "draining": 0}
    goes_on.set()
    client.application.load()
    assert states_of(client) == {"loading": 0, "ready": 1, "failed": 0, "draining": 0}
    client.application.close()
    assert states_of(client) == {"loading": 0, "ready": 0, "failed": 0, "draining": 1}


def test_a_failed_load_shows(client_of: ClientOf) -> None:
    class Broken(Adder):
        def __init__(self) -> None:
            raise RuntimeError("no model")

    client = client_of(Broken, load="background")
    with pytest.raises(RuntimeError):
        client.application.load()
    assert states_of(client) == {"loading": 0, "ready": 0, "failed": 1, "draining": 0}
    assert 'pyjob_state{pyjob_state="failed"} 1.0' in client.get("/metrics").text


def check_consistency(page: str) -> float:
    """How many calls have been started, as the page says in several places."""
    numbers = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in TEXT.read(page)
        for sample in family.samples
    }
    endpoint = ("endpoint", "/perform")
    ended = numbers["requests_done_total",]
    assert numbers["request_duration_bucket", endpoint, ("le", "+Inf")] == ended
    assert numbers["request_duration_count", endpoint] == ended
    assert numbers["pyjob_call_wait_seconds_count",] == numbers["requests_started_total",] >= ended
    assert numbers["endpoint_requests_started_total", endpoint] == numbers["requests_started_total",]
    assert numbers["request_internal_errors_total", endpoint] <= ended
    assert numbers["adder_size",] == 1
    return ended


def test_ten_scrapes_at_once_while_calls_run_are_each_consistent(client_of: ClientOf) -> None:
    client = client_of(Adder)
    client.get("/metrics")  # somebody has to ask the job first
    together, are_done = threading.Barrier(14), threading.Event()

    def call(number: int) -> None:
        together.wait(60)
        for _ in range(100):
            client.perform(x=number - 1)

    def scrape(_: int) -> int:
        together.wait(60)
        count = 0
        while not are_done.is_set() or not count:
            check_consistency(client.get("/metrics").text)
            count += 1
        return count

    with ThreadPoolExecutor(14) as pool:
        scrapes = [pool.submit(scrape, number) for number in range(10)]
        try:
            list(pool.map(call, range(4)))
        finally:
            are_done.set()
        assert all(one.result() for one in scrapes)
    assert check_consistency(client.get("/metrics").text) == 400


MULTIPROCESS = """
import json, sys
import prometheus_client
import pyjob
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
from prometheus_client.values import ValueClass
from werkzeug.test import Client

assert "Multi" in ValueClass.__qualname__  # prometheus_client itself is in this mode

class Job:
    def __init__(self):
        self.registry = prometheus_client.CollectorRegistry()
        self.hits = prometheus_client.Counter("hits", "Hits", registry=self.registry)
    def perform(self, n: int):
        self.hits.inc(n)
    def metrics(self):
        return [self.hits]

class Other:
    def perform(self): ...

found = []
manifests = [{"name": "job"}, {"name": "other"}]
clients = [
    Client(pyjob.create(job, load="now", manifest=manifest)) for job, manifest in zip((Job, Other), manifests)
]
for n in (1, 2, 3):
    assert clients[0].post("/perform", json={"n": n}).status_code == 200
for client in clients:
    page = client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).text
    found.append({sample.name: sample.value for family in parse(page) for sample in family.samples})
for name in ("requests_done_total", "hits_total", "pyjob_job_metrics_errors_total", "process_open_fds"):
    print(name, *(numbers.get(name) for numbers in found))
"""


def test_the_multiprocess_mode_of_prometheus_client_mixes_no_applications(tmp_path: Path) -> None:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", MULTIPROCESS],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    found = {line.split()[0]: line.split()[1:] for line in ended.stdout.splitlines()}
    assert found["requests_done_total"] == ["3.0", "0.0"]
    assert found["hits_total"] == ["6.0", "None"]
    assert found["pyjob_job_metrics_errors_total"] == ["0.0", "None"]
    assert "None" not in found["process_open_fds"]


def families_of(page: str) -> dict[str, Metric]:
    """By the name under which they are told of: that of the samples, but for histograms."""
    return {
        family.name if family.type == "histogram" else family.samples[0].name: family
        for family in OPENMETRICS.read(page)
    }


def told_of() -> dict[str, tuple[str, set[str]]]:
    """The metrics of docs/metrics.md: type and labels."""
    text = (REPO / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| ([a-z ]+) \| ([a-z_`, ]*) ?\| .*\|$", text, re.MULTILINE)
    return {
        name: (kind.replace(" ", ""), set(re.findall(r"\w+", labels)))
        for names, kind, labels in rows
        for name in re.findall(r"`(\w+)`", names)
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the process tells less of itself")
def test_the_documents_table_has_every_metric_and_no_other(client_of: ClientOf) -> None:
    client = client_of(Adder, settings=Settings(caller_metrics=True), access=lambda environ: True)
    client.perform(x=1)
    families = families_of(client.get("/metrics", headers=AS_OPENMETRICS).text)
    del families["adder_size"]
    told = told_of()
    assert families.keys() == told.keys()
    for name, family in families.items():
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert (family.type, labels) == told[name], name
