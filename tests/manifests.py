"""Manifests, good ones and mutations of them, as YAML text: for whatever holds of every manifest."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable
from typing import Any

import yaml
from hypothesis import strategies as st

from pyjob.manifest.json_schema import DESCRIPTIONS

Document = dict[Any, Any]
Text = st.SearchStrategy[str]

# What the overlay among the good ones extends: write it as `base.yaml` beside the manifest.
BASE = """\
name: base
owner_email: base@example.com
jobtype: python3:latest
git: {remote: https://example.com/team/base, directory: jobs}
jobtype_extra: {entrypoint_path: job.py, max_concurrency: 4}
runtime_env: {MODE: base, REGION: eu}
labels: {team: base}
public_endpoints: [/api/v1/perform]
resources: {memory_max: 1Gi}
"""

GOOD: list[Document] = [
    {
        "name": "short",
        "owner_email": "a@b",
        "jobtype": "python3:latest",
        "jobtype_extra": {"entrypoint_path": "job.py"},
    },
    {
        "name": "full",
        "owner_email": "nobody@example.com",
        "jobtype": "python3:2.4.0",
        "git": {"remote": "https://example.com/r", "branch": "main", "directory": "jobs/full"},
        "version": "1.2.3-rc.1+5",
        "jobtype_extra": {
            "entrypoint_path": "./job.py",
            "entrypoint_class": "Job",
            "requirements_path": "../requirements.txt",
            "max_concurrency": "2",
            "max_concurrency_queue": 10,
            "queue_timeout": 1.5,
            "max_body_size": "10Mi",
            "check_types": False,
            "stuck_after": 60,
            "cancel_on_disconnect": False,
            "home_page": "/docs",
            "python_version": "3.12",
            "cors_origins": ["https://example.com", "*"],
        },
        "build_env": {"A": "x"},
        "runtime_env": {"DEBUG": "true", "EMPTY": ""},
        "secret_runtime_env_file": "secrets/.env",
        "public_endpoints": ["/api/v1/perform"],
        "labels": {"team": "a", "list": [1, {"x": None}]},
        "replicas": 3,
        "resources": {"memory_min": "256Mi", "memory_max": "1Gi", "cpu_min": 0.5, "cpu_max": 1},
        "system_dependencies": ["libgomp1", "g++"],
        "docker": {"dockerfile_path": "Dockerfile"},
    },
    {
        "name": "old",
        "owner_email": "a@b",
        "lang": "python3:latest",
        "python": {"entrypoint_path": "job.py", "max_concurrency": 1},
        "wrapper_properties": {"home_page": "/x"},
    },
    {
        "extends": "base.yaml",
        "name": "overlay",
        "jobtype_extra": {"max_concurrency": 8, "home_page": None},
        "runtime_env": {"MODE": "overlay", "REGION": None},
    },
]

NAMES = sorted({part for path in DESCRIPTIONS for part in path.split(".")})
WORDS = [
    *("", "no", "x", "1.10", "5", "007", "99999999999", "256Mi", "0.5", "100m", "1e3", "20E", "-1", "1 "),
    *("/", "/x", "/docs", "//x", "/x/", "/x//y", "/./x", "/..x/y", "\\x", ".", "..", "./", "a/", "../x.py"),
    *("a/../../x", "./a/../job.py", "job.py", "base.yaml", "none.yaml", "../base.yaml", ".env", "a@b", "@"),
    *("1.2.3", "01.2.3", "python3:latest", ":x", "https://example.com", "http://u@h", "https://a/", "*"),
    *("A_1", "1A", "a-b", "PUB_URL", "g++", "-o=x", "ä", "\U0001f600", "a" * 64, "a" * 400),
    *("a\n", "a\nb", "\t", "\0", "\u2028", "\ud800", "~", "2024-01-31", "12:30", "0x1f", "<<", "=", "&a"),
]
PIECES = [
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        ": ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "!!int ",
        "!!str ",
        "!!set ",
        "!x ",
        "? ",
        "|\n",
    ),
    *("\t", "\n", "\r\n", "'", '"', "%", "---\n", "...\n", "#", " #", ",", "no", "1.10", "~", "0x", "\ufeff"),
    *("2024-13-45", "\0", "\u2028", "\\n", "../", "//", "null", "extends: base.yaml\n", "name: x\n"),
]

NUMBERS: list[int | float] = [
    *(0, 1, -1, 50, 51, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**20 - 1, 10**20, 10**25, 10**31),
    *(0.0, -0.0, 0.5, 1.0, 3.0, 1e9, 1.1e9, 1e20, 1e-7, 5e-324, float("inf"), float("nan")),
]

_words = st.sampled_from(WORDS) | st.sampled_from(NAMES) | st.text(max_size=8)
_numbers = st.sampled_from(NUMBERS) | st.integers() | st.floats()
_scalars = st.none() | st.booleans() | _numbers | st.dates() | st.binary(max_size=3) | _words
_keys = _words | st.sampled_from([True, None, 1, 1.5, datetime.date(2024, 1, 31)])
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3)
)


@st.composite
def mutated_manifests(draw: st.DrawFn) -> str:
    """The text of a manifest, good or not, of a job whose entry file is `job.py`; it may extend `BASE`."""
    document = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(0, 3))):
        _mutate(draw, document)
    text = _written(document, flow=draw(st.sampled_from([False, None, True])))
    if draw(st.integers(0, 3)) == 0:
        lines = text.splitlines(keepends=True)
        text += draw(st.sampled_from(lines))  # a key again, perhaps
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at, cut = draw(st.integers(0, len(text))), draw(st.integers(0, 4))
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + cut :]
    return text


def _mutate(draw: st.DrawFn, document: Document) -> None:
    """Change one thing, in the document or in a mapping or list inside of it."""
    holder: Any = document
    while True:
        inner = [value for value in _items(holder) if isinstance(value, (dict, list)) and value]
        if not inner or draw(st.integers(0, 2)) == 0:
            break
        holder = draw(st.sampled_from(inner))
    draw(st.sampled_from(_CHANGES))(draw, holder)


def _items(holder: Any) -> list[Any]:
    return list(holder.values() if isinstance(holder, dict) else holder)


def _key_of(draw: st.DrawFn, holder: Any) -> Any:
    return draw(st.sampled_from(list(holder) if isinstance(holder, dict) else range(len(holder))))


def _replace(draw: st.DrawFn, holder: Any) -> None:
    if holder:
        holder[_key_of(draw, holder)] = draw(_values)


def _drop(draw: st.DrawFn, holder: Any) -> None:
    if holder:
        del holder[_key_of(draw, holder)]


def _add(draw: st.DrawFn, holder: Any) -> None:
    if isinstance(holder, dict):
        holder[draw(st.sampled_from(NAMES) | _keys)] = draw(_values)
    else:
        holder.append(draw(_values))


def _rename(draw: st.DrawFn, holder: Any) -> None:
    if holder and isinstance(holder, dict):
        value = holder.pop(_key_of(draw, holder))
        holder[draw(st.sampled_from([*NAMES, "python", "wrapper_properties", "lang"]) | _keys)] = value


def _nest(draw: st.DrawFn, holder: Any) -> None:
    if holder:
        key = _key_of(draw, holder)
        for _ in range(draw(st.sampled_from([1, 1, 2, 49, 60]))):
            holder[key] = draw(st.sampled_from([[holder[key]], {"x": holder[key]}]))


_CHANGES: list[Callable[[st.DrawFn, Any], None]] = [_replace, _replace, _drop, _add, _rename, _nest]


def _written(document: Document, flow: bool | None) -> str:
    return yaml.safe_dump(document, default_flow_style=flow, sort_keys=False)
