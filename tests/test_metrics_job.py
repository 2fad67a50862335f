"""What the job itself reports, in every form of wrong: the page is never broken (SPEC 6)."""

from __future__ import annotations

import itertools
import logging
import os
import textwrap
import threading
from collections import Counter as Multiset
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import prometheus_client
import pytest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.samples import Exemplar, Sample

import pyjob.metrics.job
from pyjob.environment.mask import Mask
from pyjob.metrics.formats import OPENMETRICS, TEXT
from pyjob.metrics.job import JobMetrics
from tests.conftest import ClientOf, JobClient

AS_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
OWN = prometheus_client.CollectorRegistry()
COLORS: ContextVar[str] = ContextVar("colors", default="none")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """How long a scrape waits: for a job that answers as long as it takes, unless the test says otherwise."""

    def wait(seconds: float) -> None:
        monkeypatch.setattr(pyjob.metrics.job, "PATIENCE", seconds)

    wait(3600)
    return wait


class Reporting:
    """A job whose `metrics()` gives, or raises, what the test puts there; ``asked`` counts how often."""

    report: Any = None
    asked = 0

    def perform(self) -> None: ...

    def metrics(self) -> Any:
        self.asked += 1
        if isinstance(self.report, BaseException):
            raise self.report
        return self.report() if callable(self.report) else self.report


class Evil:
    def __str__(self) -> str:
        raise SystemExit(1)

    def __float__(self) -> float:
        raise SystemExit(1)


class EvilError(Exception):
    def __str__(self) -> str:
        raise SystemExit(1)


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise SystemExit(1)


class NamelessError(Exception, metaclass=Nameless):
    """Its type cannot be told."""


class PlacelessError(Exception):
    """Neither its class nor its place can be told."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise SystemExit(1)

    @property
    def __traceback__(self) -> Any:  # type: ignore[override]
        raise SystemExit(1)


class Sly(str):
    """Text that does not do what text does."""

    def __str__(self) -> str:
        return self

    def __len__(self) -> int:
        raise SystemExit(1)

    def encode(self, *_: Any) -> Any:
        return object()

    def isprintable(self) -> bool:
        raise SystemExit(1)


class SlyError(Exception):
    def __str__(self) -> str:
        return Sly("sly")


class TwoFaced(Mapping[str, int]):
    """What it holds depends on how it is asked."""

    def __getitem__(self, _: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(["b"])

    def __len__(self) -> int:
        return 1

    def items(self) -> Any:
        return [("b.c", 1), ("b-c", 2)]


class Uncollectable:
    """Whoever asks whether it is a collector gets an ``error``."""

    def __init__(self, error: type[BaseException] = RuntimeError) -> None:
        self.error = error

    @property
    def collect(self) -> Any:
        raise self.error("broken")


class Collecting:
    """A collector of the author's, which gives what it is made with."""

    def __init__(self, *families: Any) -> None:
        self.families = families

    def collect(self) -> Iterator[Any]:
        for family in self.families:
            if isinstance(family, BaseException):
                raise family
            yield family


class Held:
    """A job that answers 1, then stands still in `metrics()` until it is let go, and answers 2, 3, ..."""

    def __init__(self) -> None:
        self.asked = 0
        self.goes_on = threading.Semaphore(1)
        self.fails = False

    def perform(self) -> None: ...

    def metrics(self) -> Any:
        self.asked += 1
        answer = self.asked
        self.goes_on.acquire()
        if self.fails:
            raise RuntimeError("broken")
        return [{"name": "answer", "value": answer}]

    def let_go(self) -> None:
        """Let the question that stands still come to its end."""
        self.goes_on.release()
        for thread in askers():
            thread.join()


def askers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pyjob-metrics"]


@pytest.fixture
def held() -> Iterator[Held]:
    job = Held()
    yield job
    job.goes_on.release(1000)
    for thread in askers():
        thread.join()


def samples_of(page: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for family in TEXT.read(page):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def checked_page(client: JobClient) -> str:
    """The page as text, after both parsers have read it, and more closely than they do."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    page = str(answer.text)
    series = [
        (sample.name, *sorted(sample.labels.items()))
        for family in TEXT.read(page)
        for sample in family.samples
    ]
    lines = [line for line in page.splitlines() if line.startswith("# ")]
    told = [" ".join(line.split(" ")[:3]) for line in lines]
    assert not [one for one, count in Multiset([*series, *told]).items() if count > 1]
    answer = client.get("/metrics", headers=AS_OPENMETRICS)
    assert answer.status_code == 200
    assert answer.content_type.startswith("application/openmetrics-text")
    families = list(OPENMETRICS.read(answer.text))
    assert {"requests_started", "pyjob_state"} <= {family.name for family in families}
    return page


@pytest.fixture
def page_with(client_of: ClientOf) -> Callable[[Any], str]:
    def page_with(report: Any) -> str:
        job = Reporting()
        job.report = report
        return checked_page(client_of(job))

    return page_with


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


def raising(*items: Any) -> Callable[[], Iterator[Any]]:
    """A generator that gives ``items``, then raises."""

    def generate() -> Iterator[Any]:
        yield from items
        raise RuntimeError("broken")

    return generate


def family(kind: str, *samples: Any, name: str = "a", documentation: Any = "", unit: str = "") -> Metric:
    made = Metric("a", "", "gauge")
    made.name, made.unit, made.type = name, unit, kind
    made.documentation, made.samples = documentation, list(samples)
    return made


WRONG = [
    *(RuntimeError("broken"), SystemExit(1), EvilError(), KeyboardInterrupt()),
    *(NamelessError("broken"), SlyError()),
    *("text", b"bytes", 7, {"name": "a", "value": 1}, object(), Reporting, threading),
    raising(),
    raising({"name": "a", "value": 1}),
    [1],
    [[{"name": "a", "value": 1}]],
    [{"value": 1}],
    [{"name": "no spaces", "value": 1}],
    [{"name": 'a" 1\nb', "value": 1}],
    [{"name": "a\n", "value": 1}],
    [{"name": "", "value": 1}],
    [{"name": "a.b", "value": 1}],
    [{"name": 7, "value": 1}],
    [{"name": "n" * 1000 + "!", "value": 1}],
    [{"name": "n" * 201, "value": 1}],
    [{"name": "a", "value": "many"}],
    [{"name": "a", "value": [1]}],
    [{"name": "a", "value": 10**400}],
    [{"name": "a", "value": 1, "labels": ["b"]}],
    [{"name": "a", "value": 1, "labels": {"__b": 1}}],
    [{"name": "a", "value": 1, "labels": {"b c": 1}}],
    [{"name": "a", "value": 1, "labels": {1: 1}}],
    [{"name": "a", "value": 1, "labels": TwoFaced()}],
    [{"name": "a", "value": 1, "labels": {"n" * 201: 1}}],
    [{"name": "a", "value": 1, "labels": {f"b{n}": n for n in range(65)}}],
    [{"name": "requests_started_total", "value": 1}],
    [{"name": "request_duration", "value": 1}],
    [{"name": "process_open_fds", "value": 1}],
    [{"name": "request_duration_bucket", "value": 1}],
    [{"name": "pyjob_state", "value": 1}],
    [{"name": "a", "value": 1}, {"name": "a", "value": 2}],
    [{"name": "a", "value": 1, "labels": {"b": "\ud800"}}, {"name": "a", "value": 2, "labels": {"b": "?"}}],
    [{"name": "pyjob_job_metrics_errors_total", "value": 1}],
    [{"name": "a", "value": 1, "description": Evil()}],
    [{"name": "a", "value": Evil()}],
    [{"name": "a", "value": 1, "labels": {"b": Evil()}}],
    # Families and collectors of prometheus_client that are wrong.
    [prometheus_client.Counter],
    [Collecting(1)],
    [Collecting(RuntimeError("broken"))],
    [Collecting(SystemExit(1))],
    [Collecting(NamelessError("broken"))],
    [Uncollectable()],
    [Uncollectable(PlacelessError)],
    [CounterMetricFamily("requests_started", "", value=1)],
    [CounterMetricFamily("pyjob_job_metrics_errors", "", value=1)],
    [GaugeMetricFamily("process_open_fds", "", value=1)],
    [GaugeMetricFamily("request_duration_sum", "", value=1)],
    [GaugeMetricFamily("a", "", value=1), GaugeMetricFamily("a", "", value=1)],
    [{"name": "a", "value": 1}, GaugeMetricFamily("a", "", value=1)],
    [GaugeMetricFamily("a", "", value=1), {"name": "a", "value": 1}],
    [CounterMetricFamily("a", "", value=1), {"name": "a_total", "value": 1}],
    [{"name": "a_created", "value": 1}, CounterMetricFamily("a", "", value=1)],
    [HistogramMetricFamily("a", "", buckets=[("1", 1), ("+Inf", 0)], sum_value=1)],
    [HistogramMetricFamily("a", "", buckets=[("1", 1)], sum_value=1)],
    [HistogramMetricFamily("a", "", buckets=[("1", 1), ("+Inf", 1)], sum_value=Evil())],  # type: ignore[arg-type]
    [CounterMetricFamily("a", "", value=-1)],
    [GaugeMetricFamily("a", "", value="many")],  # type: ignore[arg-type]
    [family("gauge", Sample("a", {}, 1), Sample("a", {}, 2))],
    [family("gauge", Sample("b", {}, 1))],
    [family("gauge", Sample("requests_done_total", {}, 1))],
    [family("gauge", Sample("a", {"b c": "1"}, 1))],
    [family("gauge", Sample("a", TwoFaced(), 1))],  # type: ignore[arg-type]
    [family("gauge", Sample("a", {f"b{n}": "1" for n in range(65)}, 1))],
    [family("gauge", unit="u" * 200)],
    [family("gauge", Sample("a", {"__name__": "b"}, 1))],
    [family("gauge", Sample("a", {}, 1, float("nan")))],
    [family("gauge", Sample("a", {}, 1, None, Exemplar({"b": "1"}, 1)))],
    [family("counter", Sample("a_total", {}, 1, None, Exemplar({"b": "1" * 200}, 1)))],
    [family("gauge\n# EOF", Sample("a", {}, 1))],
    [family("gauge", Sample("a", {}, 1), name="a b")],
    [family("gauge", 7)],
    [family("gauge", Sample("a", {}, 1), documentation=Evil())],
    [family("stateset", Sample("a", {}, 1))],
    [family("info", Sample("a_info", {}, 2))],
]


@pytest.mark.parametrize("report", WRONG, ids=range(len(WRONG)))
def test_a_wrong_report_is_counted_and_logged_and_breaks_nothing(
    page_with: Callable[[Any], str], caplog: pytest.LogCaptureFixture, report: Any
) -> None:
    good = {"name": "good", "value": 1}
    is_list = isinstance(report, list)
    numbers = samples_of(page_with([good, *report, {**good, "name": "other"}] if is_list else report))
    assert numbers["pyjob_job_metrics_errors_total"] == 1
    [record] = [one for one in caplog.records if "metrics() of the job" in one.getMessage()]
    assert len(record.getMessage()) < 300
    assert record.levelno == logging.WARNING
    assert numbers["requests_started_total"] == 0
    if is_list:
        assert numbers["good"] == numbers["other"] == 1


def test_what_came_before_a_generator_raised_is_shown(page_with: Callable[[Any], str]) -> None:
    numbers = samples_of(page_with(raising({"name": "a", "value": 1}, {"name": "b", "value": 2})))
    assert (numbers["a"], numbers["b"]) == (1, 2)


def test_gauges_vanish_when_metrics_raises(client_of: ClientOf) -> None:
    job = Reporting()
    job.report = [{"name": "a", "value": 1}]
    client = client_of(job)
    assert "\na 1.0" in client.get("/metrics").text
    job.report = RuntimeError("broken")
    assert "\na 1.0" not in client.get("/metrics").text


def test_an_answer_that_cannot_be_read_leaves_no_old_values(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unreadable(*_: Any) -> Any:
        raise MemoryError

    job = Reporting()
    job.report = [{"name": "a", "value": 1}]
    client = client_of(job)
    assert "\na 1.0" in client.get("/metrics").text
    monkeypatch.setattr(pyjob.metrics.job, "Report", unreadable)
    numbers = samples_of(client.get("/metrics").text)
    assert "a" not in numbers
    assert numbers["pyjob_job_metrics_errors_total"] == 1
    assert "cannot be read: MemoryError" in caplog.text


def test_the_same_fault_is_logged_once(client_of: ClientOf, caplog: pytest.LogCaptureFixture) -> None:
    job = Reporting()
    client = client_of(job)
    for number in range(10):
        job.report = RuntimeError(f"broken {number}")
        client.get("/metrics")
    assert caplog.text.count("broken") == 1
    assert "pyjob_job_metrics_errors_total 11.0" in client.get("/metrics").text


def test_another_fault_is_logged_again(
    client_of: ClientOf, caplog: pytest.LogCaptureFixture, patience: Callable[[float], None]
) -> None:
    goes_on = threading.Event()

    def hanging() -> Any:
        goes_on.wait()
        return [1]

    job = Reporting()
    client = client_of(job)
    job.report = RuntimeError("broken")
    client.get("/metrics")
    client.get("/metrics")
    job.report = hanging
    patience(0.01)
    client.get("/metrics")
    client.get("/metrics")
    goes_on.set()
    for thread in askers():
        thread.join()
    patience(3600)
    client.get("/metrics")
    client.get("/metrics")
    lines = [one.getMessage() for one in caplog.records if "metrics() of the job" in one.getMessage()]
    assert len(lines) == 3
    told = ("it raised RuntimeError: broken (test_metrics_job.py:", "no answer within", "found int")
    assert all(words in line for words, line in zip(told, lines, strict=True))


def test_a_log_that_raises_costs_nobody_the_page(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise SystemExit(1)

    monkeypatch.setattr(logging.getLogger("pyjob.metrics.job"), "filters", [refuse])
    job = Reporting()
    job.report = RuntimeError("broken")
    client = client_of(job)
    assert samples_of(client.get("/metrics").text)["pyjob_job_metrics_errors_total"] == 1
    monkeypatch.setattr(threading.Thread, "start", refuse_thread)
    assert samples_of(client.get("/metrics").text)["pyjob_job_metrics_errors_total"] == 2


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


def test_ten_thousand_samples_are_shown(page_with: Callable[[Any], str]) -> None:
    numbers = samples_of(page_with([{"name": "a", "value": n, "labels": {"n": n}} for n in range(10_000)]))
    assert numbers["a{n=9999}"] == 9999
    assert numbers["pyjob_job_metrics_errors_total"] == 0


def gauges_without_end() -> Iterator[Any]:
    return ({"name": "a", "value": n, "labels": {"n": n}} for n in itertools.count())


def families_without_end() -> Iterator[Any]:
    return (GaugeMetricFamily(f"a{n}", "", value=n) for n in itertools.count())


def family_without_end() -> Metric:
    made = GaugeMetricFamily("a", "")
    made.samples = (Sample("a", {"n": str(n)}, n) for n in itertools.count())  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(
    "report",
    [
        gauges_without_end,
        lambda: itertools.repeat({"name": "a", "value": None}),
        lambda: Collecting(*itertools.islice(families_without_end(), 6000)),
        lambda: itertools.repeat(Collecting(), 10_001),
        lambda: [{"name": "before", "value": 1}, Collecting(family_without_end()), {"name": "b", "value": 1}],
    ],
    ids=["gauges", "nothing", "families", "empty collectors", "a family"],
)
def test_more_samples_are_cut_and_counted_as_one_fault(client_of: ClientOf, report: Any) -> None:
    job = Reporting()
    job.report = report
    page = client_of(job).get("/metrics").text
    numbers = samples_of(page)
    assert numbers["pyjob_job_metrics_errors_total"] == 1
    assert len(numbers) < 10_200


@pytest.mark.parametrize("item", [1, Uncollectable()])
def test_a_generator_of_faults_without_end_is_left(page_with: Callable[[Any], str], item: Any) -> None:
    numbers = samples_of(page_with(lambda: itertools.repeat(item, 20_000)))
    assert numbers["pyjob_job_metrics_errors_total"] == 10_001


def test_names_texts_and_labels_are_shown_up_to_their_bounds(page_with: Callable[[Any], str]) -> None:
    name, text, long = "n" * 200, "t" * 1000, "t" * 1_000_000
    labels = {name: text, "long": long, **{f"b{n}": n for n in range(62)}}
    item = {"name": name, "value": 1, "description": long, "labels": labels}
    made = family("gauge", Sample("a", labels, 1), documentation=long)  # type: ignore[arg-type]
    page = page_with([item, made])
    samples = [one for found in TEXT.read(page) for one in found.samples if one.name in (name, "a")]
    assert [len(one.labels) for one in samples] == [64, 64]
    for sample in samples:
        assert (sample.labels[name], sample.labels["long"]) == (text, f"{text}...")
    assert page.count(f" {text}...\n") == 2
    assert len(page) < 30_000
    assert samples_of(page)["pyjob_job_metrics_errors_total"] == 0


def test_a_secret_is_masked_before_a_text_is_cut() -> None:
    label = "t" * 990 + SECRET
    item = {"name": "a", "value": 1, "labels": {"b": label}}
    [sample] = JobMetrics(lambda: [item], frozenset(), Mask([SECRET])).samples(0)
    assert sample.labels["b"] == "t" * 990 + "***"


def test_the_status_page_cuts_long_labels(client_of: ClientOf) -> None:
    job = Reporting()
    job.report = [{"name": "a", "value": 1, "labels": {"b": "t" * 1_000_000, "c": "t" * 200}}]
    [row] = client_of(job).get("/status/data").json["metrics"]
    assert row == {"name": "a", "value": 1.0, "labels": {"b": "t" * 200 + "...", "c": "t" * 200}}


def test_text_that_is_not_what_it_seems_is_shown_as_text(page_with: Callable[[Any], str]) -> None:
    labels = {Sly("b"): Sly("c")}
    item = {"name": Sly("a"), "value": 1, "description": Sly("told"), "labels": labels}
    made = family(Sly("gauge"), Sample(Sly("d"), labels, 1), name=Sly("d"), documentation=Sly("told"))  # type: ignore[arg-type]
    page = page_with([item, made])
    assert samples_of(page)["pyjob_job_metrics_errors_total"] == 0
    for name in ("a", "d"):
        assert f'# HELP {name} told\n# TYPE {name} gauge\n{name}{{b="c"}} 1.0\n' in page


def test_generators_and_none_are_fine(page_with: Callable[[Any], str]) -> None:
    assert samples_of(page_with(None))["pyjob_job_metrics_errors_total"] == 0
    report = lambda: ({"name": f"m{n}", "value": n} for n in range(3))  # noqa: E731
    assert samples_of(page_with(report))["m2"] == 2


def test_text_that_utf8_cannot_carry_is_replaced(page_with: Callable[[Any], str]) -> None:
    page = page_with([{"name": "a", "value": 1, "description": "\ud800\0", "labels": {"b": "\udc80\0"}}])
    assert 'a{b="??"} 1.0' in page
    assert "# HELP a ??" in page


def test_label_values_are_escaped(page_with: Callable[[Any], str]) -> None:
    page = page_with([{"name": "a", "value": 1, "labels": {"path": 'C:\\ "x"\n'}}])
    [sample] = [s for f in TEXT.read(page) for s in f.samples if s.name == "a"]
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


def test_metrics_may_be_async_and_sees_the_context_of_the_scrape(client_of: ClientOf) -> None:
    class Job:
        def perform(self) -> None: ...

        async def metrics(self) -> Any:
            return [{"name": "a", "value": 1, "labels": {"color": COLORS.get()}}]

    client = client_of(Job())
    token = COLORS.set("blue")
    try:
        assert samples_of(checked_page(client))["a{color=blue}"] == 1
    finally:
        COLORS.reset(token)


def test_no_thread_is_left_after_a_scrape_or_begun_before_one(client_of: ClientOf) -> None:
    client = client_of(Reporting())
    assert not askers()
    client.get("/metrics")
    assert not askers()


def test_a_job_that_does_not_answer_has_its_last_values_shown(
    client_of: ClientOf, held: Held, patience: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(held)
    assert samples_of(checked_page_once(client))["answer"] == 1
    patience(0.01)
    numbers = samples_of(client.get("/metrics").text)
    assert (numbers["answer"], numbers["pyjob_job_metrics_errors_total"]) == (1, 1)
    assert "no answer within" in caplog.text


def checked_page_once(client: JobClient) -> str:
    """`checked_page` asks twice; some jobs count."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return str(answer.text)


def test_while_it_does_not_answer_it_is_not_asked_again_and_nobody_waits(
    client_of: ClientOf, held: Held, patience: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(held)
    client.get("/metrics")
    patience(0.01)
    client.get("/metrics")
    patience(3600)  # who waited now would wait for an hour
    for _ in range(5):
        assert samples_of(client.get("/metrics").text)["answer"] == 1
    assert held.asked == 2
    assert len(askers()) == 1
    patience(0)
    assert samples_of(client.get("/metrics").text)["pyjob_job_metrics_errors_total"] == 2
    assert caplog.text.count("no answer within") == 1


def test_an_answer_that_comes_late_counts(
    client_of: ClientOf, held: Held, patience: Callable[[float], None]
) -> None:
    client = client_of(held)
    client.get("/metrics")
    patience(0.01)
    client.get("/metrics")
    held.let_go()
    assert samples_of(client.get("/metrics").text)["answer"] == 2  # the third question has no answer yet
    assert held.asked == 3
    held.let_go()
    patience(3600)
    held.goes_on.release(1000)
    assert samples_of(client.get("/metrics").text)["answer"] == 4


def test_a_generator_that_hangs_midway_is_a_job_that_does_not_answer(
    client_of: ClientOf, patience: Callable[[float], None]
) -> None:
    goes_on = threading.Event()

    def hanging() -> Iterator[Any]:
        yield {"name": "a", "value": 1}
        goes_on.wait()
        yield {"name": "b", "value": 1}

    job = Reporting()
    job.report = hanging
    client = client_of(job)
    patience(0.01)
    try:
        numbers = samples_of(client.get("/metrics").text)
        assert "a" not in numbers
        assert numbers["pyjob_job_metrics_errors_total"] == 1
    finally:
        goes_on.set()
        for thread in askers():
            thread.join()
    patience(3600)
    assert samples_of(client.get("/metrics").text)["b"] == 1


def test_a_scrape_waits_two_seconds_and_no_longer(
    client_of: ClientOf, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    held.goes_on.acquire()
    client = client_of(held)
    waits: list[float | None] = []
    join = threading.Thread.join

    def counted(thread: threading.Thread, timeout: float | None = None) -> None:
        if thread.name == "pyjob-metrics":
            waits.append(timeout)
            timeout = 0
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", counted)
    assert samples_of(client.get("/metrics").text)["pyjob_job_metrics_errors_total"] == 1
    assert waits == [2.0]
    monkeypatch.undo()


def refuse_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_a_job_that_runs_threads_where_they_are_started_has_its_page(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start

    def run(thread: threading.Thread) -> None:
        (thread.run if thread.name == "pyjob-metrics" else lambda: start(thread))()

    monkeypatch.setattr(threading.Thread, "start", run)
    job, pages = Reporting(), []
    job.report = [{"name": "a", "value": 1}]
    client = client_of(job)
    asking = threading.Thread(target=lambda: pages.append(client.get("/metrics").text), daemon=True)
    asking.start()
    asking.join(60)
    [page] = pages
    assert (samples_of(page)["a"], samples_of(page)["pyjob_job_metrics_errors_total"]) == (1, 0)


def test_while_a_thread_is_being_started_nobody_else_asks_or_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    start, goes_on, has_come = threading.Thread.start, threading.Event(), threading.Event()

    def start_late(thread: threading.Thread) -> None:
        if thread.name == "pyjob-metrics" and not has_come.is_set():
            has_come.set()
            goes_on.wait()
        start(thread)

    job = Reporting()
    job.report = [{"name": "a", "value": 1}]
    metrics = JobMetrics(job.metrics, frozenset(), Mask())
    monkeypatch.setattr(threading.Thread, "start", start_late)
    first = threading.Thread(target=metrics.samples, args=[0], daemon=True)
    start(first)
    has_come.wait()
    assert metrics.samples(0) == []
    goes_on.set()
    first.join()
    assert job.asked == 1
    assert [one.value for one in metrics.samples(3600)] == [1]


def test_where_no_thread_can_be_begun_the_page_says_what_it_knows(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(Reporting())
    monkeypatch.setattr(threading.Thread, "start", refuse_thread)
    assert samples_of(client.get("/metrics").text)["pyjob_job_metrics_errors_total"] == 1
    assert "cannot be asked" in caplog.text
    monkeypatch.undo()
    assert samples_of(client.get("/metrics").text)["pyjob_job_metrics_errors_total"] == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_was_forked_while_the_job_was_asked_asks_anew(held: Held, patience: Any) -> None:
    metrics = JobMetrics(held.metrics, frozenset(), Mask())
    list(metrics.collect())
    patience(0.01)
    list(metrics.collect())
    child = os.fork()
    if child == 0:  # pragma: no cover
        held.goes_on.release()
        pyjob.metrics.job.PATIENCE = 60
        os._exit(0 if [one.value for one in metrics.samples(0)] == [3] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_that_was_forked_while_a_thread_was_being_started_asks_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, parent, codes = threading.Thread.start, os.getpid(), []
    job = Reporting()
    job.report = [{"name": "a", "value": 1}]
    metrics = JobMetrics(job.metrics, frozenset(), Mask())

    def fork_first(thread: threading.Thread) -> None:
        if os.getpid() == parent:
            child = os.fork()
            if child == 0:  # pragma: no cover
                os._exit(0 if [one.value for one in metrics.samples(0)] == [1] else 1)
            codes.append(os.waitpid(child, 0)[1])
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", fork_first)
    metrics.samples(0)
    assert codes == [0]


def test_the_status_page_asks_the_job_only_if_its_answer_is_old() -> None:
    job = Reporting()
    job.report = [{"name": "a", "value": 1, "labels": {"b": "c"}}]
    metrics = JobMetrics(job.metrics, frozenset(), Mask())
    for _ in range(5):
        assert metrics.samples(3600) == [Sample("a", {"b": "c"}, 1.0)]
    assert job.asked == 1
    metrics.samples(0)
    assert job.asked == 2


def test_many_viewers_of_a_job_that_does_not_answer_count_no_more_faults_than_one(
    held: Held, patience: Callable[[float], None]
) -> None:
    metrics = JobMetrics(held.metrics, frozenset(), Mask())
    held.goes_on.acquire()
    patience(0)
    for _ in range(20):
        assert metrics.samples(3600) == []
    [*_, errors] = metrics.collect()
    assert errors.samples[0].value == 2
    assert held.asked == 1


def test_collectors_of_prometheus_client_are_taken_with_their_types(page_with: Callable[[Any], str]) -> None:
    counter = prometheus_client.Counter("a_hits", "Hits", ["kind"], registry=OWN)
    counter.labels("x").inc(3, exemplar={"trace_id": "abc"})
    histogram = prometheus_client.Histogram("a_size", "Size", registry=OWN, buckets=(1, 2))
    histogram.observe(1.5)
    summary = prometheus_client.Summary("a_sum", "Sum", registry=OWN)
    summary.observe(2)
    info = prometheus_client.Info("a_model", "Model", registry=OWN)
    info.info({"version": "7"})
    state = prometheus_client.Enum("a_state", "State", registry=OWN, states=["on", "off"])
    gauge = prometheus_client.Gauge("a_level", "Level", registry=OWN)
    made = [counter, histogram, summary, info, state, gauge, {"name": "plain", "value": 1}]
    for one in made[:-1]:
        OWN.unregister(one)  # type: ignore[arg-type]
    page = page_with([*made, SummaryMetricFamily("a_family", "", count_value=1, sum_value=2)])
    numbers = samples_of(page)
    assert numbers["pyjob_job_metrics_errors_total"] == 0
    assert numbers["a_hits_total{kind=x}"] == 3
    assert numbers["a_size_bucket{le=2.0}"] == numbers["a_size_count"] == 1
    assert numbers["a_sum_sum"] == 2
    assert numbers["a_model_info{version=7}"] == 1
    assert numbers["a_state{a_state=on}"] == 1
    assert numbers["a_level"] == 0
    assert numbers["plain"] == numbers["a_family_count"] == 1
    for line in ("a_hits_total counter", "a_size histogram", "a_sum summary", "a_level gauge"):
        assert f"# TYPE {line}\n" in page
    assert "# HELP a_family Metric of the job\n" in page


def test_a_collector_or_a_registry_can_be_the_whole_report(page_with: Callable[[Any], str]) -> None:
    registry = prometheus_client.CollectorRegistry()
    prometheus_client.Gauge("a", "A", registry=registry).set(7)
    prometheus_client.Counter("b", "B", registry=registry)
    for report in (registry, GaugeMetricFamily("a", "A", value=7)):
        assert samples_of(page_with(report))["a"] == 7


def test_one_wrong_family_of_a_collector_leaves_the_others(page_with: Callable[[Any], str]) -> None:
    wrong = [family("gauge", Sample("a", {}, 1), Sample("a", {}, 2)), "text", family("gauge", 7, name="c")]
    good = GaugeMetricFamily("good", "", value=1)
    numbers = samples_of(page_with(Collecting(*wrong, good)))
    assert (numbers["good"], numbers["pyjob_job_metrics_errors_total"]) == (1, 3)


def test_the_units_of_families_are_kept(client_of: ClientOf) -> None:
    job = Reporting()
    job.report = [GaugeMetricFamily("a", "", value=1, unit="seconds")]
    client = client_of(job)
    assert samples_of(checked_page(client))["a_seconds"] == 1
    assert "# UNIT a_seconds seconds\n" in client.get("/metrics", headers=AS_OPENMETRICS).text


SECRET = "hunter-2-is-secret"


@pytest.mark.parametrize(
    "item",
    [
        {"name": "hunter2_is_secret", "value": 1},
        {"name": "a", "value": 1, "labels": {"hunter2_is_secret": "b"}},
        {"name": "a", "value": 1, "labels": {"b": f"<{SECRET}>"}},
        {"name": "a", "value": 1, "description": SECRET},
        {"name": "a", "value": SECRET},
        {"name": SECRET, "value": 1},
        GaugeMetricFamily("hunter2_is_secret", "", value=1),
        family("gauge", Sample("a", {"hunter2_is_secret": "b"}, 1)),
        family("gauge", Sample("a", {"b": f"<{SECRET}>"}, 1)),
        family("gauge", Sample("a", {}, 1), documentation=SECRET),
        family(
            "gauge",
            Sample("a_hunter2_is_secret", {}, 1),
            name="a_hunter2_is_secret",
            unit="hunter2_is_secret",
        ),
        family("gauge", Sample(SECRET, {}, 1)),
        family(SECRET, Sample("a", {}, 1)),
        family("counter", Sample("a_total", {}, 1, None, Exemplar({"b": SECRET}, 1))),
        Collecting(RuntimeError(SECRET)),
        RuntimeError(SECRET),
    ],
    ids=str,
)
def test_no_secret_comes_to_page_or_log(item: Any, caplog: pytest.LogCaptureFixture) -> None:
    def report() -> Any:
        if isinstance(item, BaseException):
            raise item
        return [item, {"name": "good", "value": 1}]

    metrics = JobMetrics(report, frozenset(), Mask([SECRET, "hunter2_is_secret"]))
    told = "".join(str(one) for one in metrics.collect()) + caplog.text
    assert "good" in told or isinstance(item, BaseException)
    assert "hunter2" not in told
    assert "is-secret" not in told
