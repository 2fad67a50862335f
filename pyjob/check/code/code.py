"""What reading the job's code finds, without running any of it (SPEC 1)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from pyjob.check.code.imports import judge_imports
from pyjob.check.code.job.draft import Draft
from pyjob.check.code.job.endpoints import Routes, read_routes
from pyjob.check.code.job.entry import Choice, choose_class
from pyjob.check.code.job.files import judge_files, judge_home_page
from pyjob.check.code.job.making import judge_making
from pyjob.check.code.job.methods import judge_methods
from pyjob.check.code.job.metrics import judge_metrics
from pyjob.check.code.job.samples import judge_samples
from pyjob.check.code.job.state import judge_state
from pyjob.check.code.names import judge_names
from pyjob.check.code.note import ERROR
from pyjob.check.code.opened import judge_opened
from pyjob.check.code.public import judge_answered, judge_spelled
from pyjob.check.code.reading.project import Project
from pyjob.check.code.reading.reach import Reach, reach_of
from pyjob.check.code.reading.source import Fault
from pyjob.check.code.references import Reference, judge_paths, references_in
from pyjob.check.code.spelling import judge_spelling
from pyjob.check.finding import Finding
from pyjob.job.paths import Claims
from pyjob.manifest import Manifest

T = TypeVar("T")


def check_code(manifest: Manifest, cwd: Path | None = None) -> list[Finding]:
    """Everything that reading finds in the entry file and in the own modules that it imports.

    ``cwd`` is where the commands of the remedies work: by default in the job's folder. Never
    raises for what is in the files; where the code is too dynamic to be read, it finds nothing.
    """
    project = Project(manifest)
    fault = project.source(project.entry)
    if isinstance(fault, Fault):
        return [_unreadable(project, fault)]
    cwd = cwd or manifest.folder
    reach = reach_of(project)
    choice = _patiently(lambda: [choose_class(project, manifest)])
    findings = [
        *judge_spelled(manifest),
        *(finding for one in choice for finding in one.findings),
        *_patiently(lambda: judge_imports(project, reach, manifest, cwd)),
        *_patiently(lambda: judge_names(project, reach)),
        *_patiently(lambda: judge_paths(project, reach)),
        *(finding for one in choice if one.draft for finding in _judge_class(one.draft, reach)),
        *_patiently(lambda: judge_opened(project, reach, choice[0].draft if choice else None, manifest)),
    ]
    return sorted(dict.fromkeys(findings), key=lambda one: (one.file, one.line or 0))


def files_referred_to(manifest: Manifest) -> list[Reference]:
    """Files and folders of the job's folder that its code names by literals, and that are there."""
    project = Project(manifest)
    if isinstance(project.source(project.entry), Fault):
        return []
    reach = reach_of(project)
    choice: list[Choice] = _patiently(lambda: [choose_class(project, manifest)])
    draft = choice[0].draft if choice else None
    return sorted(set(_patiently(lambda: references_in(project, reach, draft))))


def _judge_class(draft: Draft, reach: Reach) -> list[Finding]:
    """Findings of the job's class. Where something may change it, its errors cannot be told."""
    claims = Claims(f"class {draft.blueprint.name}")
    routes = next(iter(_patiently(lambda: [read_routes(draft, claims)])), Routes(is_whole=False))
    findings = [
        *routes.findings,
        *_patiently(lambda: judge_spelling(draft, routes, reach)),
        *_patiently(lambda: judge_making(draft)),
        *_patiently(lambda: judge_methods(draft, routes.handlers)),
        *_patiently(lambda: judge_samples(draft, routes)),
        *_patiently(lambda: judge_files(draft, claims)),
        *_patiently(lambda: judge_home_page(draft, claims, is_whole=routes.is_whole)),
        *_patiently(lambda: judge_answered(draft, routes)),
        *_patiently(lambda: judge_metrics(draft)),
        *_patiently(lambda: judge_state(draft, routes.handlers)),
    ]
    return [one for one in findings if one.severity is not ERROR or not draft.blueprint.is_opaque]


def _patiently(judge: Callable[[], Iterable[T]]) -> list[T]:
    """What ``judge`` gives; nothing where the code is nested too deep to be followed."""
    try:
        return list(judge())
    except RecursionError:
        return []


def _unreadable(project: Project, fault: Fault) -> Finding:
    name = str(project.entry.relative_to(project.folder))
    remedy = f"the line: {fault.text}" if fault.text else "mend it: the job cannot be loaded without it"
    if fault.is_missing:
        parent = project.entry.parent
        names = [file.name for file in parent.glob("*.py")] if parent.is_dir() else []
        near = difflib.get_close_matches(project.entry.name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write it, or correct jobtype_extra.entrypoint_path"
        remedy = f"{hint} It is named in jobtype_extra.entrypoint_path" if near else hint
    elif fault.may_run:
        remedy = "keep data in files of its own"
    return Finding("entry-file", ERROR, fault.message, remedy, name, fault.line)
