"""Public endpoints in the manifest, held against the endpoints that the job has (SPEC 8.3)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeJob
from tests.test_check_code import GOOD, WARNING, Check, check, told

__all__ = ["check"]

JOB = f"""{GOOD}
    def explain(self, x: float) -> str:
        "Say why."
        return "because"

    def auxiliary_endpoints(self):
        return {{"/explain": self.explain, "/a/b/c": self.explain}}

    def static_endpoints(self):
        return {{"/page": "page.html", "/files": "files"}}
"""
ITEMS = """
from pyjob import EndpointConfig

class Items:
    "Items."

    def perform(self, x: float) -> float:
        "Give it back."
        return x

    def price(self, item: str) -> str:
        "Say what it costs."
        return item

    def auxiliary_endpoints_v2(self):
        return [EndpointConfig("/items/{item}/price", "GET", self.price)]
"""
# Where the code does not say what there is, only a run can.
HIDDEN = f"""
import os
{GOOD}
    def explain(self, x: float) -> str:
        "Say why."
        return "because"

    def auxiliary_endpoints(self):
        return dict([(os.environ.get("NOWHERE", "/explain"), self.explain)])
"""
FILES = {"page.html": "", "files/one.txt": ""}


def listing(*entries: str) -> dict[str, Any]:
    return {"fields": f"public_endpoints: {json.dumps(list(entries))}", "files": FILES}


@pytest.mark.parametrize(
    "entry",
    [
        *("/perform", "/api/v1/perform", "/perform/", "/perform/below"),
        *("/explain", "/api/v1/explain", "/a", "/a/b", "/a/b/c", "/parameters"),
        *("/page", "/files", "/files/one.txt", "/files/not/there/yet", "/api/v1"),
        *("/docs", "/metrics", "/openapi.json", "/status", "/docs/_assets/x.js", "/live"),
    ],
)
def test_an_entry_that_is_answered_or_leads_there_is_fine(check: Check, entry: str) -> None:
    expected = [] if entry != "/perform/below" else ["endpoints"]
    assert [one.rule for one in check(JOB, **listing(entry)) if one.severity is WARNING] == expected


@pytest.mark.parametrize(
    ("entry", "remedy"),
    [
        ("/explian", "did you mean /api/v1/explain?"),
        ("/api/v1/preform", "did you mean /api/v1/perform?"),
        ("/a/b/d", "did you mean /api/v1/a/b/c?"),
        ("/expl", "did you mean /api/v1/explain?"),
        ("/webview", ""),
        ("/doc", ""),
        ("/qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq", "correct it, or take it out"),
    ],
)
def test_an_entry_that_nothing_answers_is_a_warning_at_its_line(
    check: Check, entry: str, remedy: str
) -> None:
    (found,) = check(JOB, rule="endpoints", **listing("/perform", entry))
    assert (found.severity, found.file) == (WARNING, "job.yaml")
    assert found.line is not None
    assert found.message == f"public_endpoints: nothing of the job answers {entry}"
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize("entry", ["/items", "/items/5", "/items/5/price", "/api/v1/items/5"])
def test_a_path_with_a_name_in_braces_answers_what_it_matches(check: Check, entry: str) -> None:
    assert check(ITEMS, rule="endpoints", **listing(entry)) == []


@pytest.mark.parametrize("entry", ["/item", "/items/5/prices", "/items/5/6/price"])
def test_a_path_with_a_name_in_braces_answers_no_other(check: Check, entry: str) -> None:
    assert len(check(ITEMS, rule="endpoints", **listing(entry))) == 1


@pytest.mark.parametrize(
    "more",
    [
        "    def webview_app(self, base_url): ...\n",
        "    def webview_app(self, base_url): return None\n",
        "    webview_app = make()\n",
    ],
)
def test_a_web_view_answers_all_below_it(check: Check, more: str) -> None:
    found = check(f"make = dict\n{JOB}{more}", rule="endpoints", **listing("/webview/open"))
    assert found == [], told(found)


@pytest.mark.parametrize(
    "more",
    [
        "    def auxiliary_endpoints_v2(self): return make()\n",
        "    def auxiliary_endpoints(self): return {**make()}\n",
        "    def static_endpoints(self): return make()\n",
        "    def static_endpoints(self): return {make(): 'page.html'}\n",
    ],
)
def test_where_not_all_is_written_out_nothing_is_said(check: Check, more: str) -> None:
    found = check(f"make = dict\n{GOOD}{more}", rule="endpoints", **listing("/explian"))
    assert found == [], told(found)


@pytest.mark.parametrize(
    ("entry", "why", "remedy"),
    [
        ("/pub/job/sample/0.0.1/api/v1/perform", "without that prefix", "write /api/v1/perform"),
        ("/pub/fatman/sample/latest/perform", "without that prefix", "write /perform"),
        ("/pub/job/sample/0.0.1", "without that prefix", "name the path behind it that is to be open"),
        ("/pub/job/sample/0.0.1/", "without that prefix", "name the path behind it that is to be open"),
        ("/perform?x=1", "a query is no part of a path", "name the path alone"),
        ("/items/{item}/price", "braces", "name what is before it, which covers all below: /items"),
        ("/a/b{c}/d", "braces", "name what is before it, which covers all below: /a"),
        ("/{item}", "braces", "name each path"),
        ("/api/v1/{item}", "braces", "name each path"),
        ("/items/}", "braces", "name what is before it"),
    ],
)
def test_an_entry_that_can_open_nothing_is_a_warning(check: Check, entry: str, why: str, remedy: str) -> None:
    (found,) = check(ITEMS, **listing("/perform", entry), rule="manifest")
    assert (found.severity, found.file) == (WARNING, "job.yaml")
    assert found.message.startswith(f"public_endpoints: {entry} opens nothing: ")
    assert why in found.message
    assert found.remedy.startswith(remedy)
    assert check(ITEMS, **listing("/perform", entry), rule="endpoints") == []


@pytest.mark.parametrize("entry", ["/published", "/pub", "/pub/x", "/pub/job/x"])
def test_what_is_below_pub_and_no_prefix_is_a_path_as_any_other(check: Check, entry: str) -> None:
    assert check(JOB, **listing(entry), rule="manifest") == []
    assert len(check(JOB, **listing(entry), rule="endpoints")) == 1
    job = f"{GOOD}    def auxiliary_endpoints(self): return {{{entry!r}: self.perform}}\n"
    assert check(job, **listing(entry), rule="endpoints") == []


def test_any_origin_and_nothing_public_is_fine(check: Check) -> None:
    assert check(GOOD, extra={"cors_origins": '["*"]'}) == []


def run_of(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pyjob", "check", str(folder), "--run", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found: list[dict[str, Any]] = json.loads(ended.stdout)["findings"]
    return [one for one in found if "public_endpoints" in one["message"]]


def test_a_run_knows_what_the_code_does_not_say(make_job: MakeJob) -> None:
    folder = make_job(HIDDEN, **listing("/explain", "/explian", "/docs"))
    (found,) = run_of(folder)
    assert found["message"] == (
        "public_endpoints: nothing of the job answers /explian; did you mean /api/v1/explain?"
    )
    assert (found["rule"], found["severity"], found["file"]) == ("endpoints", "warning", "job.yaml")


def test_a_run_does_not_repeat_what_reading_has_found(make_job: MakeJob) -> None:
    assert len(run_of(make_job(JOB, **listing("/explian", "/files/x", "/page")))) == 1


def test_a_run_needs_no_token(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for store in (tmp_path / "there is none", ""):
        monkeypatch.setenv("PYJOB_ACCESS", str(store))
        command = [sys.executable, "-m", "pyjob", "check", str(make_job(GOOD)), "--run"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert ended.returncode == 0, ended.stdout
