"""The typed manifest, and the rules that concern more than one field (SPEC 2)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Any

from pyjob.errors import ManifestError, Problem, Remark
from pyjob.manifest.document import Document, found
from pyjob.manifest.fields import amount
from pyjob.manifest.place import Place, Places
from pyjob.manifest.table import ROWS, SECTIONS, Reading

_ENTRYPOINT = "jobtype_extra.entrypoint_path"
_PYTHON = "jobtype_extra.python_version"
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
PATH_SEGMENT = re.compile(r"[A-Za-z0-9][-+._~A-Za-z0-9]{0,127}")
PYTHON_VERSION = re.compile(r"3\.(?:1[1-9]|[2-9][0-9])(?:\.[0-9]{1,3})?")  # which pyjob runs on
USER_IN_URL = re.compile(r"//[^/]*@")


@dataclass(frozen=True, slots=True)
class Git:
    """Where the job's source is kept; strings are empty where the manifest has none."""

    remote: str
    branch: str
    directory: str


@dataclass(frozen=True, slots=True)
class JobtypeExtra:
    """What the job's server is told; None stands for no limit, and strings are empty where there is none."""

    entrypoint_path: str
    entrypoint_class: str
    requirements_path: str
    max_concurrency: int | None
    max_concurrency_queue: int | None
    queue_timeout: float | None
    max_body_size: int
    check_types: bool
    stuck_after: float | None
    cancel_on_disconnect: bool
    home_page: str
    python_version: str
    debian_version: str
    check_requirements: bool | None
    cors_origins: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resources:
    """Quantities as they were written (``256Mi``), empty where there is none."""

    memory_min: str
    memory_max: str
    cpu_min: str
    cpu_max: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose fields are all checked and typed.

    ``folder`` is the job's folder, absolute; ``source`` is what messages call the document; ``files`` are
    those that it was read from; ``warnings`` are to be logged; ``check_errors`` are faults that a check of
    the job has as errors, a run as warnings. Mappings are the manifest's own copies: not to be changed.
    """

    name: str
    owner_email: str
    jobtype: str
    git: Git
    version: str
    extends: str
    jobtype_extra: JobtypeExtra
    build_env: Mapping[str, str]
    runtime_env: Mapping[str, str]
    secret_build_env_file: str
    secret_runtime_env_file: str
    public_endpoints: tuple[str, ...]
    labels: Mapping[str, object]
    replicas: int
    resources: Resources
    system_dependencies: tuple[str, ...]
    image_type: object
    infrastructure_target: object
    docker: object
    golang: object
    folder: Path
    source: str
    files: tuple[Path, ...] = ()
    warnings: tuple[Remark, ...] = ()
    check_errors: tuple[Problem, ...] = ()
    places: Places = field(default_factory=Places, repr=False, compare=False)

    def located(self, problem: Problem) -> Problem:
        """``problem`` of one of the fields, with the file and line of that field."""
        place = self.places.nearest(problem.path)
        return problem if place is None else replace(problem, line=place.line, source=place.source)


class Missing(Enum):
    """What becomes of a required field that the document does not have."""

    ERROR = "an error"
    WARNING = "a warning and the default"
    DEFAULT = "the default"


def read(
    document: Document,
    *,
    folder: Path,
    missing: Missing = Missing.ERROR,
    unknown_fields_warn: bool = False,
    name: str = "",
    entrypoint_path: str = "",
    files: tuple[Path, ...] = (),
) -> Manifest:
    """Read a document by the table.

    ``name`` stands in for a missing one, ``entrypoint_path`` wins over the document's. Raises
    :class:`ManifestError` with all problems of the document.
    """
    source = document.source
    reading = Reading(document, unknown_fields_warn=unknown_fields_warn)
    values = reading.values
    absent = [one for one in reading.missing if not (one.path == _ENTRYPOINT and entrypoint_path)]
    if document.is_partial:
        absent = []
    crossed = map(document.located, _resource_problems(values))
    problems = [*reading.problems, *(absent if missing is Missing.ERROR else []), *crossed]
    if problems:
        # A field that is missing may stand there under a wrong name.
        misspelt = [one for one in reading.doubtful if any(field.path in one.found for field in absent)]
        raise ManifestError(source, [*problems, *misspelt])
    warnings = [*reading.warnings, *_name_warnings(values["name"], document.place_of("name"))]
    warnings += _python_warnings(values[_PYTHON], document.place_of(_PYTHON))
    if missing is Missing.WARNING:
        warnings += [Remark(one.source, f"{one.path}: missing", one.line) for one in absent]
    values["name"] = values["name"] or name
    values[_ENTRYPOINT] = entrypoint_path or values[_ENTRYPOINT]
    return _assembled(
        values,
        folder=folder,
        source=source,
        files=files,
        places=document.places,
        warnings=tuple(warnings),
        check_errors=tuple(
            map(document.located, _check_errors(values, remote_required=missing is not Missing.DEFAULT))
        ),
    )


def valid_name(text: str) -> str:
    """Make a job's name out of a file's or a class's."""
    return re.sub(r"[^-._A-Za-z0-9]+", "-", text)[:63].strip("-._") or "job"


def with_identity(manifest: Manifest, environ: Mapping[str, str]) -> Manifest:
    """Return the manifest with name and version of ``JOB_NAME`` and ``JOB_VERSION``, where set (SPEC 2.2).

    A platform may use any (``latest``), as long as they can stand in a URL: ManifestError otherwise.
    """
    identity = {"JOB_NAME": manifest.name, "JOB_VERSION": manifest.version}
    given = {variable: environ[variable] for variable in identity if environ.get(variable)}
    expected = 'at most 128 letters, digits and "-+._~", the first a letter or digit'
    problems = [
        Problem(variable, expected, found(value))
        for variable, value in given.items()
        if not PATH_SEGMENT.fullmatch(value)
    ]
    if problems:
        raise ManifestError("environment", problems)
    identity |= given
    return replace(manifest, name=identity["JOB_NAME"], version=identity["JOB_VERSION"])


def remarks_on(manifest: Manifest) -> Iterator[str]:
    """What its author should hear when the job starts: warnings, errors of `check`."""
    yield from map(str, manifest.warnings)
    for problem in manifest.check_errors:
        yield problem.told_of(manifest.source)


def _assembled(values: Mapping[str, Any], **about: Any) -> Manifest:
    parts: dict[str, dict[str, Any]] = {section: {} for section in ("", *SECTIONS)}
    for row in ROWS:
        parts[row.section][row.key] = values[row.path]
    return Manifest(
        git=Git(**parts["git"]),
        jobtype_extra=JobtypeExtra(**parts["jobtype_extra"]),
        resources=Resources(**parts["resources"]),
        **parts[""],
        **about,
    )


def _resource_problems(values: Mapping[str, object]) -> list[Problem]:
    problems = []
    for kind in ("memory", "cpu"):
        low, high = str(values[f"resources.{kind}_min"]), str(values[f"resources.{kind}_max"])
        if low and high and amount(low) > amount(high):
            expected = f"at most resources.{kind}_max ({high})"
            problems.append(Problem(f"resources.{kind}_min", expected, low))
    return problems


def _name_warnings(name: object, place: Place) -> list[Remark]:
    if not name or _DNS_LABEL.fullmatch(str(name)):
        return []
    text = f'name: "{name}" is no DNS label (lower case letters, digits, dashes), and platforms may refuse it'
    return [Remark(place.source, text, place.line)]


def _python_warnings(version: object, place: Place) -> list[Remark]:
    if not version or PYTHON_VERSION.fullmatch(str(version)):
        return []
    text = f"{_PYTHON}: {found(version)} is no version of Python from 3.11, so that no image can be made"
    return [Remark(place.source, text, place.line)]


def _check_errors(values: Mapping[str, object], *, remote_required: bool) -> list[Problem]:
    problems = []
    remote = str(values["git.remote"])
    if not remote.startswith("https://") and (remote or remote_required):
        # Never repeat the password of a remote.
        what = found(USER_IN_URL.sub("//", remote)) if remote else "nothing"
        problems.append(Problem("git.remote", "a URL that starts with https://", what))
    queue = "jobtype_extra.max_concurrency_queue"
    if values[queue] is not None and values["jobtype_extra.max_concurrency"] is None:
        what = f"{values[queue]} without it"
        problems.append(Problem(queue, "jobtype_extra.max_concurrency beside it", what))
    return problems
