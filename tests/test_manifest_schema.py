"""The JSON Schema of job.yaml takes and refuses what the reader does, and `pyjob schema` prints it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hypothesis")
pytest.importorskip("jsonschema")

import jsonschema
from hypothesis import HealthCheck, given, settings

from pyjob.cli import main
from pyjob.errors import ManifestError, Problem
from pyjob.manifest import find_manifest, manifest_of
from pyjob.manifest.document import parse
from pyjob.manifest.fields import RESERVED_NAMES, VARIABLE
from pyjob.manifest.json_schema import DESCRIPTIONS, manifest_schema
from pyjob.manifest.table import DEPRECATED, ROWS, SECTIONS, Row
from tests.manifests import BASE, GOOD, NUMBERS, WORDS, mutated_manifests

SHORT = "name: x\nowner_email: a@b\njobtype: python3:latest\njobtype_extra: {entrypoint_path: job.py}\n"
INNER = "the path of a file inside the job's folder"


def begins(*expected: str) -> Callable[[Problem], bool]:
    return lambda problem: problem.expected.startswith(expected)


# What the reader finds and a schema cannot: why, which problems, and an example that shows both.
BEYOND_A_SCHEMA: dict[str, tuple[Callable[[Problem], bool], str]] = {
    "two fields are compared": (
        begins("at most resources."),
        "resources: {cpu_min: 2, cpu_max: 1}",
    ),
    "a schema sees the data, in which a repeated key is there once": (
        begins("every key once"),
        "replicas: 1\nreplicas: 2",
    ),
    "what is printable is known to Unicode, and no pattern has it": (
        begins("text of one line without control characters"),
        'git: {branch: "a\\u200e"}',
    ),
    "names are strings in JSON, whatever YAML makes of them": (
        lambda problem: problem.expected.endswith(("as name", "no digit first")) and problem.found[0] != '"',
        "labels: {1: x}",
    ),
    "a string of digits has no size": (
        begins("an integer <="),
        'python: {max_concurrency: "99999999999"}',
    ),
    "a string with a unit has no size": (
        begins("a number of bytes from 1"),
        "python: {max_body_size: 100m}",
    ),
    "where `..` leads to is counted, and no pattern counts": (
        lambda problem: problem.expected.startswith(INNER) and "." in problem.found,
        "secret_runtime_env_file: a/../../x",
    ),
    "levels of nesting are counted": (
        begins("at most 50 levels"),
        f"docker: {'[' * 60}{']' * 60}",
    ),
    "the base manifest is another file": (
        lambda problem: problem.path == "extends" and not problem.expected.startswith("the relative path"),
        "extends: none.yaml",
    ),
    "what the base has and null removes is not in this file": (
        lambda problem: problem.found == "nothing" and problem.expected != "an existing file",
        "extends: base.yaml\nowner_email: null",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a job, with a base manifest."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "base.yaml").write_text(BASE)
    (folder / "job.py").touch()
    return folder


def schema_for_python() -> Any:
    """The schema; Python's `$` would also match before a line break at the end, as no other's does."""
    return json.loads(json.dumps(manifest_schema()).replace(')$"', ')\\\\Z"'))


def validator() -> Any:
    """A validator by JSON's types: integers have no fraction, NaN and infinities are no numbers."""
    types = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, one: isinstance(one, int) and not isinstance(one, bool),
            "number": lambda _, one: (
                isinstance(one, (int, float)) and not isinstance(one, bool) and abs(one) < float("inf")
            ),
        }
    )
    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=types)
    return kind(schema_for_python())


VALIDATOR = validator()


def as_json(value: object) -> object:
    """The value with strings as keys."""
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def problems_of(text: str, folder: Path) -> tuple[tuple[Problem, ...], list[str]]:
    """What the reader says: problems, or else warnings."""
    (folder / "job.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        manifest = find_manifest(folder, environ={}, cwd=folder)
    except ManifestError as error:
        assert error.problems
        return error.problems, []
    return (), [str(remark) for remark in manifest.warnings]


def faults_by_schema(text: str) -> list[str] | None:
    """What the schema says; None where the text is no mapping, so that there is no data to be judged."""
    try:
        data = parse(text.removeprefix("\ufeff"), "job.yaml").values
    except ManifestError:
        return None
    return [one.message for one in VALIDATOR.iter_errors(as_json(dict(data)))]


def check_agreement(text: str, folder: Path) -> None:
    problems, warnings = problems_of(text, folder)
    faults = faults_by_schema(text)
    if faults is None:
        assert problems
    elif any(not any(covers(one) for covers, _ in BEYOND_A_SCHEMA.values()) for one in problems):
        assert faults, problems
    elif not problems and not is_beyond_the_reader(text, warnings):
        assert not faults, text


def is_beyond_the_reader(text: str, warnings: list[str]) -> bool:
    """Whether there is something that the reader does not look at, and the schema does."""
    # What is there under its modern name is not read under its deprecated one.
    is_ignored = any(": ignored, since " in line for line in warnings)
    # Null removes a variable of the base, or does nothing, under any name.
    values = parse(text, "job.yaml").values
    variables = [values.get(name) for name in ("build_env", "runtime_env")]
    removed = {str(key) for one in variables if isinstance(one, dict) for key in one if one[key] is None}
    odd = any(name in RESERVED_NAMES or not VARIABLE.fullmatch(name) for name in removed)
    return is_ignored or ("extends" in values and odd)


MANY = settings(max_examples=500, database=None, suppress_health_check=list(HealthCheck))


@MANY
@given(mutated_manifests())
def test_reader_and_schema_agree_on_mutated_manifests(folder: Path, text: str) -> None:
    check_agreement(text, folder)


@pytest.mark.slow
@settings(MANY, max_examples=10_000)
@given(mutated_manifests())
def test_reader_and_schema_agree_on_very_many_mutated_manifests(folder: Path, text: str) -> None:
    check_agreement(text, folder)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_both_take_and_refuse_the_same_odd_values_of_every_field(row: Row) -> None:
    scalars: list[object] = [None, True, False, date(2024, 1, 31), b"x", *NUMBERS, *WORDS]
    values = [*scalars, *([one] for one in scalars), *({"A": one} for one in scalars), [], {}]
    values += [{one: "x"} for one in [*WORDS, *RESERVED_NAMES]]
    for value in values:
        document = {row.section: {row.key: value}} if row.section else {row.key: value}
        try:
            manifest_of(document, name="x", folder=Path())
        except ManifestError as error:
            beyond = all(any(covers(one) for covers, _ in BEYOND_A_SCHEMA.values()) for one in error.problems)
            assert beyond or not is_taken_by_schema(row, value), value
        else:
            assert is_taken_by_schema(row, value), value


def is_taken_by_schema(row: Row, value: object) -> bool:
    """By the schema of the field; of variables, by that for manifests without a base."""
    schema = VALIDATOR.schema
    field = schema["$defs"][row.section]["properties"][row.key] if row.section else schema["$defs"][row.key]
    rest = {} if row.section else schema["else"]["properties"].get(row.key, {})
    return bool(VALIDATOR.evolve(schema={"allOf": [field, rest]}).is_valid(value))


@pytest.mark.parametrize("document", GOOD, ids=lambda document: document["name"])
def test_both_take_the_good_manifests_that_mutations_start_from(
    document: dict[str, object], folder: Path
) -> None:
    text = json.dumps(document)
    assert problems_of(text, folder)[0] == ()
    assert faults_by_schema(text) == []


@pytest.mark.parametrize("reason", BEYOND_A_SCHEMA)
def test_what_is_beyond_a_schema_is_refused_by_the_reader_alone(reason: str, folder: Path) -> None:
    covers, fault = BEYOND_A_SCHEMA[reason]
    repeated = [line for line in SHORT.splitlines() if line.partition(":")[0] not in fault]
    text = "\n".join([*(repeated if "extends" in fault else [SHORT]), fault])
    problems, _ = problems_of(text, folder)
    assert [covers(one) for one in problems] == [True]
    assert faults_by_schema(text) == []


def test_a_variable_that_is_no_name_and_is_taken_from_the_base_is_refused_by_the_schema_alone(
    folder: Path,
) -> None:
    text = "extends: base.yaml\nruntime_env: {1A: null}"
    assert problems_of(text, folder)[0] == ()
    assert faults_by_schema(text)


def test_an_ignored_deprecated_spelling_is_refused_by_the_schema_alone(folder: Path) -> None:
    text = f"{SHORT}lang: 5"
    problems, warnings = problems_of(text, folder)
    assert problems == ()
    assert warnings[-1] == "job.yaml:5: lang: ignored, since jobtype is set"
    assert faults_by_schema(text)


@pytest.mark.parametrize(
    "text",
    [
        SHORT.replace("name: x\n", ""),
        SHORT.replace("name: x", "name: null"),
        SHORT.replace("job.py", '""'),
        SHORT + "nam: x",
        SHORT + "git: {depth: 1}",
        SHORT + "runtime_env: {A: null}",
        SHORT + "runtime_env: {JOB_NAME: x}",
        SHORT + "replicas: 1.0",
        SHORT + "replicas: '1'",
        SHORT + "version: 1.10",
        SHORT + 'build_env: {"A\\n": x}',
        SHORT + "public_endpoints: [/a/../b]",
        SHORT + "resources: {cpu_min: .inf}",
        "name: no\nextends: base.yaml",
    ],
)
def test_both_refuse(text: str, folder: Path) -> None:
    assert problems_of(text, folder)[0]
    assert faults_by_schema(text)


@pytest.mark.parametrize(
    "text",
    [
        SHORT + "git:\nreplicas:\nsecret_runtime_env_file: ''\nresources: {cpu_max: ''}",
        SHORT.replace("jobtype:", "lang:").replace("jobtype_extra:", "wrapper_properties:"),
        SHORT + "lang: python3:latest",
        SHORT.replace("job.py", "job.py, anything: [1]"),
        "extends: base.yaml",
        "extends: base.yaml\nruntime_env: {MODE: null, A: b}\nlabels: null",
        SHORT + "resources: {cpu_min: 0.0000001, cpu_max: -0.0}\n".replace("-0.0", "1"),
    ],
)
def test_both_take(text: str, folder: Path) -> None:
    assert problems_of(text, folder)[0] == ()
    assert faults_by_schema(text) == []


def test_the_schema_is_a_valid_one_and_plain_json() -> None:
    schema = manifest_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "$id" not in schema


def test_the_schema_has_every_row_with_description_and_default() -> None:
    schema: Any = manifest_schema()
    definitions = schema["$defs"]
    assert {*DESCRIPTIONS} == {row.path for row in ROWS} | {*SECTIONS}
    assert {*schema["properties"]} == {row.key for row in ROWS if not row.section} | {*SECTIONS, *DEPRECATED}
    for row in ROWS:
        field = definitions[row.section]["properties"][row.key] if row.section else definitions[row.key]
        assert field["description"] == DESCRIPTIONS[row.path]
        if row.required:
            assert "default" not in field
        else:
            assert field["default"] == json.loads(json.dumps(row.default)), row.path
            assert jsonschema.Draft202012Validator(field).is_valid(field["default"]), row.path
    for old in DEPRECATED:
        assert schema["properties"][old]["deprecated"] is True


def test_the_document_on_manifests_describes_fields_as_the_schema_does() -> None:
    text = (Path(__file__).parents[1] / "docs/manifest.md").read_text(encoding="utf-8")
    rules = dict(re.findall(r"^\| `([a-z_.]+)` \| [^|]+ \| (.*) \| \w+ \|$", text, re.MULTILINE))
    for row in ROWS:
        assert rules[row.path].replace("`", "").startswith(DESCRIPTIONS[row.path]), row.path


def test_pyjob_schema_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == manifest_schema()
    assert re.match(r'{\n  "\$schema"', printed)


def test_pyjob_schema_says_how_an_editor_takes_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["schema", "--help"])
    assert "# yaml-language-server: $schema=./job.schema.json" in capsys.readouterr().out
