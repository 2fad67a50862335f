"""What reading the code finds, rule by rule: broken, and mended."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from pyjob.check.code.code import check_code, files_referred_to
from pyjob.check.code.reading import source
from pyjob.check.code.reading.source import Fault, Source
from pyjob.check.finding import Finding, Severity
from pyjob.check.rules import RULES
from pyjob.manifest import Manifest, find_manifest
from tests.conftest import MakeJob

EXAMPLES = Path(__file__).parents[1] / "examples"
ERROR, WARNING, ADVICE = Severity.ERROR, Severity.WARNING, Severity.ADVICE

Check = Callable[..., list[Finding]]


def manifest_of(folder: Path) -> Manifest:
    return find_manifest(folder, environ={}, cwd=folder)


@pytest.fixture
def check(make_job: MakeJob) -> Check:
    """The findings of a job whose code is given; with ``rule``, those of that rule."""

    def check(code: str, *, rule: str = "", **options: object) -> list[Finding]:
        found = check_code(manifest_of(make_job(code, **options)))
        assert all(one.rule in RULES for one in found)
        assert all("\n" not in one.message + one.remedy for one in found)
        return [one for one in found if rule in ("", one.rule)]

    return check


@pytest.fixture
def check_body(check: Check) -> Check:
    """The same for a class whose body is given."""

    def check_body(body: str, *, head: str = "", **options: object) -> list[Finding]:
        return check(
            textwrap.dedent(head) + "class Job:\n" + textwrap.indent(textwrap.dedent(body), "    "), **options
        )

    return check_body


def told(findings: list[Finding]) -> str:
    return "\n".join(f"{one.severity.value} {one.place} {one.message} {one.remedy}" for one in findings)


# A job without fault

GOOD = '''
class Job:
    """Doubles."""

    def perform(self, x: float) -> float:
        """
        Double a number.
        :param x: The number.
        """
        return 2 * x

    def docs_input_example(self):
        return {"x": 2}
'''


def test_a_job_without_fault_has_no_findings(check: Check) -> None:
    assert check(GOOD) == []


@pytest.mark.parametrize("manifest", sorted(EXAMPLES.rglob("job.yaml")), ids=lambda path: path.parent.name)
def test_the_examples_have_neither_errors_nor_warnings(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "libraries")  # of a team, for an example
    assert [one for one in check_code(manifest_of(manifest.parent)) if one.severity is not ADVICE] == []


# Files that cannot be read


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("class Job:\n    def perform(self:\n", 2, "SyntaxError: '(' was never closed"),
        ("x = 1\nreturn x\n", 2, "'return' outside function"),
        ("if True:\nx = 1\n", 2, "IndentationError"),
        ("# coding: no-such-code\n", None, "unknown encoding: no-such-code"),
        ("x = 1\0\n", None, "null byte"),
        ("x = " + "(" * 5000, 1, "too many nested parentheses"),
        ("x = " + "-" * 200_000 + "1", None, ""),
    ],
    ids=["syntax", "return", "indentation", "cookie", "nul", "parentheses", "deep"],
)
def test_a_file_that_python_cannot_read_is_one_finding(
    check: Check, code: str, line: int | None, message: str
) -> None:
    (found,) = check(code)
    assert (found.rule, found.severity, found.file) == ("entry-file", ERROR, "job.py")
    assert message in found.message
    assert line is None or found.line == line


def test_the_line_that_python_cannot_read_is_shown_shortened(check: Check) -> None:
    (found,) = check("x = 1\n    return [1\n")
    assert found.remedy == "the line: return [1"
    (found,) = check(f"x = '{'a' * 200}' '\n")
    assert found.remedy == f"the line: x = '{'a' * 95}..."
    (found,) = check("import broken\n" + GOOD, files={"broken.py": "\n\nx = = 1\n"})
    assert (found.place, found.remedy) == ("broken.py:3", "the line: x = = 1")


def test_a_missing_file_is_one_finding_that_names_the_nearest(make_job: MakeJob) -> None:
    folder = make_job("", entry="jbo.py")
    (folder / "jbo.py").rename(folder / "job.py")
    (found,) = check_code(manifest_of(folder))
    assert (found.rule, found.message) == ("entry-file", "there is no file 'jbo.py'")
    assert "did you mean 'job.py'?" in found.remedy


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "'job.py' is a folder"),
        (os.mkfifo, "'job.py' is no regular file"),
        (lambda path: path.symlink_to("job.py"), "'job.py' cannot be read"),
        (lambda path: path.write_bytes(b"x = '\xff'\n"), "SyntaxError"),
        (lambda path: path.write_bytes(b"#" * (512 * 1024 + 1)), "larger than 512 KiB"),
    ],
    ids=["folder", "fifo", "circle", "latin-1", "huge"],
)
def test_whatever_the_entry_file_is_it_is_one_finding(
    make_job: MakeJob, make: Callable[[Path], object], message: str
) -> None:
    folder = make_job("")
    (folder / "job.py").unlink()
    make(folder / "job.py")
    (found,) = check_code(manifest_of(folder))
    assert (found.rule, found.severity) == ("entry-file", ERROR)
    assert message in found.message
    assert files_referred_to(manifest_of(folder)) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_one_finding(make_job: MakeJob) -> None:
    folder = make_job(GOOD)
    (folder / "job.py").chmod(0)
    (found,) = check_code(manifest_of(folder))
    assert "cannot be read" in found.message


def test_code_that_is_nested_deeply_but_runs_is_no_error(check: Check) -> None:
    code = GOOD + "\nTEXT = " + " + ".join(["'a'"] * 900) + "\nDEEP = x" + ".y" * 500
    assert "entry-file" not in told(check("x = type\n" + code))


# The class


@pytest.mark.parametrize(
    ("code", "extra", "parts"),
    [
        ("x = 1", {}, ["job.py:1", "found no class"]),
        ("\nclass Helper: ...", {}, ["job.py:2", "only classes without it: Helper"]),
        ("class A:\n  x = 1\n  def preform(self): ...", {}, ["job.py:3", "'preform'", "misspelt"]),
        ("def perform(x): ...", {}, ["job.py:1", "function `perform` outside"]),
        (
            "class A:\n  def perform(self): ...\nclass B:\n  def perform(self): ...",
            {},
            ["job.py:3", "A, B", "entrypoint_class: B"],
        ),
        (
            "class Job:\n  def perform(self): ...",
            {"entrypoint_class": "Jobb"},
            ["'Jobb'", "did you mean 'Job'?"],
        ),
        ("B = 1", {"entrypoint_class": "B"}, ["'B'", "something else"]),
        ("class J: ...", {"entrypoint_class": "J"}, ["class J: expected a `perform` method"]),
    ],
)
def test_a_file_without_a_job_says_what_there_is(
    check: Check, code: str, extra: Mapping[str, str], parts: list[str]
) -> None:
    (found,) = check(code, extra=extra)
    assert (found.rule, found.severity) == ("entry-class", ERROR)
    assert all(part in told([found]) for part in parts), found


def test_a_job_without_perform_is_advised_of_it_and_warned_where_it_serves_nothing(check_body: Check) -> None:
    (found,) = check_body("def webview_app(self, base_url): return None")
    assert (found.rule, found.severity) == ("perform", ADVICE)
    body = "def metrics(self): return []"
    (found,) = check_body(body)
    assert (found.rule, found.severity) == ("perform", WARNING)
    assert "nothing else that it serves" in found.message
    assert check_body(body + "\ndef perform(self): 'Do it.'") == []


def test_perform_that_is_no_method_is_an_error(check_body: Check) -> None:
    (found,) = check_body("def metrics(self): return []\nperform = 3")
    assert (found.rule, found.severity, found.line) == ("perform", ERROR, 3)
    assert told(check_body("def metrics(self): return []\nperform = None")).startswith("warning job.py:3")


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("def __init__(self, path, n=1): ...", "asks for path"),
        ("def __init__(self, *, key): ...", "asks for key"),
        ("def __init__(): ...", "does not take `self`"),
        ("async def __init__(self): ...", "`async def`"),
    ],
)
def test_a_class_that_asks_for_arguments_is_an_error(check_body: Check, init: str, message: str) -> None:
    (found,) = check_body(f"{init}\ndef perform(self): 'Do it.'")
    assert (found.rule, found.severity, found.line) == ("init-arguments", ERROR, 2)
    assert message in found.message
    assert check_body("def __init__(self, path='x', *a, **k): ...\ndef perform(self): 'Do it.'") == []


# Its methods


def test_parameters_without_annotation_are_named_in_one_finding_a_method(check_body: Check) -> None:
    (found,) = check_body("def perform(self, x, y: int, *, z=1, **more): ...", rule="annotations")
    assert (found.severity, found.line) == (ADVICE, 2)
    assert "perform: no type annotation of x, z" in found.message
    assert check_body("def perform(self, x: float, **more): ...", rule="annotations") == []


def test_an_annotation_that_is_never_resolved_is_a_warning(check_body: Check) -> None:
    (found,) = check_body("def perform(self, x: 'flaot', y: 'float'): ...", rule="annotations")
    assert (found.severity, found.line) == (WARNING, 2)
    assert "the annotation 'flaot' of x cannot be resolved" in found.message


@pytest.mark.parametrize(
    ("perform", "rule", "severity", "message"),
    [
        ("def perform(self, x: int, /): ...", "named-parameters", ERROR, "positional-only: x"),
        ("def perform(): ...", "named-parameters", ERROR, "no parameter that Python can fill"),
        ("def perform(x: int): ...", "named-parameters", WARNING, "is 'x', which Python fills with the job"),
        ("def perform(self, *xs): ...", "star-args", ERROR, "takes *xs, but callers send names"),
        ("def perform(self, *xs, **more): ...", "star-args", ERROR, "takes *xs and **kwargs"),
    ],
)
def test_parameters_that_callers_cannot_name(
    check_body: Check, perform: str, rule: str, severity: Severity, message: str
) -> None:
    (found,) = check_body(perform, rule=rule)
    assert found.severity is severity
    assert message in found.message
    assert check_body("def perform(self, x: int, *, y: int = 1, **more): ...", rule=rule) == []


def test_a_decorator_without_wraps_is_named_with_the_remedy(check_body: Check) -> None:
    head = """\
        import functools
        def logged(function):
            {wraps}
            def inner(*args, **kwargs):
                return function(*args, **kwargs)
            return inner
    """
    body = "@logged\ndef perform(self, x: int): ..."
    (found,) = check_body(body, head=head.format(wraps=""), rule="star-args")
    assert found.severity is ERROR
    assert "its decorator logged makes it take *args and **kwargs" in found.message
    assert "functools.wraps" in found.remedy
    assert check_body(body, head=head.format(wraps="@functools.wraps(function)"), rule="star-args") == []


def test_a_decorator_that_nobody_knows_hides_what_is_written(check_body: Check) -> None:
    body = "@somewhere.retry(3)\ndef perform(self, *args): ..."
    assert check_body(body, head="import pytest as somewhere\n", rule="star-args") == []


def test_a_docstring_is_advised_and_compared_with_the_parameters(check_body: Check) -> None:
    (found,) = check_body("def perform(self, x: int): ...", rule="docstring")
    assert (found.severity, found.message[:24]) == (ADVICE, "perform has no docstring")
    body = 'def perform(self, text: str):\n    """Do it.\n    :param txet: What.\n    """'
    (found,) = check_body(body, rule="docstring")
    assert "'txet', which is no parameter" in found.message
    assert "'text'" in found.remedy
    assert check_body(body.replace("txet", "text"), rule="docstring") == []


def test_auxiliary_methods_are_held_to_the_same_rules(check_body: Check) -> None:
    body = """
    def perform(self):
        "Do it."
    def explain(self, x, *more): ...
    def auxiliary_endpoints(self):
        return {"/explain": self.explain, "/why": self.explain}
    """
    assert [one.rule for one in check_body(body)] == ["star-args", "annotations", "docstring"]


# What the job leaves behind


@pytest.mark.parametrize(
    "statement",
    [
        "self.count += 1",
        "self.last = x",
        "self.cache[x] = 1",
        "self.cache[x][1] = 2",
        "del self.last",
        "self.last, y = x, 2",
        "for self.last in [x]: pass",
        "with self.lock:\n    self.last = x",
        "global LAST\nLAST = x",
        "if self.last is None: pass\nelse: self.other = 1",
        "def inner(): self.last = x",
    ],
)
def test_what_a_call_leaves_behind_is_a_warning(check_body: Check, statement: str) -> None:
    body = f"def perform(self, x: int):\n{textwrap.indent(statement, '    ')}"
    (found,) = check_body(body, rule="stateless")
    assert found.severity is WARNING
    called = f"def perform(self, x: int): self.do(x)\ndef do(self, x):\n{textwrap.indent(statement, '    ')}"
    assert len(check_body(called, rule="stateless")) == 1
    in_init = f"def perform(self): ...\ndef __init__(self, x=1):\n{textwrap.indent(statement, '    ')}"
    assert check_body(in_init, rule="stateless") == []


@pytest.mark.parametrize(
    "statement",
    [
        "last = x",
        "x.count = 1",
        "self.request_extra.get()['x'] = 1",
        "if self.model is None:\n    with self.lock:\n        self.model = 1",
        "if not self.model: self.model = 1",
        "if not hasattr(self, 'model'): self.model = 1",
        "if self.model is not None:\n    return self.model\nself.model = 1",
        "if self.model: pass\nelse: self.model = 1",
        "class Inner:\n    def f(self): self.x = 1",
    ],
)
def test_what_is_local_or_made_once_is_no_warning(check_body: Check, statement: str) -> None:
    body = f"def perform(self, x: int):\n{textwrap.indent(statement, '    ')}"
    assert check_body(body, rule="stateless") == []


# Hostile input


@settings(max_examples=150)
@given(text=st.text(max_size=300))
def test_whatever_the_file_holds_nothing_is_raised(make_job: MakeJob, text: str) -> None:
    folder = make_job("")
    (folder / "job.py").write_bytes(text.encode("utf-8", "surrogatepass"))
    check_code(manifest_of(folder))
    files_referred_to(manifest_of(folder))


SOURCES = [GOOD, *(path.read_text() for path in sorted(EXAMPLES.rglob("job_entrypoint.py")))]


@settings(max_examples=300)
@given(data=st.data())
def test_good_files_with_lines_lost_doubled_or_moved_raise_nothing(
    make_job: MakeJob, data: st.DataObject
) -> None:
    lines = data.draw(st.sampled_from(SOURCES)).splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines.pop(at)
        to = data.draw(st.integers(0, len(lines)))
        lines[to:to] = data.draw(st.sampled_from([[], [line, line], [line], [line.strip()], [f"    {line}"]]))
        if not lines:
            break
    folder = make_job("")
    (folder / "job.py").write_text("\n".join(lines))
    check_code(manifest_of(folder))
    files_referred_to(manifest_of(folder))


def test_each_file_is_read_once(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        f"part{n}.py": f"import part{(n + 1) % 50}\nfrom part{n // 2} import f\ndef f(): ..."
        for n in range(50)
    }
    folder = make_job("from part0 import f\n" + GOOD, files=files)
    read: list[str] = []

    def read_source(path: Path, name: str) -> Source | Fault:
        read.append(name)
        return source.read_source(path, name)

    monkeypatch.setattr("pyjob.check.code.reading.project.read_source", read_source)
    assert check_code(manifest_of(folder)) == []
    assert len(read) == len(set(read)) == 51
