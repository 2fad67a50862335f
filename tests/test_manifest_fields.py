"""Every reader of the table: the values that it takes and refuses (SPEC 2)."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import get_args, get_type_hints

import pytest

from pyjob.errors import ManifestError
from pyjob.manifest import Git, JobtypeExtra, Manifest, Resources, manifest_of
from pyjob.manifest.table import ROWS


def extra(**values: object) -> Manifest:
    """A manifest with nothing but fields of ``jobtype_extra``."""
    return manifest_of({"jobtype_extra": values}, name="job", folder=Path())


def only_fault(document: dict[str, object]) -> str:
    """The one line that is wrong with a document at hand."""
    with pytest.raises(ManifestError) as caught:
        manifest_of(document, name="job", folder=Path())
    (line,) = str(caught.value).splitlines()
    return line


def test_readers_return_the_types_that_the_manifest_declares() -> None:
    sections = {"": Manifest, "git": Git, "jobtype_extra": JobtypeExtra, "resources": Resources}
    declared = {
        f"{section}.{name}".lstrip("."): hint
        for section, kind in sections.items()
        for name, hint in get_type_hints(kind).items()
    }
    about = {*sections, "folder", "source", "files", "places", "warnings", "check_errors"}
    assert set(declared) - about == {row.path for row in ROWS}
    for row in ROWS:
        returned = get_type_hints(row.read)["return"]
        options = set(get_args(declared[row.path])) - {NoneType} or {declared[row.path]}
        if row.path in ("build_env", "runtime_env", "labels"):
            assert returned.__args__ == declared[row.path].__args__
        else:
            assert returned in (declared[row.path], *options), row.path


GOOD_VALUES: list[tuple[str, object, object]] = [
    ("max_concurrency", 0, None),
    ("max_concurrency", "0", None),
    ("max_concurrency_queue", "10", 10),
    ("max_body_size", 5, 5),
    ("max_body_size", "0.5Ki", 512),
    ("max_body_size", "2k", 2000),
    ("max_body_size", "5000m", 5),
    ("queue_timeout", 3, 3.0),
    ("home_page", "/a?b=c", "/a?b=c"),
    ("entrypoint_path", "./a/../b.py", "./a/../b.py"),
    ("requirements_path", "", ""),
    ("entrypoint_class", None, ""),
    ("cors_origins", ["http://localhost:8000"], ("http://localhost:8000",)),
]


@pytest.mark.parametrize(("field", "value", "expected"), GOOD_VALUES)
def test_values_that_a_field_takes(field: str, value: object, expected: object) -> None:
    assert getattr(extra(**{field: value}).jobtype_extra, field) == expected


def test_an_optional_field_that_is_left_empty_is_as_good_as_absent() -> None:
    document = {"secret_build_env_file": "", "resources": {"cpu_min": "", "cpu_max": None}, "labels": None}
    assert manifest_of(document, name="x", folder=Path()) == manifest_of(None, name="x", folder=Path())


BAD_VALUES: list[tuple[str, list[object]]] = [
    ("entrypoint_path", ["../x.py", "a/../../x.py", "/x.py", ".", "a/", "", "x\n.py", "\ud800.py", 3]),
    ("requirements_path", ["/etc/x", ["x"]]),
    ("max_concurrency", [-1, True, 1.0, "", "-1", "٣", [], "1 "]),
    ("queue_timeout", [0, -1, float("nan"), float("inf"), True, "3"]),
    ("max_body_size", [0, "0", "100m", "-1", "1e3", "1 Mi", "1mi", "1MiB", True, "20E"]),
    ("check_types", [1, "true", 0]),
    ("home_page", ["docs", "//evil", "/\\evil", "/a\tb", "/a\u202eb", ""]),
    ("python_version", [3.10, True]),
    ("cors_origins", ["*", ["example.com"], ["https://a/"], ["https://a/b"], ["https://u@a"]]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, bad in BAD_VALUES for value in bad])
def test_values_that_a_field_refuses_give_one_short_line(field: str, value: object) -> None:
    line = only_fault({"jobtype_extra": {field: value}})
    assert line.startswith(f"manifest: jobtype_extra.{field}")
    assert line.isprintable()
    assert len(line) < 250


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("name", value) for value in ("-a", "a-", "a b", "a/b", "a" * 64, "ä", "a\n", "")],
        *[
            ("version", value)
            for value in ("1", "1.2", "01.2.3", "1.2.3-01", "v1.2.3", "1.2.3\n", "1.2.3-", "")
        ],
        *[("jobtype", value) for value in ("python3", "python3:", ":latest", "a b:c", "python3:latest:x")],
        *[("owner_email", value) for value in ("a", "@b", "a@", "")],
        *[
            ("public_endpoints", [value])
            for value in ("x", "", "//x", "/x//y", "/./x", "/x/..", "/\\", "/x\0")
        ],
        *[("system_dependencies", [value]) for value in ("-o=x", "a b", "A", "a;b", "")],
        *[("build_env", {value: "x"}) for value in ("1A", "A-B", "", "Ä", "A=")],
        *[("runtime_env", {value: "x"}) for value in ("PUB_URL", "JOB_NAME", "JOB_VERSION")],
        *[("runtime_env", {value: "x"}) for value in (True, 1)],
        *[("resources", {"cpu_max": value}) for value in ("1x", "1e3", "-1")],
        *[("resources", {"cpu_max": value}) for value in (-1, float("nan"), True)],
        *[("secret_runtime_env_file", value) for value in ("../.env", "/run/.env", "a/../../b")],
        ("labels", "x"),
        ("labels", []),
        ("labels", {1: "x"}),
        *[("replicas", value) for value in (0, 51, True, 1.5)],
        ("replicas", "1"),
        ("extends", "/base.yaml"),
        ("git", {"remote": 3}),
    ],
)
def test_values_that_a_top_level_field_refuses_give_one_short_line(field: str, value: object) -> None:
    line = only_fault({field: value})
    assert line.startswith(f"manifest: {field}")
    assert line.isprintable()
    assert len(line) < 250


@pytest.mark.parametrize("field", ["max_concurrency", "queue_timeout", "max_body_size", "python_version"])
def test_numbers_too_large_to_print_are_refused_without_printing_them(field: str) -> None:
    for value in (10**5000, -(10**5000)):
        assert "a huge number" in only_fault({"jobtype_extra": {field: value}})


@pytest.mark.parametrize("field", ["max_concurrency", "queue_timeout", "max_body_size"])
def test_long_strings_of_digits_are_refused_and_cut(field: str) -> None:
    assert len(only_fault({"jobtype_extra": {field: "9" * 5000}})) < 250


def test_a_thousandth_of_a_byte_is_explained() -> None:
    assert only_fault({"jobtype_extra": {"max_body_size": "100m"}}).endswith(
        '"100m" (a small "m" is a thousandth)'
    )


@pytest.mark.parametrize("value", [["hunter2"], {"x": "hunter2"}, "hunter2\0", "hunter2\ud800", b"hunter2"])
def test_values_of_environment_variables_stay_out_of_errors(value: object) -> None:
    assert "hunter2" not in only_fault({"runtime_env": {"A": value}})


def test_a_minimum_above_its_maximum_is_an_error_across_units() -> None:
    assert only_fault({"resources": {"memory_min": "1.5Gi", "memory_max": "1500M"}}) == (
        "manifest: resources.memory_min: expected at most resources.memory_max (1500M), found 1.5Gi"
    )
    manifest_of({"resources": {"cpu_min": "1000m", "cpu_max": 1}}, name="x", folder=Path())


def test_faults_are_told_under_the_spelling_that_was_used() -> None:
    assert only_fault({"python": {"max_concurrency": "x"}}).startswith("manifest: python.max_concurrency: ")
    assert only_fault({"lang": 3}).startswith("manifest: lang: ")
