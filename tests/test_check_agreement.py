"""Jobs in a table, each checked and started: what `check_code` passes starts, and what starts it passes.

A case begins with `=== its name`, and ` | name` of the class that its manifest names, if it does. Then comes
the entry file; `--- path` begins another file, or the entry file under another name. A line `JOB` is a job
that works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import pyjob
from pyjob.check.code.code import check_code
from pyjob.check.finding import Severity
from pyjob.manifest import find_manifest
from tests.conftest import MakeJob

JOB = """\
class Job:
    def perform(self, x: int = 1): return x
"""


@dataclass(frozen=True)
class Case:
    """One job: what is special about it, its files, and the class that its manifest names."""

    name: str
    entry: str
    code: str
    files: Mapping[str, str]
    wanted: str

    def make(self, make_job: MakeJob) -> Path:
        extra = {"entrypoint_class": self.wanted} if self.wanted else {}
        return make_job(self.code, entry=self.entry, files=self.files, extra=extra)


def cases_of(table: str) -> list[Case]:
    """The cases of a table."""
    cases = []
    for block in table.replace("\nJOB\n", f"\n{JOB}").replace("NUL", "\0").split("=== ")[1:]:
        head, _, rest = block.partition("\n")
        name, _, wanted = head.partition(" | ")
        files = dict(part.partition("\n")[::2] for part in f"job.py\n{rest}".split("--- "))
        if len(files) > 1 and not files["job.py"]:
            del files["job.py"]
        entry = next(iter(files))
        cases.append(Case(name, entry, files.pop(entry), files, wanted))
    return cases


def failure_of(folder: Path) -> str:
    """Why the job does not start; nothing where it does."""
    try:
        pyjob.create(folder, load="now").close()
    except BaseException as error:  # whatever a job does
        return f"{type(error).__name__}: {error}"
    return ""


def errors_of(folder: Path) -> list[str]:
    """What the check says is an error."""
    manifest = find_manifest(folder, environ={}, cwd=folder)
    return [str(one) for one in check_code(manifest) if one.severity is Severity.ERROR]


# What an author wants to know before the start, which only warns of it (SPEC 1.1, 6).
STRICTER = """
=== both stars
class J:
    def perform(self, *args, **kwargs): ...

=== a decorator without wraps
def logged(f):
    def inner(*args, **kwargs): return f(*args, **kwargs)
    return inner
class J:
    @logged
    def perform(self, x): ...

=== a sample that does not fit
JOB
    def docs_input_example(self): return {"y": 1}

=== a sample for nobody
JOB
    def docs_input_examples(self): return {"/preform": {"x": 1}}

=== a sample that asks for arguments
JOB
    def docs_input_example(self, x): return {}

=== metrics that ask for arguments
JOB
    def metrics(self, x): return []

=== a metric without a name
JOB
    def metrics(self): return [{"value": 1}]

=== a sample of perform, which is not there
class J:
    def docs_input_example(self): return {"x": 1}

=== perform is no method beside others
class J:
    perform = 3
    def metrics(self): return []
"""

# What reading cannot know: the check is silent, and the start is not.
UNKNOWABLE = """
=== it raises
1 / 0
JOB

=== a builtin as handler, which takes no names
JOB
    def auxiliary_endpoints(self): return {"/len": len}

=== a class of another package that is abstract
import collections.abc
class J(collections.abc.Sized):
    def perform(self): ...

=== a handler that is computed
JOB
    def auxiliary_endpoints(self): return {"/" + "a b": self.perform}

=== a name that comes too late
x = late
late = 1
JOB

=== two classes, one of them on a condition
JOB
if True:
    class Other:
        def perform(self): ...

=== a name that a library does not have
from json import nothing_of_that_name
JOB
"""


@pytest.mark.parametrize("case", cases_of(STRICTER), ids=lambda case: case.name)
def test_the_check_is_stricter_where_the_start_warns(make_job: MakeJob, case: Case) -> None:
    folder = case.make(make_job)
    assert len(errors_of(folder)) == 1
    assert failure_of(folder) == ""


@pytest.mark.parametrize("case", cases_of(UNKNOWABLE), ids=lambda case: case.name)
def test_the_check_is_silent_where_reading_cannot_know(make_job: MakeJob, case: Case) -> None:
    folder = case.make(make_job)
    assert errors_of(folder) == []
    assert failure_of(folder) != ""
