"""Whatever happens to a good manifest, reading it gives a Manifest or a ManifestError, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyjob.errors import ManifestError
from pyjob.manifest import Manifest, find_manifest, manifest_of, remarks_on
from pyjob.manifest.table import ROWS

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

GOOD = """\
name: supersmart
owner_email: nobody@example.com
jobtype: python3:latest
version: 1.2.3-rc.1
git: {remote: https://git.example.com/supersmart, branch: main}
jobtype_extra:
  entrypoint_path: entry.py
  max_concurrency: 2   # calls
  max_concurrency_queue: "10"
  queue_timeout: 1.5
build_env: &env {A: 'x', B: "y\\n"}
runtime_env: {<<: *env, B: z}
public_endpoints: [/api/v1/perform]
labels: {since: 2024-01-31, list: [1, null, yes]}
resources: {memory_min: 256Mi, memory_max: 1Gi}
"""

PIECES = [
    *(
        "{",
        "}",
        "[",
        "]",
        ":",
        "- ",
        "&a ",
        "*env",
        "<<: ",
        "!!int ",
        "? ",
        "|\n",
        "\t",
        "\n",
        "'",
        '"',
        "%",
        "---\n",
    ),
    *(
        "no",
        "1.10",
        "~",
        "0x",
        "2024-13-45",
        "\0",
        "\ufeff",
        "\u2028",
        "\ud800",
        "\\n",
        "\\ud800",
        "../",
        "//",
    ),
]

texts = st.sampled_from(PIECES) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.binary(max_size=3) | texts
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3)
)
paths = st.sampled_from(
    [row.path for row in ROWS] + ["lang", "python.home_page", "wrapper_properties.x", "zzz"]
)


def check(manifest: Manifest) -> None:
    """What holds for every manifest that could be read."""
    assert isinstance(manifest, Manifest)
    assert all(remark.isprintable() for remark in remarks_on(manifest))
    assert all(str(remark).isprintable() for remark in manifest.warnings)
    assert all(str(problem).isprintable() for problem in manifest.check_errors)
    for name, value in manifest.runtime_env.items():
        assert f"{name}={value}".encode()
        assert "\0" not in name + value


def check_error(error: ManifestError) -> None:
    """What holds for every error: problems, each on one line of bearable length."""
    assert error.problems
    for line in str(error).splitlines():
        assert line.isprintable()
        assert len(line) < 400


@settings(max_examples=80, database=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), texts), min_size=1, max_size=3))
def test_a_mutated_text_is_read_or_refused(mutations: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for at, length, piece in mutations:
        text = text[:at] + piece + text[at + length :]
    try:
        check(find_manifest(None, environ={"JOB_MANIFEST_YAML": text}, cwd=Path(__file__).parent))
    except ManifestError as error:
        check_error(error)


@settings(max_examples=60, database=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(data)
    with pytest.raises(ManifestError) as caught:
        find_manifest(file, environ={}, cwd=file.parent)
    check_error(caught.value)


@settings(max_examples=120, database=None)
@given(st.lists(st.tuples(paths, values), min_size=1, max_size=3))
def test_any_value_in_any_field_is_taken_or_refused(changes: list[tuple[str, object]]) -> None:
    document: dict[str, object] = {"name": "x"}
    for path, value in changes:
        section, _, key = path.rpartition(".")
        if section:
            inside = document.setdefault(section, {})
            assert isinstance(inside, dict)
            inside[key] = value
        else:
            document[key] = value
    try:
        check(manifest_of(document, name="x", folder=Path(__file__).parent))
    except ManifestError as error:
        check_error(error)
