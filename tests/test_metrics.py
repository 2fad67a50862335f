"""What is counted and what the job reports (SPEC 6)."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pyjob.metrics.calls import CallMetrics
from tests.conftest import ClientOf, JobClient


class Adder:
    def perform(self, x: float, y: float) -> float:
        if x < 0:
            raise ValueError("negative")
        return x + y


class Reporting:
    """A job whose `metrics()` gives, or raises, what the test puts there."""

    report: Any = None

    def perform(self) -> None: ...

    def metrics(self) -> Any:
        if isinstance(self.report, BaseException):
            raise self.report
        return self.report


class Evil:
    def __str__(self) -> str:
        raise SystemExit(1)

    def __float__(self) -> float:
        raise SystemExit(1)


class EvilError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


def samples_of(page: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in parse_text(page):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@pytest.fixture
def page_with(client_of: ClientOf) -> Callable[[Any], str]:
    def page_with(report: Any) -> str:
        job = Reporting()
        job.report = report
        answer = client_of(job).get("/metrics")
        assert answer.status_code == 200
        list(parse_text(answer.text))
        return str(answer.text)

    return page_with


def test_calls_are_counted_under_the_names_that_dashboards_use(client_of: ClientOf) -> None:
    client = client_of(Adder, manifest={"name": "adder", "version": "1.2.3"})
    for x in (1, 2, -1):
        client.perform(x=x, y=1)
    client.perform(x="wrong", y=1)
    numbers = samples_of(client.get("/metrics").text)
    assert numbers["requests_started_total"] == 3
    assert numbers["requests_done_total"] == 3
    assert numbers["endpoint_requests_started_total{endpoint=/perform}"] == 3
    assert numbers["request_internal_errors_total{endpoint=/perform}"] == 1
    assert numbers["request_duration_count{endpoint=/perform}"] == 3
    assert numbers["request_duration_bucket{endpoint=/perform,le=+Inf}"] == 3
    assert numbers["request_duration_sum{endpoint=/perform}"] > 0
    assert numbers["last_call_timestamp"] > 1.7e9
    assert numbers["pyjob_job_info{name=adder,version=1.2.3}"] == 1


def test_the_buckets_are_those_of_the_contract(client_of: ClientOf) -> None:
    page = client_of(Adder).get("/metrics").text
    bounds = [
        sample.labels["le"]
        for family in parse_text(page)
        for sample in family.samples
        if sample.name == "request_duration_bucket"
    ]
    expected = [
        ".001",
        ".0025",
        ".005",
        ".01",
        ".025",
        ".05",
        ".075",
        ".1",
        ".25",
        ".5",
        ".75",
        "1",
        "2.5",
        "5",
        "7.5",
        "10",
        "25",
        "50",
        "75",
        "100",
        "250",
        "500",
        "750",
        "1000",
    ]
    assert [float(bound) for bound in bounds] == [*map(float, expected), float("inf")]


def test_a_duration_is_counted_from_its_own_bucket_on() -> None:
    calls = CallMetrics("job", "1")
    numbers = calls.endpoint("/perform")
    numbers.start(waits=False)
    numbers.finish(0.3, failed=False)
    samples = {
        sample.labels["le"]: sample.value
        for family in calls.collect()
        for sample in family.samples
        if sample.name == "request_duration_bucket"
    }
    assert (samples["0.25"], samples["0.5"], samples["+Inf"]) == (0, 1, 1)


def test_reading_the_body_is_no_part_of_a_calls_duration(client_of: ClientOf) -> None:
    clock = [0.0]

    class Slow(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            clock[0] += 5
            return b'{"x": 1, "y": 1}'

    client = client_of(Adder)
    client.application.gate.clock = lambda: clock[0]
    assert client.post("/perform", environ_overrides={"wsgi.input": Slow(), "CONTENT_LENGTH": "16"}).json == 2
    assert samples_of(client.get("/metrics").text)["request_duration_sum{endpoint=/perform}"] == 0


def test_counters_are_there_before_the_first_call(client_of: ClientOf) -> None:
    numbers = samples_of(client_of(Adder).get("/metrics").text)
    assert numbers["endpoint_requests_started_total{endpoint=/perform}"] == 0
    assert numbers["request_duration_count{endpoint=/perform}"] == 0


def test_process_platform_and_gc_are_reported(client_of: ClientOf) -> None:
    page = client_of(Adder).get("/metrics").text
    for name in ("process_resident_memory_bytes", "python_info", "python_gc_collections_total"):
        assert name in page


def test_openmetrics_is_sent_where_it_is_accepted(client_of: ClientOf) -> None:
    client = client_of(Adder)
    plain = client.get("/metrics")
    assert plain.content_type.startswith("text/plain")
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert "requests_started" in {family.name for family in parse_openmetrics(answer.text)}


def test_the_jobs_own_metrics_are_gauges(page_with: Callable[[Any], str]) -> None:
    page = page_with(
        [
            {"name": "crazy", "description": "Whether it is", "value": 1, "labels": {"color": "blue"}},
            {"name": "crazy", "value": 0.5, "labels": {"color": "red", "shade": "dark"}},
            {"name": "left_out", "value": None},
            {"name": "flag", "value": True},
        ]
    )
    numbers = samples_of(page)
    assert numbers["crazy{color=blue}"] == 1
    assert numbers["crazy{color=red,shade=dark}"] == 0.5
    assert numbers["flag"] == 1
    assert "left_out" not in page
    assert page.count("# TYPE crazy gauge") == 1
    assert "# HELP crazy Whether it is" in page
    assert "# HELP flag Metric of the job" in page


@pytest.mark.parametrize(
    "report",
    [
        RuntimeError("broken"),
        SystemExit(1),
        "text",
        7,
        [1],
        [{"value": 1}],
        [{"name": "no spaces", "value": 1}],
        [{"name": 7, "value": 1}],
        [{"name": "a", "value": "many"}],
        [{"name": "a", "value": [1]}],
        [{"name": "a", "value": 10**400}],
        [{"name": "a", "value": 1, "labels": ["b"]}],
        [{"name": "a", "value": 1, "labels": {"__b": 1}}],
        [{"name": "a", "value": 1, "labels": {"b c": 1}}],
        [{"name": "requests_started_total", "value": 1}],
        [{"name": "request_duration", "value": 1}],
        [{"name": "process_open_fds", "value": 1}],
        [{"name": "request_duration_bucket", "value": 1}],
        [{"name": "a", "value": 1}, {"name": "a", "value": 2}],
        [{"name": "pyjob_job_metrics_errors_total", "value": 1}],
        [{"name": "a", "value": 1, "description": Evil()}],
        [{"name": "a", "value": Evil()}],
        [{"name": "a", "value": 1, "labels": {"b": Evil()}}],
        EvilError(),
    ],
)
def test_a_wrong_report_is_counted_and_logged_and_breaks_nothing(
    page_with: Callable[[Any], str], caplog: pytest.LogCaptureFixture, report: Any
) -> None:
    good = {"name": "good", "value": 1}
    page = page_with([*report, good] if isinstance(report, list) else report)
    numbers = samples_of(page)
    assert numbers["pyjob_job_metrics_errors_total"] >= 1
    assert "metrics() of the job" in caplog.text
    assert numbers["requests_started_total"] == 0
    if isinstance(report, list):
        assert numbers["good"] == 1


def test_the_same_fault_is_logged_once(client_of: ClientOf, caplog: pytest.LogCaptureFixture) -> None:
    job = Reporting()
    job.report = RuntimeError("broken")
    client = client_of(job)
    for _ in range(3):
        client.get("/metrics")
    assert caplog.text.count("broken") == 1
    assert "pyjob_job_metrics_errors_total 4.0" in client.get("/metrics").text


def test_a_fault_that_comes_back_is_told_again(client_of: ClientOf, caplog: pytest.LogCaptureFixture) -> None:
    job = Reporting()
    client = client_of(job)
    reports: list[Any] = [RuntimeError("broken"), [], RuntimeError("broken")]
    for job.report in reports:
        client.get("/metrics")
    assert caplog.text.count("broken") == 2


def test_a_thousand_faults_are_one_line(
    page_with: Callable[[Any], str], caplog: pytest.LogCaptureFixture
) -> None:
    assert samples_of(page_with([1] * 1000))["pyjob_job_metrics_errors_total"] == 1000
    [record] = [record for record in caplog.records if "metrics()" in record.getMessage()]
    assert len(record.getMessage()) < 1000


def test_generators_and_none_are_fine(page_with: Callable[[Any], str]) -> None:
    assert samples_of(page_with(None))["pyjob_job_metrics_errors_total"] == 0
    assert samples_of(page_with({"name": f"m{n}", "value": n} for n in range(3)))["m2"] == 2


def test_text_that_utf8_cannot_carry_is_replaced(page_with: Callable[[Any], str]) -> None:
    page = page_with([{"name": "a", "value": 1, "description": "\ud800", "labels": {"b": "\udc80"}}])
    assert 'a{b="?"} 1.0' in page


def test_label_values_are_escaped(page_with: Callable[[Any], str]) -> None:
    page = page_with([{"name": "a", "value": 1, "labels": {"path": 'C:\\ "x"\n'}}])
    [sample] = [s for f in parse_text(page) for s in f.samples if s.name == "a"]
    assert sample.labels == {"path": 'C:\\ "x"\n'}


def test_the_standards_own_snippet_works(job_of: Callable[..., JobClient]) -> None:
    body = """
        def perform(self): ...
        def metrics(self):
            return [
                {
                    'name': 'job_is_crazy',
                    'description': 'Whether your job is crazy or not',
                    'value': random.random(),
                    'labels': {
                        'color': 'blue',
                    },
                },
            ]
    """
    page = job_of(textwrap.dedent(body), head="import random").get("/metrics").text
    assert 0 <= samples_of(page)["job_is_crazy{color=blue}"] < 1
