"""Texts that are no manifest: each gives one clear problem, none a traceback or a wait (SPEC 2)."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

from pyjob.errors import ManifestError
from pyjob.manifest import Manifest, find_manifest

GOOD = "name: x\nowner_email: a@b\njobtype: python3:latest\njobtype_extra: {entrypoint_path: entry.py}\n"


def read(folder: Path, text: str | bytes) -> Manifest:
    """Read a text as the ``job.yaml`` of a folder."""
    (folder / "job.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return find_manifest(folder, environ={}, cwd=folder)


def fault(folder: Path, text: str | bytes) -> str:
    """Return the one thing that is wrong with a text, behind its line if it has one (``2: expected ...``)."""
    with pytest.raises(ManifestError) as caught:
        read(folder, text)
    (problem,) = caught.value.problems
    where = f"{problem.line}: " if problem.line else ""
    assert str(caught.value) == f"job.yaml:{where or ' '}{problem}"
    assert str(problem).isprintable()
    return f"{where}{problem}"


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()).name == "x"
    assert find_manifest(None, environ={"JOB_MANIFEST_YAML": "\ufeff" + GOOD}, cwd=tmp_path).name == "x"


@pytest.mark.parametrize("text", ["", " \n", "# nothing\n"])
def test_an_empty_document_is_an_error(tmp_path: Path, text: str) -> None:
    assert fault(tmp_path, text) == "expected a mapping of fields to values, found an empty document"


@pytest.mark.parametrize(
    ("text", "found"),
    [("- name: x", "a list"), ("just words", "text"), ("3", "3"), ("null", "null"), ("---\n", "null")],
)
def test_a_document_that_is_no_mapping_is_an_error_with_its_line(
    tmp_path: Path, text: str, found: str
) -> None:
    line = 2 if text == "---\n" else 1
    assert fault(tmp_path, text) == f"{line}: expected a mapping of fields to values, found {found}"
    assert fault(tmp_path, f"# a\n\n{text}").startswith(f"{line + 2}: ")


def test_bytes_that_are_no_utf_8_are_an_error_with_their_line(tmp_path: Path) -> None:
    assert fault(tmp_path, b"name: x\n# caf\xe9\n") == "2: expected UTF-8 text, found the byte 0xe9"
    assert fault(tmp_path, b"\xef\xbb\xbf# a\n\xfe") == "2: expected UTF-8 text, found the byte 0xfe"
    assert fault(tmp_path, b"\xef\xbb\xbf\xfe") == "1: expected UTF-8 text, found the byte 0xfe"
    assert fault(tmp_path, GOOD.encode("utf-16")) == "1: expected UTF-8 text, found the byte 0xff"


def test_control_characters_are_an_error_with_their_line(tmp_path: Path) -> None:
    assert fault(tmp_path, "name: x\na: \0") == "2: expected valid YAML, found the character U+0000"


def test_a_syntax_error_is_one_line_with_line_and_column(tmp_path: Path) -> None:
    assert fault(tmp_path, "name: x\nlabels: [a, b\nversion: 1\n").startswith(
        "3: expected valid YAML, found a fault in column 8: while parsing a flow sequence, expected ',' or "
    )


def test_a_tab_is_named(tmp_path: Path) -> None:
    line = fault(tmp_path, "git:\n\tremote: x\n")
    assert line.startswith("2: expected valid YAML, found a fault in column 1")
    assert line.endswith("indent with blanks, not with tabs")


def test_lines_are_counted_as_yaml_does(tmp_path: Path) -> None:
    for end in ("\n", "\r\n", "\r", "\u2028"):
        assert fault(tmp_path, f"name: x{end}a: \0").startswith("2: expected valid YAML, found the character")
        assert fault(tmp_path, f"name: x{end}a: ".encode() + b"\xff").startswith("2: expected UTF-8")
        assert fault(tmp_path, f"{GOOD}git:{end}\tremote: x").endswith("indent with blanks, not with tabs")
        assert fault(tmp_path, f"{GOOD}labels:{end}  a: b{end}  1: b").startswith("7: labels.1: ")


def test_a_dot_in_a_name_is_not_a_step_into_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        read(tmp_path, GOOD + "git: {remote: 3}\ngit.remote: x\n")
    assert str(caught.value).splitlines() == [
        'job.yaml:6: "git.remote": expected a known field, found an unknown one: did you mean remote below '
        "git?",
        'job.yaml:5: git.remote: expected a string, found the number 3: quote it: "3"',
    ]


def test_a_key_that_repeats_deep_below_long_names_has_a_short_path(tmp_path: Path) -> None:
    names = ("{" + "k" * 60 + ": ") * 40
    text = f"labels: {names}{{a: 1, a: 2}}{'}' * 40}"
    assert len(fault(tmp_path, GOOD + text)) < 350


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: 1\n---\nb: 2", "2: expected valid YAML, found a fault in column 1: expected a single document"),
        ("a: *b", "found undefined alias"),
        ("? [a]\n: 1", "found unhashable key"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("a: !mine x", "could not determine a constructor"),
        ("version: 2024-13-45", "a value of type timestamp but is none; quote it"),
        ("a: !!int ''", "a value of type int but is none"),
        ("a: !!bool x", "a value of type bool but is none"),
        ("a: !!timestamp x", "a value of type timestamp but is none"),
        ("a: 0x" + "f" * 5000, "a value of type int but is none"),
        ("a: " + "9" * 5000, "a value of type int but is none"),
        ("a: &a [*a]", "an alias inside of what it stands for"),
        ("a: &a {b: {<<: *a}}", "an alias inside of what it stands for"),
        ('a: !<!x"\\n> b', "1: expected valid YAML, found a fault in column 8: while parsing a tag"),
    ],
)
def test_what_the_loader_cannot_make_a_plain_value_of_is_an_error(
    tmp_path: Path, text: str, part: str
) -> None:
    line = fault(tmp_path, text)
    assert re.match(r"[12]: expected valid YAML, found a fault in column [0-9]+: ", line)
    assert part in line


@pytest.mark.parametrize("text", ["[" * 600, "- " * 2000, "? " * 2000, "{a: " * 2000, "[{b: [" * 900])
def test_nesting_beyond_measure_is_an_error(tmp_path: Path, text: str) -> None:
    line = fault(tmp_path, text)
    assert re.fullmatch(
        "1: expected valid YAML, found a fault in column [0-9]+: more than 100 levels of nesting", line
    )


def test_nesting_that_the_callers_own_depth_makes_too_deep_is_an_error(tmp_path: Path) -> None:
    def read_below(levels: int) -> str:
        return read_below(levels - 1) if levels else fault(tmp_path, f"a: {'[' * 95}{']' * 95}")

    room = sys.getrecursionlimit() - len(inspect.stack(0))
    assert read_below(room - 200) == "expected a few levels of nesting, found too many"


def test_nesting_that_can_be_read_but_not_copied_is_an_error(tmp_path: Path) -> None:
    assert fault(tmp_path, f"{GOOD}labels: {{x: {'[' * 60}{']' * 60}}}").startswith(
        "5: labels: expected at most 50"
    )


def test_aliases_that_expand_to_a_flood_are_an_error(tmp_path: Path) -> None:
    flood = "found a fault in column {}: aliases that expand to more than 20000 values"
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 30)]
    assert fault(tmp_path, "\n".join(lines)) == f"5: expected valid YAML, {flood.format(5)}"
    merges = ["l0: &l0 {a: 1}"]
    merges += [f"l{n}: &l{n} {{<<: [*l{n - 1}, *l{n - 1}]}}" for n in range(1, 40)]
    assert fault(tmp_path, "\n".join(merges)) == f"13: expected valid YAML, {flood.format(16)}"


def test_a_few_aliases_and_merges_are_fine(tmp_path: Path) -> None:
    manifest = read(
        tmp_path,
        GOOD
        + "build_env: &env {A: a, B: b}\nruntime_env: {<<: *env, B: c}\n"
        + "labels: {x: &x [1], y: *x}\n",
    )
    assert manifest.runtime_env == {"A": "a", "B": "c"}
    assert manifest.labels == {"x": [1], "y": [1]}


def test_a_merged_mapping_does_not_count_as_a_repetition(tmp_path: Path) -> None:
    # Which of several merged mappings wins differs between versions of PyYAML, and is no matter of ours.
    text = "labels: {a: &a {x: 1, y: 2}, b: &b {<<: *a, x: 3}, c: {<<: [*a, *a], y: 4}}"
    labels = read(tmp_path, GOOD + text).labels
    assert (labels["b"], labels["c"]) == ({"x": 3, "y": 2}, {"x": 1, "y": 4})


def test_repeated_keys_are_reported_together_with_everything_else(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        read(
            tmp_path,
            f'{GOOD}replicas: 0\ngit:\n  remote: a\n  "remote": b\nlabels: [{{k: 1, k: 2}}]\nname: y',
        )
    assert str(caught.value).splitlines() == [
        "job.yaml:8: git.remote: expected every key once, found it again after line 7",
        "job.yaml:9: labels[0].k: expected every key once, found it again after line 9",
        "job.yaml:10: name: expected every key once, found it again after line 1",
        "job.yaml:9: labels: expected a mapping, found a list",
        "job.yaml:5: replicas: expected an integer from 1 to 50, found 0",
    ]


def test_a_document_that_is_too_large_is_an_error(tmp_path: Path) -> None:
    expected = "expected at most 262144 bytes, found more"
    assert fault(tmp_path, "#" * (256 * 1024 + 1)) == expected
    assert fault(tmp_path, "#" + "é" * (150 * 1024)) == expected
    with pytest.raises(ManifestError, match=expected):
        find_manifest(None, environ={"JOB_MANIFEST_YAML": "#" * (256 * 1024 + 1)}, cwd=tmp_path)


def test_a_document_of_too_many_values_is_an_error(tmp_path: Path) -> None:
    assert fault(tmp_path, "[" + "a,\n" * 21000) == (
        "20000: expected valid YAML, found a fault in column 1: more than 20000 values"
    )
