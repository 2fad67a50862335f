"""What `pyjob render` prints, given to a real Prometheus that scrapes a job under load."""

from __future__ import annotations

import asyncio
import math
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import yaml

from pyjob.render.alerts import ALERTS
from pyjob.render.panels import ROWS
from pyjob.render.prometheus import RULES_FILE, configuration, scrape_configuration
from tests.callers import call, calling
from tests.conftest import MANIFEST
from tests.servers import PATIENCE, Server, ask, pyjob_run, started

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="prometheus is not installed",
)

JOB = """
import time


class Loaded:
    def perform(self, seconds: float = 0.0, fails: bool = False) -> float:
        if fails:
            raise RuntimeError("as asked")
        time.sleep(seconds)
        return seconds

    def explain(self) -> str:
        return "so"

    def auxiliary_endpoints(self):
        return {"/explain": self.explain}

    def metrics(self):
        return [{"name": "loaded", "value": 1}, "no metric"]
"""
LIMITS = ("--set", "jobtype_extra.max_concurrency=1", "--set", "jobtype_extra.max_concurrency_queue=3")
SCRAPED_EVERY = "1s"
WINDOW = "20s"

QUERIES = {
    f"{row.title}, {panel.title}, {query.legend}": query.expression
    for row in ROWS
    for panel in row.panels
    for query in panel.queries
}
CASES = sorted(Path(__file__).parent.glob("prometheus/*.yml"))


def promtool(*arguments: str, given: str | None = None) -> str:
    """What promtool says to something that is right: without a complaint."""
    ended = subprocess.run(
        ["promtool", *arguments], input=given, capture_output=True, text=True, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


@dataclass(frozen=True)
class Scraped:
    """A job under load, and the Prometheus that scrapes it."""

    job: Server
    prometheus: Server

    def ask(self, path: str, **arguments: str) -> Any:
        """The data of an answer of Prometheus. Raises AssertionError where it is an error."""
        status, _, answer = ask(self.prometheus, "GET", f"/api/v1/{path}?{urlencode(arguments)}")
        assert (status, answer["status"]) == (200, "success"), answer
        return answer["data"]

    def values(self, expression: str) -> list[float]:
        """What a query gives now: the numbers of all series, without those of no calls (NaN)."""
        found = self.ask("query", query=expression)["result"]
        return [value for one in found if not math.isnan(value := float(one["value"][1]))]


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("scraped")
    (folder / "job.yaml").write_text(MANIFEST.format(name="loaded", entry="job.py", fields="", extra=""))
    (folder / "job.py").write_text(JOB)
    with started(pyjob_run(folder, *LIMITS)) as job:
        job.wait_until("/ready", 200)
        with under_load(job.port), started(prometheus_for(job, folder)) as prometheus:
            prometheus.wait_until("/-/ready", 200)
            yield Scraped(job, prometheus)


def prometheus_for(job: Server, folder: Path) -> list[str]:
    """The command of a Prometheus with the configuration that is printed, only quicker."""
    config = scrape_configuration([f"127.0.0.1:{job.port}"])
    config["global"] = {"evaluation_interval": "1s"}
    for one in config["scrape_configs"]:
        one.update(scrape_interval=SCRAPED_EVERY, scrape_timeout=SCRAPED_EVERY)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / RULES_FILE).write_text(configuration([], "rules"))
    return [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
    ]


@contextmanager
def under_load(port: int) -> Iterator[None]:
    """Callers that run, fail, wait, are refused and hang up, again and again."""
    is_over = threading.Event()

    async def go_on() -> None:
        while not is_over.is_set():
            calls = [call(port, seconds=0.05) for _ in range(6)]
            await asyncio.gather(*calls, call(port, "/explain"))
            await call(port, fails=True)
            async with await calling(port, seconds=0.05):  # who hangs up before the answer
                await asyncio.sleep(0.01)

    thread = threading.Thread(target=lambda: asyncio.run(go_on()))
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(PATIENCE)


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def of_all(expression: str) -> str:
    """A query of the dashboard as Grafana sends it where nothing is chosen."""
    return re.sub(r"\$(job|instance)", ".*", expression).replace("$__rate_interval", WINDOW)


# The dashboard.


@pytest.mark.parametrize("title", QUERIES)
def test_every_query_of_the_dashboard_gives_something_under_load(scraped: Scraped, title: str) -> None:
    expression = of_all(QUERIES[title])
    assert "$" not in expression
    until(lambda: scraped.values(expression) != [])


@pytest.mark.parametrize(
    "counter",
    [
        "endpoint_requests_started_total",
        "request_internal_errors_total",
        'pyjob_calls_refused_total{reason="queue_full"}',
        "pyjob_calls_abandoned_total",
        "pyjob_call_wait_seconds_sum",
        "pyjob_job_metrics_errors_total",
    ],
)
def test_the_load_moves_what_the_dashboard_counts(scraped: Scraped, counter: str) -> None:
    until(lambda: sum(scraped.values(f"rate({counter}[{WINDOW}])")) > 0)


def test_the_variables_of_the_dashboard_have_values(scraped: Scraped) -> None:
    def values(label: str, series: str) -> Any:
        return scraped.ask(f"label/{label}/values", **{"match[]": series})

    until(lambda: values("name", "pyjob_job_info") == ["loaded"])
    assert values("job", 'pyjob_job_info{name=~"loaded"}') == ["pyjob"]
    assert values("instance", 'pyjob_job_info{name=~"loaded"}') == [f"127.0.0.1:{scraped.job.port}"]
    assert values("instance", 'pyjob_job_info{name=~"another"}') == []


def test_quantiles_have_calls_with_their_tracing_ids_beside_them(scraped: Scraped) -> None:
    quantiles = next(query for title, query in QUERIES.items() if title.endswith("{{endpoint}} p99"))
    query = of_all(quantiles)

    def tracing_ids() -> list[str]:
        now = time.time()
        series = scraped.ask("query_exemplars", query=query, start=str(now - 300), end=str(now + 300))
        return [exemplar["labels"]["trace_id"] for one in series for exemplar in one["exemplars"]]

    until(lambda: bool(tracing_ids()))
    assert all(tracing_ids())


# The alerts.


def test_alerts_that_a_load_deserves_are_pending_and_all_rules_are_sound(scraped: Scraped) -> None:
    who = f"loaded at 127.0.0.1:{scraped.job.port}: "
    deserved = {"PyjobQueueFull", "PyjobErrorRate", "PyjobMetricsFaults"}

    def rules() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = scraped.ask("rules")["groups"][0]["rules"]
        return found

    def pending_for_job() -> set[str]:
        return {
            rule["name"]
            for rule in rules()
            for alert in rule["alerts"]
            if alert["state"] == "pending" and alert["annotations"]["summary"].startswith(who)
        }

    until(lambda: {rule["health"] for rule in rules()} == {"ok"})
    until(lambda: pending_for_job() == deserved)


@pytest.fixture
def printed(tmp_path: Path) -> Path:
    """A folder with both files as they are printed."""
    (tmp_path / "prometheus.yml").write_text(configuration(["10.0.0.5:7000", "[::1]:7000"], "scrape"))
    (tmp_path / RULES_FILE).write_text(configuration([], "rules"))
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.stem))
def test_an_alert_fires_when_it_should_and_not_otherwise(printed: Path, case: Path) -> None:
    shutil.copy(case, printed)
    assert "SUCCESS" in promtool("test", "rules", str(printed / case.name))


def test_every_alert_has_cases_in_which_it_fires_and_in_which_it_does_not() -> None:
    cases = [
        (check["alertname"], bool(check["exp_alerts"]))
        for case in CASES
        for test in yaml.safe_load(case.read_text(encoding="utf-8"))["tests"]
        for check in test["alert_rule_test"]
    ]
    assert set(cases) == {(alert.name, fires) for alert in ALERTS for fires in (True, False)}


# The files.


def test_the_configuration_is_one_that_prometheus_loads(printed: Path) -> None:
    said = promtool("check", "config", "--lint-fatal", str(printed / "prometheus.yml"))
    assert "1 rule files found" in said


def test_the_rules_are_without_a_complaint(printed: Path) -> None:
    said = promtool("check", "rules", "--lint=all", "--lint-fatal", str(printed / RULES_FILE))
    assert f"{len(ALERTS)} rules found" in said


def test_the_page_of_a_job_is_without_a_complaint(scraped: Scraped) -> None:
    scraped.job.wait_until("/ready", 200)
    _, _, page = ask(scraped.job, "GET", "/metrics")
    assert b"loaded 1.0" in page  # what the job itself reports
    assert promtool("check", "metrics", given=page.decode()) == ""
