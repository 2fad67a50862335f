"""The table of SPEC 2: one row a field, and how a document is read by it.

A row names the field, the function that reads its value, and what the field is when the document has none.
Rules that concern more than one field are in ``manifest.py``.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pyjob.errors import Problem, Remark
from pyjob.manifest import fields
from pyjob.manifest.document import Document, found, key_label


@dataclass(frozen=True, slots=True)
class Row:
    """One field: dotted path, reader, default, and whether it has to be there."""

    path: str
    read: Callable[[object], object]
    default: object = ""
    required: bool = False

    @property
    def section(self) -> str:
        """The mapping that holds the field, empty for the top level."""
        return self.path.rpartition(".")[0]

    @property
    def may_be_empty(self) -> bool:
        """Whether an empty string means that there is none, as leaving the field empty does."""
        return self.default == "" and not self.required

    @property
    def key(self) -> str:
        """The field's name within its section."""
        return self.path.rpartition(".")[2]


ROWS = (
    Row("name", fields.name, required=True),
    Row("owner_email", fields.email, required=True),
    Row("jobtype", fields.jobtype, required=True),
    Row("git.remote", fields.text),
    Row("git.branch", fields.text),
    Row("git.directory", fields.text, "."),
    Row("version", fields.version, "0.0.1"),
    Row("extends", fields.base_path),
    Row("jobtype_extra.entrypoint_path", fields.inner_path, required=True),
    Row("jobtype_extra.entrypoint_class", fields.text),
    Row("jobtype_extra.requirements_path", fields.relative_path),
    Row("jobtype_extra.max_concurrency", fields.cap, None),
    Row("jobtype_extra.max_concurrency_queue", fields.count, None),
    Row("jobtype_extra.queue_timeout", fields.seconds, None),
    Row("jobtype_extra.max_body_size", fields.size, 100 * 1024**2),
    Row("jobtype_extra.check_types", fields.flag, True),
    Row("jobtype_extra.stuck_after", fields.seconds, None),
    Row("jobtype_extra.cancel_on_disconnect", fields.flag, True),
    Row("jobtype_extra.home_page", fields.home_page, "/docs"),
    Row("jobtype_extra.python_version", fields.text),
    Row("jobtype_extra.debian_version", fields.text),
    Row("jobtype_extra.check_requirements", fields.flag, None),
    Row("jobtype_extra.cors_origins", fields.origins, ()),
    Row("build_env", fields.build_env, {}),
    Row("runtime_env", fields.runtime_env, {}),
    Row("secret_build_env_file", fields.inner_path),
    Row("secret_runtime_env_file", fields.inner_path),
    Row("public_endpoints", fields.endpoints, ()),
    Row("labels", fields.labels, {}),
    Row("replicas", fields.replicas, 1),
    Row("resources.memory_min", fields.quantity),
    Row("resources.memory_max", fields.quantity),
    Row("resources.cpu_min", fields.quantity),
    Row("resources.cpu_max", fields.quantity),
    Row("system_dependencies", fields.packages, ()),
    Row("image_type", fields.anything, None),
    Row("infrastructure_target", fields.anything, None),
    Row("docker", fields.anything, None),
    Row("golang", fields.anything, None),
)

_ROWS_BY_PLACE: Mapping[tuple[str, object], Row] = {(row.section, row.key): row for row in ROWS}

SECTIONS = ("git", "jobtype_extra", "resources")

# Deprecated spellings; where several are used, the first in this order counts.
DEPRECATED = {"lang": "jobtype", "python": "jobtype_extra", "wrapper_properties": "jobtype_extra"}

OPEN_SECTION = "jobtype_extra"  # other job types keep fields of their own there
_MOST_SUGGESTIONS = 20  # for each a comparison with every field


class Reading:
    """A document read by the table: ``values`` by path, ``problems``, ``warnings`` and what is ``missing``.

    ``values`` has every field of the table: the default for one that is absent or wrong.
    """

    def __init__(self, document: Document, *, unknown_fields_warn: bool) -> None:
        self._document = document
        self.problems = list(document.problems)
        self.warnings: list[Remark] = []
        self.missing: list[Problem] = []
        self.doubtful: list[Problem] = []  # no fault by itself, but perhaps the reason of one
        self.values: dict[str, object] = {}
        self._unknown_fields_warn = unknown_fields_warn
        self._unknown = 0
        self._broken_sections: set[str] = set()
        self._written: dict[tuple[str, str], tuple[str, object]] = {}  # field -> path as written, value
        for key, value in document.values.items():
            if key not in DEPRECATED:
                self._take_key(key, key, value)
        for key, modern in DEPRECATED.items():
            if key in document.values:
                self._remark(key, deprecated(key))
                self._take_key(key, modern, document.values[key])
        for row in ROWS:
            self.values[row.path] = self._read(row)
        self.warnings += document.remarks
        self.problems = [document.located(one) for one in self.problems]
        self.missing = [document.located(one) for one in self.missing]
        self.doubtful = [document.located(one) for one in self.doubtful]

    def _remark(self, path: str, text: str) -> None:
        place = self._document.place_of(path)
        self.warnings.append(Remark(place.source, text, place.line))

    def _take_key(self, key: object, modern: object, value: object) -> None:
        if modern not in SECTIONS:
            self._take_field("", modern, key_label(key), value)
        elif isinstance(value, Mapping):
            for inner, item in value.items():
                self._take_field(str(modern), inner, f"{key}.{key_label(inner)}", item)
        elif value is not None:
            self.problems.append(Problem(str(key), "a mapping", found(value)))
            self._broken_sections.add(str(modern))

    def _take_field(self, section: str, key: object, path: str, value: object) -> None:
        row = _ROWS_BY_PLACE.get((section, key))
        if row is None:
            self._take_unknown(section, key, path)
            return
        first = self._written.get((section, row.key))
        if first is not None:
            self._remark(path, ignored(path, first[0]))
        elif value is not None and not (row.may_be_empty and isinstance(value, str) and not value):
            self._written[section, row.key] = (path, value)

    def _take_unknown(self, section: str, key: object, path: str) -> None:
        self._unknown += 1
        hint = _suggestion(section, key) if self._unknown <= _MOST_SUGGESTIONS else ""
        problem = Problem(path, "a known field", f"an unknown one{hint}")
        is_its_own = (
            self._document.place_of(path).source == self._document.source
        )  # not of a base or an option
        if (self._unknown_fields_warn and is_its_own) or section == OPEN_SECTION:
            self._remark(path, f"{path}: an unknown field, ignored{hint}")
            self.doubtful += [problem] if hint else []
        else:
            self.problems.append(problem)

    def _read(self, row: Row) -> object:
        written = self._written.get((row.section, row.key))
        if written is None and not row.required:
            return copy.copy(row.default)  # some are dicts
        path, value = written or (row.path, None)
        try:
            return row.read(value)
        except fields.FieldError as error:
            if written is not None:
                self.problems += [Problem(path + one.path, one.expected, one.found) for one in error.problems]
            elif row.section not in self._broken_sections:
                self.missing += [Problem(path, one.expected, "nothing") for one in error.problems]
        return row.default


def deprecated(key: str) -> str:
    """What is said of a deprecated spelling."""
    return f"{key}: a deprecated spelling, write {DEPRECATED[key]}"


def ignored(path: str, winner: str) -> str:
    """What is said of a field that is there under two names."""
    return f"{path}: ignored, since {winner} is set"


def _suggestion(section: str, key: object) -> str:
    if not isinstance(key, str) or len(key) > 60:
        return ""
    outer, _, inner = key.rpartition(".")
    if (outer, inner) in _ROWS_BY_PLACE and outer:
        return f": did you mean {inner} below {outer}?"
    elsewhere = next((row.path for row in ROWS if row.key == key), None)
    if elsewhere:
        return f": did you mean {elsewhere}?"
    beside = {row.key: row.path for row in ROWS if row.section == section}
    if not section:
        beside |= {name: name for name in SECTIONS}
    close = difflib.get_close_matches(key.lower().replace("-", "_"), beside, n=1)
    return f": did you mean {beside[close[0]]}?" if close else ""
