"""`pyjob check` from inside: manifest, env files, whatever stands in place of a file, and the report."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from pyjob.check.check import check_job
from pyjob.check.finding import Finding, Severity
from pyjob.check.report import Report
from pyjob.check.rules import RULES
from tests.conftest import MakeJob
from tests.documents import REPO
from tests.test_examples import jobs

ERROR, WARNING, ADVICE = Severity.ERROR, Severity.WARNING, Severity.ADVICE
JOB = '''\
class Job:
    def perform(self, x: int) -> int:
        """
        Return what it is given.
        :param x: Anything.
        :return: The same.
        """
        return x

    def docs_input_example(self) -> dict[str, int]:
        return {"x": 1}
'''
SECRETS = "secret_runtime_env_file: secret.env\n"
KINDS = ["folder", "FIFO", "loop", "unreadable", "bytes", "large"]


def findings_of(folder: Path, environ: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    return check_job(folder, environ=environ or {}, cwd=folder.parent).findings


def about(rule: str, folder: Path, environ: Mapping[str, str] | None = None) -> list[Finding]:
    return [finding for finding in findings_of(folder, environ) if finding.rule == rule]


def put(file: Path, kind: str) -> None:
    """Put something at ``file`` that is no proper file."""
    file.unlink(missing_ok=True)
    match kind:
        case "folder":
            file.mkdir()
        case "FIFO":
            os.mkfifo(file)
        case "loop":
            file.symlink_to(file)
        case "unreadable":
            file.touch(mode=0o000)
            if os.access(file, os.R_OK):
                pytest.skip("root reads everything")
        case "bytes":
            file.write_bytes(b"# \xff\xfe\n")
        case "large":
            file.write_bytes(b"# long\n" * 1_500_000)


def test_a_job_in_order_is_fine(make_job: MakeJob) -> None:
    folder = make_job(JOB)
    report = check_job(folder, environ={}, cwd=folder)
    assert (report.findings, report.name, report.version) == ((), "sample", "0.0.1")
    assert report.folder == folder
    assert {"manifest", "perform", "requirements", "environment"} <= set(report.rules) <= set(RULES)


# Its library is in no index, and its secret file in no repository.
LACKING = "private_requirements"


@pytest.mark.parametrize("folder", jobs())
def test_every_example_is_fine(folder: Path) -> None:
    # Secret files are for each to copy: something else stands in for them here.
    report = check_job(folder, environ={"PYJOB_SECRETS": "environment"}, cwd=REPO)
    expected = ["environment", "imports", "requirements"] if folder.name == LACKING else []
    assert sorted(finding.rule for finding in report.findings if finding.severity is not ADVICE) == expected


def test_every_problem_of_a_manifest_is_an_error_with_its_line(make_job: MakeJob) -> None:
    folder = make_job(JOB, fields="replicas: 0\nowner: me\n")
    errors = [finding for finding in findings_of(folder) if finding.rule == "manifest"]
    assert {(one.severity, one.file, one.line) for one in errors} == {
        (ERROR, "job.yaml", 6),
        (ERROR, "job.yaml", 7),
    }
    assert any(
        one.message.startswith("replicas: expected an integer from 1 to 50, found 0") for one in errors
    )


def test_the_code_of_a_job_with_a_faulty_manifest_is_looked_at_too(make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self, *x): ...\n", fields="replicas: 0\n")
    assert {finding.rule for finding in findings_of(folder)} >= {"manifest", "star-args"}


@pytest.mark.parametrize(
    "text", ["jobtype_extra: [1]\n", "jobtype_extra:\n  entrypoint_path: 5\n", "[]", ": ["]
)
def test_a_manifest_that_names_no_code_is_told_of_alone(make_job: MakeJob, text: str) -> None:
    folder = make_job(JOB)
    (folder / "job.yaml").write_text(text)
    assert {finding.rule for finding in findings_of(folder)} == {"manifest"}


@pytest.mark.parametrize("remote", ["git@example.com:a/b.git", "http://user:pa55word@example.com/a"])
def test_a_remote_that_is_not_https_is_an_error_without_its_password(make_job: MakeJob, remote: str) -> None:
    folder = make_job(JOB)
    text = (folder / "job.yaml").read_text()
    (folder / "job.yaml").write_text(text.replace("https://example.com/team/sample", remote))
    error, *others = about("git-remote", folder)
    assert (error.severity, error.file, error.line) == (ERROR, "job.yaml", 5)
    assert "expected a URL that starts with https://" in error.message
    assert "pa55word" not in str([error, *others])


def test_a_remote_with_a_login_is_an_error_that_does_not_tell_it(make_job: MakeJob) -> None:
    folder = make_job(JOB)
    text = (folder / "job.yaml").read_text()
    (folder / "job.yaml").write_text(text.replace("//example.com", "//me:pa55word@example.com"))
    (error,) = about("git-remote", folder)
    assert (error.severity, error.file, error.line) == (ERROR, "job.yaml", 5)
    assert "expected a URL without a login" in error.message
    assert "pa55word" not in error.message


def test_a_remote_that_is_a_placeholder_still_is_a_piece_of_advice(make_job: MakeJob) -> None:
    folder = make_job(JOB)
    text = (folder / "job.yaml").read_text()
    (folder / "job.yaml").write_text(text.replace("/team/sample", "/you/sample"))
    (advice,) = about("git-remote", folder)
    assert (advice.severity, advice.file, advice.line) == (ADVICE, "job.yaml", 5)
    assert "https://example.com/you/sample" in advice.message
    (folder / "job.yaml").write_text(text)
    assert about("git-remote", folder) == []


def test_deprecated_and_unknown_spellings_are_warnings(make_job: MakeJob) -> None:
    folder = make_job(JOB, fields="python:\n  max_concurrency: 1\n", extra={"max_concurency": 2})
    warnings = about("manifest-spelling", folder)
    assert {one.severity for one in warnings} == {WARNING}
    assert any("python: a deprecated spelling" in one.message for one in warnings)
    assert any("did you mean jobtype_extra.max_concurrency?" in one.message for one in warnings)


def test_a_line_without_a_cap_is_an_error(make_job: MakeJob) -> None:
    (error,) = about("manifest", make_job(JOB, extra={"max_concurrency_queue": 3}))
    assert error.severity is ERROR
    assert "jobtype_extra.max_concurrency_queue" in error.message


def test_a_single_file_is_checked_and_warned_that_it_has_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(JOB)
    report = check_job(tmp_path / "model.py", environ={}, cwd=tmp_path)
    assert [(one.rule, one.severity) for one in report.findings] == [("manifest", WARNING)]
    assert report.name == "model"


def test_a_manifest_in_the_environment_is_told_of_by_its_variable(tmp_path: Path) -> None:
    environ = {"JOB_MANIFEST_YAML": "name: a\nreplicas: 0\n"}
    report = check_job(None, environ=environ, cwd=tmp_path)
    assert {one.file for one in report.findings} == {"JOB_MANIFEST_YAML"}
    assert "\nJOB_MANIFEST_YAML:2  error" in f"\n{report.as_text(tmp_path)}"


def test_another_manifest_is_named_as_seen_from_the_job(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(JOB)
    (tmp_path / "other.yaml").write_text("name: 5\n")
    report = check_job(folder, environ={}, cwd=tmp_path, manifest_file=Path("other.yaml"))
    assert {one.file for one in report.findings} == {"../other.yaml"}
    assert "\nother.yaml:1  error  name:" in report.as_text(tmp_path)


def test_where_no_job_is_the_ways_out_are_named(tmp_path: Path) -> None:
    (error,) = findings_of(tmp_path)
    assert (error.rule, error.severity) == ("manifest", ERROR)
    assert "job.yaml" in error.message
    (error,) = findings_of(tmp_path / "nothing")
    assert "found nothing" in error.message


def test_inside_of_a_job_the_way_to_it_is_named(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(JOB)
    inner = folder / "data" / "raw"
    inner.mkdir(parents=True)
    above, further = (check_job(None, environ={}, cwd=one).findings[0] for one in (inner.parent, inner))
    assert above.remedy == "there is a ../job.yaml: pyjob check .."
    assert further.remedy == ""  # nothing tells that it is the same project
    (folder / ".git").mkdir()
    (found,) = check_job(None, environ={}, cwd=inner).findings
    assert found.remedy == "there is a ../../job.yaml: pyjob check ../.."
    (found,) = check_job(inner, environ={}, cwd=tmp_path).findings
    assert found.remedy == "there is a sample/job.yaml: pyjob check sample"
    (inner.parent / ".git").mkdir()  # another repository's
    assert check_job(None, environ={}, cwd=inner).findings[0].remedy == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["job.yaml", "job.py", "secret.env"])
def test_what_is_no_proper_file_is_one_error_that_names_it(make_job: MakeJob, name: str, kind: str) -> None:
    folder = make_job(JOB, fields=SECRETS, files={"secret.env": "TOKEN=abcdefgh\n"})
    put(folder / name, kind)
    errors = [finding for finding in findings_of(folder) if finding.severity is ERROR]
    assert [error.file for error in errors] == [name]


# Env files.


def env_findings(make_job: MakeJob, files: Mapping[str, str], **environ: str) -> list[Finding]:
    return about("environment", make_job(JOB, fields=SECRETS, files=files), environ)


def test_a_secret_file_in_order_is_fine(make_job: MakeJob) -> None:
    files = {"secret.env": "TOKEN=abcdefgh\nEMPTY=\n", "secret.env.dist": "TOKEN=\n"}
    assert env_findings(make_job, files) == []


def test_a_missing_secret_file_is_a_warning_that_names_its_template(make_job: MakeJob) -> None:
    (warning,) = env_findings(make_job, {"secret.env.dist": "TOKEN=\n"})
    assert (warning.severity, warning.file) == (WARNING, "secret.env")
    assert "copy secret.env.dist" in warning.message


@pytest.mark.parametrize(
    "stand_in",
    [
        {"PYJOB_SECRETS": "environment"},
        {"JOB_DEPLOYMENT_TIMESTAMP": "1"},
    ],
)
def test_a_secret_file_may_be_missing_where_something_stands_in(
    make_job: MakeJob, stand_in: dict[str, str]
) -> None:
    assert env_findings(make_job, {}, **stand_in) == []


def test_a_setting_of_secrets_that_is_none_is_an_error(make_job: MakeJob) -> None:
    (error,) = env_findings(make_job, {}, PYJOB_SECRETS="somewhere")
    assert (error.severity, error.file) == (ERROR, "environment")


@pytest.mark.parametrize(
    "text",
    ["A = 1\n\nTOKEN = 'pa55word\n", "\n\nTOKEN pa55word\n", "\n\nJOB_NAME=pa55word\n", "\n\nX=${PW}\n"],
)
def test_a_fault_in_a_secret_file_is_an_error_with_its_line_and_no_value(
    make_job: MakeJob, text: str
) -> None:
    (error,) = env_findings(make_job, {"secret.env": text})
    assert (error.severity, error.file, error.line) == (ERROR, "secret.env", 3)
    assert "pa55word" not in str(error)


def test_a_fault_in_a_template_is_a_warning(make_job: MakeJob) -> None:
    (warning,) = env_findings(make_job, {"secret.env": "TOKEN=abcdefgh\n", "secret.env.dist": "TOKEN\n"})
    assert (warning.severity, warning.file, warning.line) == (WARNING, "secret.env.dist", 1)


def test_a_name_that_only_the_template_has_is_a_warning(make_job: MakeJob) -> None:
    (warning,) = env_findings(make_job, {"secret.env": "A=abcdefgh\n", "secret.env.dist": "A=\nB=\nC=\n"})
    assert (warning.severity, warning.message) == (WARNING, "B, C: in secret.env.dist, but not here")


def test_a_value_that_is_empty_still_is_a_warning_where_the_template_asks_for_it(make_job: MakeJob) -> None:
    template = {"secret.env.dist": "A=\nB=\nC=\n"}
    (warning,) = env_findings(make_job, {"secret.env": "A=abcdefgh\nB=\nC=''\nD=\n", **template})
    assert (warning.severity, warning.file, warning.line) == (WARNING, "secret.env", 2)
    assert warning.message == "B, C are empty, and secret.env.dist asks for them"
    (warning,) = env_findings(make_job, {"secret.env": "A=abcdefgh\nB=\nC=abcdefgh\n", **template})
    assert warning.message == "B is empty, and secret.env.dist asks for it"
    assert env_findings(make_job, {"secret.env": "A=abcdefgh\nB=bcdefghi\nC=cdefghij\n", **template}) == []


@pytest.mark.parametrize("is_faulty", [False, True])
@pytest.mark.parametrize("stands_in", [False, True])
def test_no_finding_has_a_value_of_a_secret_file(make_job: MakeJob, is_faulty: bool, stands_in: bool) -> None:
    code = (
        "import pa55word_module\nclass Job:\n    def perform(self, x: int): 'Do it.'\n"
        "    def docs_input_examples(self): return {'/perform': {'x': 'pa55word'}, '/b': {}}\n"
        "    def auxiliary_endpoints(self): return {'/a bu1ldtoken': self.perform}\n"
    )
    fields = f"{SECRETS}secret_build_env_file: build.env\n" + "replicas: 0\n" * is_faulty
    files = {"build.env": "TOKEN=bu1ldtoken\n", "needs.txt": "pa55word==1\n"}
    environ = {"PYJOB_SECRETS": "environment", "TOKEN": "pa55word"} if stands_in else {}
    files["secret.env.dist" if stands_in else "secret.env"] = "TOKEN=\n" if stands_in else "TOKEN=pa55word\n"
    folder = make_job(code, fields=fields, files=files, extra={"requirements_path": "needs.txt"})
    found = findings_of(folder, environ)
    assert {"imports", "broken-sample", "endpoints"} <= {one.rule for one in found}
    assert "***" in str(found)
    assert "pa55word" not in str(found)
    assert "bu1ldtoken" not in str(found)


def test_short_values_are_one_warning_that_they_are_not_masked(make_job: MakeJob) -> None:
    (warning,) = env_findings(make_job, {"secret.env": "A=12345\nB=123456\nC=1\n"})
    assert warning.severity is WARNING
    assert warning.message.startswith("A, C: ")
    assert "12345" not in warning.message


def test_references_are_looked_up_in_the_variables_of_the_manifest(make_job: MakeJob) -> None:
    fields = (
        f"{SECRETS}secret_build_env_file: build.env\nruntime_env:\n  HOST: example\nbuild_env:\n  USER_: me\n"
    )
    files = {"secret.env": "URL=http://${HOST}/\n", "build.env": "URL=http://${USER_}@x/\n"}
    assert about("environment", make_job(JOB, fields=fields, files=files)) == []


# The report.


def report_of(*findings: Finding, name: str = "sample") -> Report:
    return Report(Path("/jobs/sample"), name, "1.0.0" if name else "", findings, ("manifest", "perform"))


def test_a_report_names_places_rules_and_remedies_file_by_file() -> None:
    report = report_of(
        Finding("manifest", ERROR, "wrong", "mend it", "job.yaml", 3),
        Finding("docstring", ADVICE, "none", file="job.py", line=9),
        Finding("manifest-spelling", WARNING, "odd", file="job.yaml", line=1),
        Finding("star-args", ERROR, "no", file="job.py", line=2),
        Finding("entry-class", ERROR, "two", file="job.py"),
    )
    assert report.as_text(Path("/jobs")) == (
        "sample/job.yaml:1  warning  odd  (manifest-spelling)\n"
        "sample/job.yaml:3  error  wrong  (manifest)\n"
        "    mend it\n"
        "\n"
        "sample/job.py  error  two  (entry-class)\n"
        "sample/job.py:2  error  no  (star-args)\n"
        "sample/job.py:9  advice  none  (docstring)\n"
        "\n"
        "3 errors, 1 warning, 1 piece of advice\n"
    )
    assert report.as_text(Path("/jobs/sample")).startswith("job.yaml:1  ")
    assert report.as_text(Path("/elsewhere")).startswith("/jobs/sample/job.yaml:1  ")


def test_a_report_without_errors_and_warnings_says_fine() -> None:
    assert report_of().as_text(Path("/")) == "fine: sample 1.0.0, 2 checks\n"
    text = report_of(Finding("docstring", ADVICE, "none", file="a.py")).as_text(Path("/jobs/sample"))
    assert text.endswith("\n\nfine: sample 1.0.0, 2 checks, 1 piece of advice\n")


@pytest.mark.parametrize(
    ("severity", "fine", "strictly"),
    [(ERROR, False, False), (WARNING, True, False), (ADVICE, True, True)],
)
def test_errors_fail_and_warnings_fail_if_strict(severity: Severity, fine: bool, strictly: bool) -> None:
    report = report_of(Finding("manifest", severity, "so"))
    assert (report.is_fine(), report.is_fine(strict=True)) == (fine, strictly)
    assert json.loads(report.as_json())["ok"] is fine
    assert json.loads(report.as_json(strict=True))["ok"] is strictly


def test_a_report_as_json_has_everything() -> None:
    report = report_of(Finding("manifest", WARNING, "so", "do", "job.yaml", 3))
    assert json.loads(report.as_json()) == {
        "job": {"name": "sample", "version": "1.0.0", "folder": "/jobs/sample"},
        "findings": [
            {
                "rule": "manifest",
                "severity": "warning",
                "file": "job.yaml",
                "line": 3,
                "message": "so",
                "remedy": "do",
            }
        ],
        "errors": 0,
        "warnings": 1,
        "advice": 0,
        "ok": True,
    }


def test_colours_are_there_where_they_are_asked_for_and_cannot_be_forged() -> None:
    report = report_of(Finding("manifest", ERROR, "a\x1b[2Jb\nc", "d\re", "f\x1b.py", 1))
    assert "\x1b[31;1merror\x1b[0m" in report.as_text(Path("/"), coloured=True)
    plain = report.as_text(Path("/"))
    assert "\x1b" not in plain
    assert "\r" not in plain
    assert plain.count("\n") == 4


def test_every_rule_has_its_section_in_the_documents() -> None:
    text = (REPO / "docs" / "rules.md").read_text(encoding="utf-8")
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(RULES)


def test_a_reference_to_the_jobs_name_is_as_right_as_when_it_runs(make_job: MakeJob) -> None:
    assert not env_findings(make_job, {"secret.env": "TOKEN = token-of-${JOB_NAME}\n"})


def test_a_file_that_stands_in_is_read_too(make_job: MakeJob, tmp_path: Path) -> None:
    (tmp_path / "other.env").write_text("TOKEN = it's planted\n")
    (error,) = env_findings(make_job, {}, PYJOB_RUNTIME_ENV_FILE=str(tmp_path / "other.env"))
    assert (error.severity, error.line) == (Severity.ERROR, 1)
    (error,) = env_findings(make_job, {}, PYJOB_RUNTIME_ENV_FILE=str(tmp_path / "none.env"))
    assert "found nothing" in error.message
    (tmp_path / "other.env").write_text("TOKEN = planted-value\n")
    assert not env_findings(make_job, {}, PYJOB_RUNTIME_ENV_FILE=str(tmp_path / "other.env"))
