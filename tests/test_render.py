"""`pyjob render`: a dashboard and a configuration that say what there is; no Prometheus is needed here."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pyjob.cli import main
from pyjob.render.alerts import ALERTS
from pyjob.render.panels import ROWS
from pyjob.render.prometheus import RULES_FILE
from tests.conftest import ClientOf
from tests.documents import REPO
from tests.test_documents import anchors_of

EXPRESSIONS = [query.expression for row in ROWS for panel in row.panels for query in panel.queries]
# A name that labels in braces follow; what rates and sums are called is followed by a parenthesis.
NAME = re.compile(r"\b([a-z_]+)(?=\{)")
SET_BY_GRAFANA = "__rate_interval"
NO_TARGETS = ("a", ":1", "a:", "a:0", "a:65536", "a:x", "http://a:1", "a:1/metrics", "a b:1", "a\n:1")


class Reporting:
    def perform(self) -> None: ...

    def metrics(self) -> list[dict[str, object]]:
        return []


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command of `pyjob render` prints."""

    def printed(*arguments: str) -> str:
        assert main(["render", *arguments]) == 0
        return capsys.readouterr().out

    return printed


@pytest.fixture
def dashboard(printed: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed("grafana"))
    return found


def shown(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """The panels that show something: titles of rows are panels, too."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


# The dashboard.


def test_every_query_is_on_the_dashboard_once(dashboard: dict[str, Any]) -> None:
    queries = [target["expr"] for panel in shown(dashboard) for target in panel["targets"]]
    assert queries == EXPRESSIONS


def test_every_panel_says_what_it_shows(dashboard: dict[str, Any]) -> None:
    for panel in shown(dashboard):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert all(target["legendFormat"] for target in panel["targets"])
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)


def test_titles_and_numbers_of_panels_are_their_own(dashboard: dict[str, Any]) -> None:
    numbers = [panel["id"] for panel in dashboard["panels"]]
    titles = [panel["title"] for panel in dashboard["panels"]]
    assert len(set(numbers)) == len(numbers)
    assert len(set(titles)) == len(titles)


def test_no_panel_lies_on_another_or_outside(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart_sideways = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_upright = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_sideways or apart_upright, (one, other)


def test_every_query_keeps_to_the_chosen_processes(dashboard: dict[str, Any]) -> None:
    for expression in EXPRESSIONS:
        # The first labels in each pair of braces that follows a name.
        assert len(NAME.findall(expression)) == expression.count('{job=~"$job",instance=~"$instance"')


def test_variables_that_are_used_are_there_and_choose_among_what_is_scraped(
    dashboard: dict[str, Any],
) -> None:
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard["panels"] + dashboard["templating"]["list"])))
    assert used - {SET_BY_GRAFANA, "__all"} == variables.keys()
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["name"]["query"]["query"] == "label_values(pyjob_job_info, name)"
    for chosen in ("job", "instance"):
        query = f'label_values(pyjob_job_info{{name=~"$name"}}, {chosen})'
        assert variables[chosen]["query"]["query"] == query


def test_only_the_scrape_job_is_hidden_and_it_is_every_one_of_the_chosen_jobs(
    dashboard: dict[str, Any],
) -> None:
    hidden = [one for one in dashboard["templating"]["list"] if one.get("hide")]
    assert [one["name"] for one in hidden] == ["job"]
    assert hidden[0]["current"]["value"] == ["$__all"]


def test_a_dashboard_of_one_title_replaces_itself_and_no_other(printed: Any) -> None:
    first, again, other = (
        json.loads(printed("grafana", "--title", title)) for title in ("Häuser", "Häuser", "Boats")
    )
    assert first == again
    assert first["title"] == "Häuser"
    assert first["uid"] != other["uid"]
    assert len(first["uid"]) <= 40  # Grafana takes no more


def test_what_is_printed_is_ascii_whatever_the_terminal(printed: Any) -> None:
    assert printed("grafana", "--title", "日本 \udcff\n").isascii()
    assert printed("prometheus").isascii()


# What is measured.


@pytest.fixture
def on_the_page(client_of: ClientOf) -> dict[str, set[str]]:
    """The families of metrics on the page of a job, each with the names of its samples."""
    page = client_of(Reporting).get("/metrics").text
    return {family.name: {sample.name for sample in family.samples} for family in parse_text(page)}


def test_every_metric_that_is_asked_for_is_on_the_page(on_the_page: dict[str, set[str]]) -> None:
    there = set().union(*on_the_page.values())
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    assert asked <= there, asked - there
    for alert in ALERTS:
        words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b(?=[{\[]| \*|$| >)", alert.expression))
        assert words - there == set(), alert.name


def test_every_metric_of_calls_is_on_the_dashboard(on_the_page: dict[str, set[str]]) -> None:
    asked = {name for expression in EXPRESSIONS for name in NAME.findall(expression)}
    of_python = ("python_", "process_")
    for family, names in on_the_page.items():
        assert family.startswith(of_python) or names & asked, f"{family} is on no panel"


# The configuration.


def test_both_parts_are_printed_with_the_names_of_their_files(printed: Any) -> None:
    text = printed("prometheus")
    scrape, rules = text.split("---\n")
    assert scrape.startswith("# prometheus.yml: ")
    assert rules.startswith(f"# {RULES_FILE}: ")
    both = list(yaml.safe_load_all(text))
    parts = [yaml.safe_load(printed("prometheus", "--part", part)) for part in ("scrape", "rules")]
    assert both == parts
    assert parts[0]["rule_files"] == [RULES_FILE]


@pytest.mark.parametrize(
    ("options", "targets"),
    [
        ([], ["127.0.0.1:7000"]),
        (["--target", "a.example:7000", "--target", "[::1]:7001"], ["a.example:7000", "[::1]:7001"]),
    ],
    ids=["none given", "given"],
)
def test_every_target_is_scraped(printed: Any, options: Sequence[str], targets: list[str]) -> None:
    (job,) = yaml.safe_load(printed("prometheus", "--part", "scrape", *options))["scrape_configs"]
    assert job["static_configs"] == [{"targets": targets}]
    assert (job["metrics_path"], job["scrape_interval"]) == ("/metrics", "15s")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nagios"],
        ["grafana", "--title", " "],
        ["grafana", "--target", "a:1"],
        *(["prometheus", "--target", target] for target in NO_TARGETS),
        ["prometheus", "--part", "all"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["render", *arguments])
    assert ended.value.code == 2
    assert "usage: pyjob render" in capsys.readouterr().err


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["render", "--help"])
    assert "pyjob render grafana > dashboard.json" in capsys.readouterr().out


# The alerts.


def test_every_alert_waits_has_a_severity_and_says_what_to_do(printed: Any) -> None:
    (group,) = yaml.safe_load(printed("prometheus", "--part", "rules"))["groups"]
    assert [rule["alert"] for rule in group["rules"]] == [alert.name for alert in ALERTS]
    for rule in group["rules"]:
        assert re.fullmatch(r"[1-9]\d*m", rule["for"])
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert "$labels.instance" in rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith("See docs/monitoring.md, The alerts.")
    assert "the-alerts" in anchors_of(REPO / "docs" / "monitoring.md")


def test_every_alert_is_documented_with_its_time_and_severity() -> None:
    text = (REPO / "docs" / "monitoring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(Pyjob\w+)` \| (\w+) \| .* for (\d+) min(?:utes?)? \|", text, re.MULTILINE)
    assert rows == [(alert.name, alert.severity, str(alert.minutes)) for alert in ALERTS]
