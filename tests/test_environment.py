"""The environment of a job: where each variable comes from, and what stands in for a secret file (SPEC 3)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import pyjob
from pyjob.environment import Environment, environment_of
from pyjob.environment.mask import Mask
from pyjob.manifest import find_manifest
from pyjob.testing import JobClient
from tests.conftest import MakeJob

SECRET_FIELD = "secret_runtime_env_file: .env\n"
CODE = """
import os

SEEN = {name: os.environ.get(name) for name in ("A", "B", "C", "D")}

class Job:
    def perform(self) -> dict:
        return SEEN
"""


@pytest.fixture
def environment(make_job: MakeJob) -> Any:
    """The environment of a job with these further lines in its manifest and these files."""

    def environment(
        fields: str = "",
        files: Mapping[str, str] | None = None,
        inherited: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Environment:
        folder = make_job(CODE, fields=fields, files=files)
        manifest = find_manifest(folder, environ={}, cwd=folder)
        return environment_of(manifest, inherited or {}, cwd=folder, **options)

    return environment


def test_what_is_given_wins_over_the_secret_file_that_over_runtime_env_and_that_over_what_was_inherited(
    environment: Any,
) -> None:
    made = environment(
        "runtime_env: {B: manifest, C: manifest, D: manifest}\n" + SECRET_FIELD,
        {".env": "C = file\nD = file\n"},
        {"A": "inherited", "B": "inherited", "C": "inherited", "D": "inherited"},
        given={"D": "given"},
    )
    assert dict(made.variables) == {"B": "manifest", "C": "file", "D": "given"}
    assert dict(made.origins) == {"B": "runtime_env", "C": ".env", "D": "given"}


def test_a_reference_in_the_secret_file_sees_the_environment_after_runtime_env(environment: Any) -> None:
    made = environment(
        "runtime_env: {USER_NAME: manifest}\n" + SECRET_FIELD,
        {".env": "A = ${USER_NAME}-${HOST_NAME}\n"},
        {"USER_NAME": "inherited", "HOST_NAME": "inherited"},
    )
    assert made.variables["A"] == "manifest-inherited"


def test_the_job_sees_all_of_it_when_it_is_imported(
    make_job: MakeJob, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A", "inherited")
    folder = make_job(CODE, fields="runtime_env: {B: manifest}\n" + SECRET_FIELD, files={".env": "C=file\n"})
    client = client_of(folder, env={"D": "given"})
    assert client.perform().get_json() == {"A": "inherited", "B": "manifest", "C": "file", "D": "given"}


def test_nothing_is_set_before_the_job_loads(make_job: MakeJob) -> None:
    folder = make_job(CODE, fields=SECRET_FIELD, files={".env": "PYJOB_TEST_C = file\n"})
    application = pyjob.create(folder)
    assert "PYJOB_TEST_C" not in os.environ
    application.load()
    assert os.environ["PYJOB_TEST_C"] == "file"


def test_a_missing_secret_file_is_an_error_that_names_its_template(environment: Any) -> None:
    with pytest.raises(pyjob.ManifestError) as caught:
        environment(SECRET_FIELD, {".env.dist": "C =\n"})
    (problem,) = caught.value.problems
    assert problem.path == "secret_runtime_env_file"
    assert problem.line == 6
    assert problem.found == "nothing: copy .env.dist to .env and fill it in"


def test_a_missing_secret_file_without_a_template_is_an_error_too(environment: Any) -> None:
    with pytest.raises(pyjob.ManifestError, match=r"expected the file \.env, found nothing$"):
        environment(SECRET_FIELD)


def test_a_missing_build_file_is_no_matter_when_the_job_runs(environment: Any) -> None:
    assert not environment("secret_build_env_file: .env.build\n").variables


@pytest.mark.parametrize("how", ["option", "variable"])
def test_another_file_stands_in_for_the_manifests(environment: Any, tmp_path: Path, how: str) -> None:
    other = tmp_path / "elsewhere.env"
    other.write_text("C = elsewhere-value\n")
    told = {"env_file": other} if how == "option" else {"inherited": {"PYJOB_RUNTIME_ENV_FILE": str(other)}}
    made = environment(SECRET_FIELD, **told)
    assert made.variables["C"] == "elsewhere-value"
    assert made.mask("elsewhere-value") == "***"
    assert made.files == (other,)


def test_another_file_that_is_missing_is_an_error_by_its_name(environment: Any) -> None:
    with pytest.raises(pyjob.ManifestError, match=r"^nowhere\.env: expected an existing file, found nothing"):
        environment("", inherited={"PYJOB_RUNTIME_ENV_FILE": "nowhere.env"})


@pytest.mark.parametrize("variable", [{"PYJOB_SECRETS": "environment"}, {"JOB_DEPLOYMENT_TIMESTAMP": "1"}])
def test_where_the_environment_stands_in_a_missing_file_is_no_error(
    environment: Any, variable: dict[str, str]
) -> None:
    made = environment(
        "runtime_env: {B: manifest, C: manifest}\n" + SECRET_FIELD,
        {".env.dist": "C = fill-me-in\n"},
        {"C": "of-the-platform", **variable},
    )
    # A name that is set is left alone: the platform knows what wins.
    assert dict(made.variables) == {"B": "manifest"}
    assert made.secret == {"C"}
    assert made.mask("it is of-the-platform") == "it is ***"


@pytest.mark.parametrize(
    ("variable", "expected"),
    [({"PYJOB_SECRETS": "environment"}, {}), ({"JOB_DEPLOYMENT_TIMESTAMP": "1"}, {"B": "manifest"})],
)
def test_of_a_job_without_secrets_only_who_says_it_expressly_wins_over_the_manifest(
    environment: Any, variable: dict[str, str], expected: dict[str, str]
) -> None:
    made = environment("runtime_env: {B: manifest}\n", inherited={"B": "of-the-cluster", **variable})
    assert dict(made.variables) == expected


def test_where_the_environment_stands_in_a_file_that_is_there_sets_what_is_not_set(environment: Any) -> None:
    made = environment(
        SECRET_FIELD,
        {".env": "C = of-the-file\nD = of-the-file\n"},
        {"C": "of-the-platform", "PYJOB_SECRETS": "environment"},
    )
    assert dict(made.variables) == {"D": "of-the-file"}
    assert made.mask("of-the-platform of-the-file") == "*** ***"


def test_where_the_environment_stands_in_what_it_lacks_is_told_by_name(environment: Any) -> None:
    template = {".env.dist": "C = fill-me-in\nD = fill-me-in\nE = fill-me-in\nF = fill-me-in\n"}
    inherited = {"C": "of-the-platform", "PYJOB_SECRETS": "environment"}
    made = environment(SECRET_FIELD, {**template, ".env": "D = of-the-file\n"}, inherited)
    assert [*map(str, made.remarks)] == [".env.dist: E, F: asked for here, but not set in the environment"]


def test_a_faulty_template_is_a_warning_where_the_environment_stands_in(environment: Any) -> None:
    made = environment(SECRET_FIELD, {".env.dist": "it's broken\n"}, {"PYJOB_SECRETS": "environment"})
    assert str(made.remarks[0]).startswith(".env.dist:1: expected")


def test_an_unknown_way_to_pass_secrets_is_an_error_that_does_not_repeat_it(environment: Any) -> None:
    with pytest.raises(pyjob.ManifestError, match="PYJOB_SECRETS: expected") as caught:
        environment(SECRET_FIELD, {".env": "C=1\n"}, {"PYJOB_SECRETS": "hunter2hunter2"})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["PUB_URL", "JOB_NAME", "JOB_VERSION"])
def test_reserved_names_are_refused_in_a_secret_file(environment: Any, name: str) -> None:
    with pytest.raises(pyjob.ManifestError, match=rf"\.env:1: {name}: expected"):
        environment(SECRET_FIELD, {".env": f"{name} = planted-value\n"})


def test_short_secrets_are_told_of_once_by_name(environment: Any) -> None:
    made = environment(SECRET_FIELD, {".env": "A = 12345\nB = xyz\nC = long enough\nD =\n"})
    assert [str(remark) for remark in made.remarks] == [
        ".env: A, B: shorter than 6 characters, so not masked in logs and errors"
    ]
    assert made.mask("12345 xyz") == "12345 xyz"


def test_a_value_that_is_given_for_a_secret_name_is_secret_too(environment: Any) -> None:
    made = environment(SECRET_FIELD, {".env": "C = of-the-file\n"}, given={"C": "given-by-hand"})
    assert made.mask("given-by-hand") == "***"


def test_two_jobs_that_want_different_secrets_of_one_name_cannot_share_a_process(make_job: MakeJob) -> None:
    one = make_job(CODE, name="one", fields=SECRET_FIELD, files={".env": "C = first-planted\n"})
    two = make_job(CODE, name="two", fields=SECRET_FIELD, files={".env": "C = other-planted\n"})
    pyjob.create(one, load="now")
    with pytest.raises(pyjob.ConflictError, match="want different values of C") as caught:
        pyjob.create(two, load="now")
    assert "planted" not in str(caught.value)
    assert os.environ["C"] == "first-planted"


@pytest.mark.parametrize(
    "told",
    [
        'a "q/u\\o+te" secret',
        repr(['a "q/u\\o+te" secret']),
        '{"key": "a \\"q/u\\\\o+te\\" secret"}',
        "https://user:a%20%22q%2Fu%5Co%2Bte%22%20secret@host/",
        "a+%22q%2Fu%5Co%2Bte%22+secret",
    ],
)
def test_a_secret_is_masked_in_every_spelling(told: str) -> None:
    masked = Mask(['a "q/u\\o+te" secret'])(told)
    assert "***" in masked
    assert "q" not in masked.replace("***", "")


def test_a_secret_that_begins_like_another_leaves_nothing_of_the_longer_one() -> None:
    assert Mask(["secret-one", "secret-one-and-more"])("secret-one-and-more") == "***"


def test_the_lines_of_a_key_are_masked_one_by_one() -> None:
    mask = Mask(["-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA7bq0\n-----END KEY-----"])
    assert mask("in line 2: MIIEpAIBAAKCAQEA7bq0!") == "in line 2: ***!"


def test_an_empty_mask_is_false_and_changes_nothing() -> None:
    assert not Mask(["", "short"])
    assert Mask()("text") == "text"


def test_what_is_given_is_seen_by_references_and_says_which_file_counts(
    environment: Any, tmp_path: Path
) -> None:
    (tmp_path / "other.env").write_text("C = https://${GIVEN_HOST}/\n")
    given = {"GIVEN_HOST": "host", "PYJOB_RUNTIME_ENV_FILE": str(tmp_path / "other.env")}
    assert environment(SECRET_FIELD, given=given).variables["C"] == "https://host/"


def test_a_test_client_gives_a_job_the_environment_that_pyjob_run_does(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(CODE, fields=SECRET_FIELD, files={".env": "A = ${JOB_NAME} on ${GIVEN_HOST}\n"})
    with JobClient(folder, env={"GIVEN_HOST": "host"}) as job:
        assert job.perform()["A"] == "sample on host"


@pytest.mark.parametrize(
    "told",
    [
        "KeyError(" + repr(repr({"key": 'pa"ss wo(rd)\\x'})) + ")",
        "https://host/?key=pa%22ss%20wo(rd)%5cx",
        "&lt;pa&quot;ss wo(rd)\\x&gt;",
        repr(b'pa"ss wo(rd)\\x'),
        'he said "pa\\\\\\"ss wo(rd)\\\\\\\\x"',
    ],
)
def test_a_secret_is_masked_in_html_and_where_it_is_escaped_twice(told: str) -> None:
    masked = Mask(['pa"ss wo(rd)\\x'])(told)
    assert "***" in masked
    assert "wo(rd)" not in masked


def test_what_is_cut_off_behind_16_characters_is_masked_all_the_same() -> None:
    secret = "a-very-long-secret-of-more-than-sixteen-characters"
    mask = Mask([secret])
    assert mask(f'got "{secret[:30]}..."') == 'got "***..."'
    assert mask(secret[:15]) == secret[:15]
    assert mask(f"{secret}{secret[:20]} and {secret}") == "****** and ***"


def test_blanks_around_a_secret_do_not_matter() -> None:
    assert Mask(["  padded-secret  "])("padded-secret") == "***"


def test_where_no_template_says_what_is_secret_a_warning_says_that_nothing_is_masked(
    environment: Any,
) -> None:
    (remark,) = environment(SECRET_FIELD, inherited={"PYJOB_SECRETS": "environment"}).remarks
    assert "there is no .env.dist" in str(remark)
