"""What is counted and what the job reports (SPEC 6)."""

from __future__ import annotations

import io
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pyjob.metrics.calls import CallMetrics
from tests.conftest import ClientOf


class Adder:
    def perform(self, x: float, y: float) -> float:
        if x < 0:
            raise ValueError("negative")
        return x + y


def samples_of(page: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in parse_text(page):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


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
