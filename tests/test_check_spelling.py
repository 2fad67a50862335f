"""What reading finds of methods that were meant to be something else, and what it does not add to a fault."""

from __future__ import annotations

import pytest

from pyjob.check.finding import Finding
from tests.conftest import MakeJob
from tests.test_check_code import ADVICE, ERROR, GOOD, WARNING, Check, check, check_body, told

__all__ = ["check", "check_body"]

PERFORM = "def perform(self): 'Do it.'\n"
# What authors may well call a method of their own.
HELPERS = """
metrics_of metric_of metrics_for get_metrics my_metrics compute_metrics metrics_v2 geometrics matrix
symmetric perform_batch performer_of static_files static_file endpoints endpoint_names auxiliary
auxiliary_data input_example docs docs_input docs_of examples example_input input_examples webview_url
web_url web_app app view predict explain prepare load_model train statistics stats healthy describe
validate transform preprocess format_result to_json
"""


def rules(findings: list[Finding]) -> list[tuple[str, object]]:
    return [(one.rule, one.severity) for one in findings]


@pytest.mark.parametrize(
    "other",
    [
        "def docs_input_examples(self): return {}",
        "def metrics(self): return []",
        "def static_endpoints(self): return {}",
    ],
)
@pytest.mark.parametrize("name", ["preform", "perfrom", "performs", "Perform"])
def test_a_misspelt_perform_is_a_warning_at_its_line(check_body: Check, name: str, other: str) -> None:
    body = f"{other}\ndef {name}(self, x: int): 'Do it.'"
    (found,) = check_body(body, rule="perform")
    assert (found.severity, found.line) == (WARNING, 3)
    assert found.remedy == f"is `{name}` a misspelt `perform`? Rename it"
    assert check_body(body.replace(name, "perform"), rule="perform") == []


@pytest.mark.parametrize(
    "body",
    [
        "def reform(self): ...\ndef auxiliary_endpoints(self): return {'/reform': self.reform}",
        "def preform(self): ...\ndef metrics(self): return [self.preform()]",
        "def preform(self): ...\ndef metrics(self): return [getattr(self, 'preform')]",
        "def _preform(self): ...\ndef metrics(self): return []",
        "def performance(self): ...\ndef metrics(self): return []",
        "@property\ndef preform(self): ...\ndef metrics(self): return []",
    ],
)
def test_a_method_that_is_used_or_private_is_no_misspelt_perform(check_body: Check, body: str) -> None:
    assert "misspelt" not in told(check_body(body))


def test_a_sample_of_perform_without_perform_is_an_error(check_body: Check) -> None:
    body = "def docs_input_example(self): return {'x': 1}\n"
    found = check_body(body)
    assert rules(found) == [("perform", WARNING), ("broken-sample", ERROR)]
    assert found[1].message == "docs_input_example: a sample of /perform, which the job does not have"
    for more in (
        "def perform(self, x: int): ...",
        "def run(self, x: int): ...\ndef auxiliary_endpoints(self): return {'/perform': self.run}",
        "def auxiliary_endpoints(self): return compute()",
    ):
        found = check_body(body + more, head="compute = dict\n", rule="broken-sample")
        assert found == [], told(found)
    for nothing in ("None", "{}", "compute()"):
        body = f"def docs_input_example(self): return {nothing}"
        assert check_body(body, head="compute = dict\n", rule="broken-sample") == []


@pytest.mark.parametrize(
    "serving",
    [
        "def auxiliary_endpoints(self): return {'/run': self.run}\ndef run(self): ...",
        "def static_endpoints(self): return {}",
        "def webview_app(self, base_url): ...",
    ],
)
def test_a_job_that_serves_nothing_is_a_warning(check_body: Check, serving: str) -> None:
    body = "def metrics(self): return []\ndef docs_input_examples(self): return {}\n"
    assert rules(check_body(body)) == [("perform", WARNING)]
    assert rules(check_body(body + serving, rule="perform")) == [("perform", ADVICE)]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("auxilary_endpoints", "auxiliary_endpoints"),
        ("auxiliary_endpoint", "auxiliary_endpoints"),
        ("auxiliary_endpoints_v1", "auxiliary_endpoints_v2"),
        ("static_endpoint", "static_endpoints"),
        ("docs_input_exampels", "docs_input_examples"),
        ("doc_input_example", "docs_input_example"),
        ("metric", "metrics"),
        ("webview", "webview_app"),
        ("web_view_app", "webview_app"),
    ],
)
def test_a_misspelt_method_of_a_job_is_a_warning(check_body: Check, name: str, meant: str) -> None:
    argument = ", base_url" if meant == "webview_app" else ""
    body = f"{PERFORM}def {name}(self{argument}): return None"
    (found,) = check_body(body)
    assert (found.rule, found.severity, found.line) == ("entry-class", WARNING, 3)
    assert found.remedy == f"did you mean {meant}?"
    for good in (
        body.replace(name, meant),
        f"{body}\ndef {meant}(self{argument}): return None",
        f"{PERFORM}def {name}(self, x, y): ...",
        body.replace("'Do it.'", f"'Do it.'; self.{name}()"),
        body.replace("'Do it.'", "'Do it.'; register(self)"),
        f"{PERFORM}@staticmethod\ndef {name}(): ...",
    ):
        assert check_body(good, head="register = print\n", rule="entry-class") == []


@pytest.mark.parametrize("name", HELPERS.split())
def test_helpers_of_an_ordinary_name_are_nothing_misspelt(check_body: Check, name: str) -> None:
    assert check_body(f"{PERFORM}def {name}(self): ...") == []


# A call in place of a method.


@pytest.mark.parametrize(
    ("explain", "is_wrong"),
    [
        ("def explain(self, x) -> str: return str(x)", True),
        ("def explain(self, x) -> 'dict[str, float]': return make(x)", True),
        ("def explain(self, x) -> None: make(x)", True),
        ("def explain(self, x): return f'{x} percent'", True),
        ("def explain(self, x):\n    if x: return [x]\n    return {}", True),
        ("def explain(self, x): make(x)", True),
        ("def explain(self, x): yield x", True),
        ("async def explain(self, x): return make(x)", True),
        ("def explain(self, x): return make(x)", False),
        ("def explain(self, x): return self.perform", False),
        ("def explain(self, x) -> Callable[..., float]: return make(x)", False),
        ("def explain(self, x) -> str: return lambda: x", False),
        ("@make\ndef explain(self, x) -> str: ...", False),
        ("explain = make", False),
    ],
)
def test_a_call_where_a_method_is_wanted_is_an_error_if_it_gives_none(
    check_body: Check, explain: str, is_wrong: bool
) -> None:
    body = f"{explain}\n{PERFORM}def auxiliary_endpoints(self):\n    return {{'/a': self.explain(50)}}"
    found = check_body(body, head="from collections.abc import Callable\nfrom lib import *\n", files=LIB)
    found = [one for one in found if one.rule == "endpoints"]
    assert len(found) == is_wrong, told(found)
    for one in found:
        assert one.severity is ERROR
        assert one.remedy == "write self.explain, without parentheses"
        assert one.line == len(body.splitlines()) + 3


LIB = {"lib.py": "def make(x): return [x][0]\n"}


# Faults that follow from others.


@pytest.mark.parametrize(
    ("perform", "rule"),
    [
        ("def perform(self, *prices): 'Do it.'", "star-args"),
        ("def perform(x: int): 'Do it.'", "named-parameters"),
        ("def perform(): 'Do it.'", "named-parameters"),
        ("def perform(self, x: int, /): 'Do it.'", "named-parameters"),
    ],
)
def test_samples_are_not_held_against_parameters_that_are_wrong_themselves(
    check_body: Check, perform: str, rule: str
) -> None:
    sample = "\ndef docs_input_example(self): return {'x': 1, 'y': 2}"
    assert [one.rule for one in check_body(perform + sample)] == [rule]
    assert "sample" not in {one.rule for one in check_body(perform)}
    (found,) = check_body("def perform(self, x: int): 'Do it.'" + sample)
    assert found.rule == "broken-sample"


# Home page and folders.


@pytest.mark.parametrize("home", ["/webview", "/webview/", "/api/v1/webview/page?x=1", "/webview#top"])
def test_a_home_page_in_a_web_view_that_is_not_there_is_a_warning(check: Check, home: str) -> None:
    options = {"extra": {"home_page": f'"{home}"'}, "files": {"page.html": ""}}
    (found,) = check(GOOD, **options)
    assert (found.rule, found.severity, found.file) == ("endpoints", WARNING, "job.yaml")
    assert (found.line or 0) > 5
    for more in (
        "    def webview_app(self, base_url): ...\n",
        "    def static_endpoints(self): return {'/webview': 'page.html'}\n",
        "    def static_endpoints(self): return make()\n",
    ):
        assert check("make = dict\n" + GOOD + more, rule="endpoints", **options) == []


@pytest.mark.parametrize("home", ["/docs", "/webviews", "/api/v1/perform"])
def test_any_other_home_page_is_none_of_a_web_view(check: Check, home: str) -> None:
    assert check(GOOD, extra={"home_page": f'"{home}"'}) == []


@pytest.mark.parametrize(("folder", "is_warned"), [(".", True), ("src", True), ("pages", False)])
def test_a_folder_with_the_jobs_code_is_served_with_a_warning(
    check: Check, make_job: MakeJob, folder: str, is_warned: bool
) -> None:
    code = GOOD + f"    def static_endpoints(self): return {{'/files': {folder!r}}}\n"
    found = check(code, entry="src/job.py", files={"pages/page.html": ""}, rule="static-files")
    assert [(one.severity, "the job's code" in one.message) for one in found] == [(WARNING, True)] * is_warned
