"""What a manifest's fields may hold, and what its author is told when they hold something else (SPEC 2)."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict
from pathlib import Path

import pytest

from pyjob.errors import ManifestError
from pyjob.manifest import (
    Git,
    JobtypeExtra,
    Manifest,
    Resources,
    find_manifest,
    remarks_on,
    with_identity,
)

GOOD = """
name: supersmart
owner_email: nobody@example.com
jobtype: python3:latest
git: {remote: https://git.example.com/supersmart}
jobtype_extra:
  entrypoint_path: entry.py
"""

Read = Callable[[str], Manifest]
Faults = Callable[[str], list[str]]


@pytest.fixture(name="read")
def fixture_read(tmp_path: Path) -> Read:
    """Read a text as the ``job.yaml`` of a folder."""

    def read(text: str) -> Manifest:
        (tmp_path / "job.yaml").write_text(text, encoding="utf-8")
        return find_manifest(tmp_path, environ={}, cwd=tmp_path)

    return read


@pytest.fixture(name="faults")
def fixture_faults(read: Read) -> Faults:
    """Return the lines of the error that a text gives."""

    def faults(text: str) -> list[str]:
        with pytest.raises(ManifestError) as caught:
            read(text)
        return str(caught.value).splitlines()

    return faults


def test_a_manifest_with_the_required_fields_has_the_defaults_of_the_others(
    read: Read, tmp_path: Path
) -> None:
    manifest = read(GOOD)
    assert (manifest.name, manifest.owner_email, manifest.jobtype) == (
        "supersmart",
        "nobody@example.com",
        "python3:latest",
    )
    assert manifest.version == "0.0.1"
    assert manifest.git == Git("https://git.example.com/supersmart", "", ".")
    assert manifest.jobtype_extra.entrypoint_path == "entry.py"
    assert manifest.jobtype_extra.max_concurrency is None
    assert manifest.jobtype_extra.max_body_size == 100 * 1024 * 1024
    assert manifest.jobtype_extra.check_types is True
    assert manifest.jobtype_extra.home_page == "/docs"
    assert manifest.resources == Resources("", "", "", "")
    assert (manifest.replicas, manifest.labels, manifest.public_endpoints) == (1, {}, ())
    assert (manifest.folder, manifest.source) == (tmp_path.resolve(), "job.yaml")
    assert (manifest.warnings, manifest.check_errors) == ((), ())
    assert list(remarks_on(manifest)) == []
    assert manifest.files == (tmp_path / "job.yaml",)


def test_every_field_of_the_table_is_read_and_typed(read: Read, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("{}")
    manifest = read("""
name: full
owner_email: a@b
jobtype: python3:2.4.0
git: {remote: https://h/r, branch: main, directory: jobs/full}
version: 1.2.3-alpha.1+build.5
extends: base.yaml
jobtype_extra:
  entrypoint_path: src/entry.py
  entrypoint_class: Entry
  requirements_path: ../requirements.txt
  max_concurrency: "2"
  max_concurrency_queue: 0
  queue_timeout: 1.5
  max_body_size: 1Ki
  check_types: false
  stuck_after: 60
  cancel_on_disconnect: false
  home_page: /api/v1/webview
  python_version: "3.12"
  debian_version: bookworm
  check_requirements: true
  cors_origins: [https://example.com, "*"]
build_env: {DEBIAN_FRONTEND: noninteractive}
runtime_env: {DEBUG: "true", EMPTY: ""}
secret_build_env_file: .env.build
secret_runtime_env_file: secrets/.env
public_endpoints: [/api/v1/perform]
labels: {team: a, list: [1, {x: null}]}
replicas: 3
resources: {memory_min: 256Mi, memory_max: 1Gi, cpu_min: 10m, cpu_max: 0.5}
system_dependencies: [libgomp1, "g++"]
image_type: docker
infrastructure_target: kubernetes
docker: {dockerfile_path: Dockerfile}
golang: [x]
""")
    assert manifest.version == "1.2.3-alpha.1+build.5"
    assert manifest.jobtype_extra == JobtypeExtra(
        "src/entry.py", "Entry", "../requirements.txt", 2, 0, 1.5, 1024, False, 60.0, False,
        "/api/v1/webview", "3.12", "bookworm", True, ("https://example.com", "*"),
    )  # fmt: skip
    assert manifest.runtime_env == {"DEBUG": "true", "EMPTY": ""}
    assert manifest.labels == {"team": "a", "list": [1, {"x": None}]}
    assert manifest.resources == Resources("256Mi", "1Gi", "10m", "0.5")
    assert manifest.system_dependencies == ("libgomp1", "g++")
    assert (manifest.docker, manifest.golang) == ({"dockerfile_path": "Dockerfile"}, ["x"])
    assert manifest.secret_runtime_env_file == "secrets/.env"
    assert manifest.extends == "base.yaml"


def test_a_manifest_is_frozen_and_can_be_pickled_and_taken_apart(read: Read) -> None:
    manifest = read(GOOD)
    with pytest.raises(FrozenInstanceError):
        manifest.name = "other"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(manifest)) == manifest
    assert asdict(manifest)["git"]["directory"] == "."
    assert manifest.labels is not read(GOOD).labels


def test_all_problems_come_in_one_error_with_path_expectation_and_finding(faults: Faults) -> None:
    assert faults("""
name: no
jobtype: python3:latest
version: 1.10
jobtype_extra: {entrypoint_path: /etc/passwd, max_concurrency: x, check_types: "yes"}
replicas: 51
runtime_env: {A: 1}
public_endpoints: [/ok, /, 3]
""") == [
        'job.yaml:2: name: expected at most 63 letters, digits, "-", "_" and ".", a letter or digit at both '
        'ends (house-price), found the boolean false (so YAML reads yes, no, on and off): quote it: "no"',
        "job.yaml:4: version: expected a semantic version, such as 1.2.3, found the number 1.1: quote it: "
        '"1.10"',
        "job.yaml:5: jobtype_extra.entrypoint_path: expected the path of a file inside the job's folder, "
        'relative to it, found "/etc/passwd"',
        'job.yaml:5: jobtype_extra.max_concurrency: expected an integer >= 0, found "x"',
        'job.yaml:5: jobtype_extra.check_types: expected true or false, found "yes"',
        'job.yaml:7: runtime_env.A: expected a string, found the number 1: quote it: "1"',
        'job.yaml:8: public_endpoints[1]: expected a path that starts with "/" and names an endpoint, '
        'without "//", ".", ".." and backslashes, found "/"',
        'job.yaml:8: public_endpoints[2]: expected a path that starts with "/" and names an endpoint, '
        'without "//", ".", ".." and backslashes, found the number 3: quote it: "3"',
        "job.yaml:6: replicas: expected an integer from 1 to 50, found 51",
        "job.yaml: owner_email: expected an e-mail address, found nothing",
    ]


def test_a_manifest_with_twelve_different_faults_reports_all_twelve(faults: Faults) -> None:
    assert faults("""\
name: House Price
owner_email: somebody
jobtype: python3
git: https://example.com/house
version: 1.10
replica: 2
jobtype_extra:
  entrypoint_path: ../job.py
  max_concurrency: many
  check_types: "yes"
  queue_timeout: 0
runtime_env:
  JOB_NAME: x
  DEBUG: on
version: "1.2.3"
""") == [
        "job.yaml:15: version: expected every key once, found it again after line 5",
        'job.yaml:4: git: expected a mapping, found "https://example.com/house"',
        "job.yaml:6: replica: expected a known field, found an unknown one: did you mean replicas?",
        'job.yaml:1: name: expected at most 63 letters, digits, "-", "_" and ".", a letter or digit at both '
        'ends (house-price), found "House Price"',
        'job.yaml:2: owner_email: expected an e-mail address, found "somebody"',
        'job.yaml:3: jobtype: expected a job type and its version, such as python3:latest, found "python3"',
        "job.yaml:8: jobtype_extra.entrypoint_path: expected the path of a file inside the job's folder, "
        'relative to it, found "../job.py"',
        'job.yaml:9: jobtype_extra.max_concurrency: expected an integer >= 0, found "many"',
        "job.yaml:11: jobtype_extra.queue_timeout: expected a number of seconds > 0, found 0",
        'job.yaml:10: jobtype_extra.check_types: expected true or false, found "yes"',
        'job.yaml:13: runtime_env.JOB_NAME: expected a name that is not reserved, found "JOB_NAME"',
        "job.yaml:14: runtime_env.DEBUG: expected a string, found the boolean true (so YAML reads yes, no, "
        'on and off): quote it: "on"',
    ]


@pytest.mark.parametrize("field", ["name", "owner_email", "jobtype", "entrypoint_path"])
def test_a_missing_required_field_is_an_error_that_names_it(faults: Faults, field: str) -> None:
    (line,) = faults("\n".join(line for line in GOOD.splitlines() if f"{field}:" not in line))
    assert f"{field}: expected " in line
    assert line.endswith("found nothing")


def test_a_section_that_is_no_mapping_is_one_error(faults: Faults) -> None:
    assert faults(GOOD.replace("  entrypoint_path: entry.py", "  - entry.py")) == [
        "job.yaml:6: jobtype_extra: expected a mapping, found a list"
    ]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("max_concurrency: 1", "max_concurrency: expected a known field, found an unknown one: did you mean "
         "jobtype_extra.max_concurrency?"),
        ("jobtyp: x", "jobtyp: expected a known field, found an unknown one: did you mean jobtype?"),
        ("public-endpoint: x", "public-endpoint: expected a known field, found an unknown one: did you mean "
         "public_endpoints?"),
        ("git.remote: x", "found an unknown one: did you mean remote below git?"),
        ("resources: {memory: 1}", "resources.memory: expected a known field, found an unknown one: did you "
         "mean resources.memory_min?"),
        ("zzz: 1", "zzz: expected a known field, found an unknown one"),
        ("3: 1", "3: expected a known field, found an unknown one"),
        ('"a\\nb": 1', r'"a\nb": expected a known field, found an unknown one'),
    ],
)  # fmt: skip
def test_an_unknown_field_is_an_error_that_knows_what_was_meant(faults: Faults, text: str, end: str) -> None:
    (line,) = faults(GOOD + text)
    assert line.endswith(end)


def test_an_unknown_field_of_the_job_type_is_a_warning_that_knows_what_was_meant(read: Read) -> None:
    assert [str(line) for line in read(GOOD + "  max_concurency: 1\n  gomod: x").warnings] == [
        "job.yaml:8: jobtype_extra.max_concurency: an unknown field, ignored: did you mean "
        "jobtype_extra.max_concurrency?",
        "job.yaml:9: jobtype_extra.gomod: an unknown field, ignored",
    ]


def test_a_name_that_is_no_dns_label_is_a_warning(read: Read) -> None:
    (warning,) = read(GOOD.replace("supersmart", "Super_smart", 1)).warnings
    assert str(warning).startswith('job.yaml:2: name: "Super_smart" is no DNS label')


def test_deprecated_spellings_work_with_a_warning(read: Read) -> None:
    manifest = read("""
name: old
owner_email: a@b
lang: python3:latest
git: {remote: https://h/r}
wrapper_properties: {max_concurrency: 3, home_page: /x}
python: {entrypoint_path: old.py, home_page: /y}
jobtype_extra: {home_page: /z}
""")
    assert manifest.jobtype == "python3:latest"
    assert manifest.jobtype_extra.entrypoint_path == "old.py"
    assert (manifest.jobtype_extra.max_concurrency, manifest.jobtype_extra.home_page) == (3, "/z")
    assert [str(line) for line in manifest.warnings] == [
        "job.yaml:4: lang: a deprecated spelling, write jobtype",
        "job.yaml:7: python: a deprecated spelling, write jobtype_extra",
        "job.yaml:7: python.home_page: ignored, since jobtype_extra.home_page is set",
        "job.yaml:6: wrapper_properties: a deprecated spelling, write jobtype_extra",
        "job.yaml:6: wrapper_properties.home_page: ignored, since jobtype_extra.home_page is set",
    ]


@pytest.mark.parametrize(
    ("git", "found"),
    [
        ("{}", "nothing"),
        ("{remote: 'git@h:r'}", '"git@h:r"'),
        ("{remote: 'http://me:hunter2@h/r'}", '"http://h/r"'),
    ],
)
def test_a_remote_that_is_not_https_is_kept_for_the_check(read: Read, git: str, found: str) -> None:
    manifest = read(GOOD.replace("{remote: https://git.example.com/supersmart}", git))
    assert [str(problem) for problem in manifest.check_errors] == [
        f"git.remote: expected a URL that starts with https://, found {found}"
    ]
    assert manifest.warnings == ()


@pytest.mark.parametrize("cap", ["", "  max_concurrency: 0\n"])
def test_a_queue_without_a_cap_is_kept_for_the_check(read: Read, cap: str) -> None:
    (problem,) = read(f"{GOOD}{cap}  max_concurrency_queue: 5").check_errors
    assert str(problem) == (
        "jobtype_extra.max_concurrency_queue: expected jobtype_extra.max_concurrency beside it, "
        "found 5 without it"
    )
    assert read(f"{GOOD}  max_concurrency: 1\n  max_concurrency_queue: 5").check_errors == ()


def test_the_environment_overrides_name_and_version(read: Read) -> None:
    manifest = read(GOOD)
    other = with_identity(manifest, {"JOB_NAME": "other", "JOB_VERSION": "latest"})
    assert (other.name, other.version, other.folder) == ("other", "latest", manifest.folder)
    assert with_identity(manifest, {"JOB_NAME": "", "OTHER": "x"}) == manifest


def test_a_name_from_the_environment_that_no_url_can_hold_is_an_error(read: Read) -> None:
    with pytest.raises(ManifestError, match=r'environment: JOB_VERSION: expected .* found "\.\./x"'):
        with_identity(read(GOOD), {"JOB_NAME": "a", "JOB_VERSION": "../x"})
