"""The rules about git: in repositories of every shape, none of which may make git run anything."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from pyjob.check.check import check_job
from pyjob.check.finding import Finding, Severity
from pyjob.git import command as git_module
from pyjob.git.command import GitError
from pyjob.git.work_tree import WorkTree
from tests.conftest import MakeJob
from tests.repositories import UNCONFIGURED, committed, git, needs_git, repository

pytestmark = needs_git

JOB = """\
class Job:
    def perform(self, x: int) -> int:
        return x
"""
SECRETS = "secret_runtime_env_file: secret.env\n"
# Settings that make git run something, in one command or another.
PROGRAMS = (
    *("core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.gitProxy"),
    *("filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv"),
    *("diff.external", "credential.helper", "alias.ls-files", "alias.check-ignore"),
    *("pager.ls-files", "pager.check-ignore", "pager.config", "pager.rev-parse"),
)
OF_GIT = ("files-in-git", "secrets-in-git", "git-directory")


@pytest.fixture(autouse=True)
def nothing_of_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in UNCONFIGURED.items():
        monkeypatch.setenv(name, value)


def about_git(folder: Path) -> list[Finding]:
    report = check_job(folder, environ={}, cwd=folder)
    return [finding for finding in report.findings if finding.rule in OF_GIT]


def told(folder: Path) -> list[tuple[str, Severity, str]]:
    return [(one.rule, one.severity, one.file) for one in about_git(folder)]


def test_outside_of_a_work_tree_nothing_is_held(make_job: MakeJob) -> None:
    folder = make_job(JOB, fields=SECRETS, files={"secret.env": "TOKEN=abcdefgh\n"})
    assert about_git(folder) == []
    held = check_job(folder, environ={}, cwd=folder).rules
    assert not set(OF_GIT) & set(held)


def test_a_job_whose_files_are_tracked_is_fine(make_job: MakeJob) -> None:
    folder = repository(make_job(JOB))
    assert about_git(folder) == []
    assert set(OF_GIT) <= set(check_job(folder, environ={}, cwd=folder).rules)


def test_a_job_that_is_not_in_git_yet_is_advised_of_that_alone(make_job: MakeJob, tmp_path: Path) -> None:
    repository(tmp_path)
    folder = make_job("import helper\n" + JOB, files={"helper.py": ""})
    (advice,) = about_git(folder)
    assert (advice.rule, advice.severity) == ("files-in-git", Severity.ADVICE)
    assert advice.remedy == "git add ."


def test_a_secret_file_in_git_is_an_error_that_says_how_to_get_rid_of_it(make_job: MakeJob) -> None:
    folder = repository(make_job(JOB, fields=SECRETS, files={"secret.env": "TOKEN=abcdefgh\n"}))
    (error,) = about_git(folder)
    assert (error.rule, error.severity, error.file) == ("secrets-in-git", Severity.ERROR, "secret.env")
    for part in ("git rm --cached secret.env", ".gitignore", "replace the secrets"):
        assert part in error.remedy


def test_a_secret_file_that_is_deleted_but_tracked_is_an_error_still(make_job: MakeJob) -> None:
    folder = repository(make_job(JOB, fields=SECRETS, files={"secret.env": "TOKEN=abcdefgh\n"}))
    (folder / "secret.env").unlink()
    assert ("secrets-in-git", Severity.ERROR, "secret.env") in told(folder)


def test_a_secret_file_that_is_not_ignored_is_a_warning(make_job: MakeJob) -> None:
    folder = repository(make_job(JOB, fields=SECRETS))
    (folder / "secret.env").write_text("TOKEN=abcdefgh\n")
    (warning,) = about_git(folder)
    assert (warning.rule, warning.severity) == ("secrets-in-git", Severity.WARNING)
    (folder / ".gitignore").write_text("secret.env\n")
    assert about_git(folder) == []


def test_both_secret_files_are_looked_at(make_job: MakeJob) -> None:
    fields = f"{SECRETS}secret_build_env_file: build/token\n"
    files = {"secret.env": "TOKEN=abcdefgh\n", "build/token": "TOKEN=abcdefgh\n"}
    folder = repository(make_job(JOB, fields=fields, files=files))
    assert {file for _, _, file in told(folder)} == {"secret.env", "build/token"}


def test_a_tracked_link_to_a_secret_file_elsewhere_is_no_leak(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(JOB, fields=SECRETS)
    (tmp_path / "mounted").write_text("TOKEN=abcdefgh\n")
    (folder / "secret.env").symlink_to(tmp_path / "mounted")
    assert about_git(repository(folder)) == []


@pytest.mark.parametrize(
    ("code", "file", "ignored", "remedy"),
    [
        ("import helper\n" + JOB, "helper.py", False, "git add helper.py"),
        ("import helper\n" + JOB, "helper.py", True, "git add -f helper.py"),
        ("MODEL = open('my model.bin').read()\n" + JOB, "my model.bin", False, "git add 'my model.bin'"),
    ],
)
def test_a_file_that_the_job_needs_and_git_lacks_is_a_warning(
    make_job: MakeJob, code: str, file: str, ignored: bool, remedy: str
) -> None:
    folder = repository(make_job(code))
    (folder / file).write_text("")
    if ignored:
        (folder / ".gitignore").write_text(f"{file}\n")
    (warning,) = about_git(folder)
    assert (warning.rule, warning.severity) == ("files-in-git", Severity.WARNING)
    assert file in warning.message
    assert ("ignored" in warning.message) is ignored
    assert warning.remedy == remedy


def test_requirements_a_base_manifest_and_pages_are_needed_too(make_job: MakeJob, tmp_path: Path) -> None:
    repository(tmp_path)
    folder = make_job(JOB, fields="extends: ../base.yaml\n", extra={"requirements_path": "../all.txt"})
    git(tmp_path, "add", "--all")
    for name in ("base.yaml", "all.txt", "sample/templates/a.html", "sample/static/a.css"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("version: 1.0.0\n" if name == "base.yaml" else "")
    lacking = [one.message.split()[0] for one in about_git(folder) if "not in git" in one.message]
    assert {Path(name).name for name in lacking} == {"base.yaml", "all.txt"}
    folders = [one.message for one in about_git(folder) if one.message.startswith("nothing in ")]
    assert len(folders) == 2


def test_many_files_are_twenty_findings_and_a_count(make_job: MakeJob) -> None:
    names = [f"part{number}" for number in range(30)]
    folder = repository(make_job("\n".join(f"import {name}" for name in names) + "\n" + JOB))
    for name in names:
        (folder / f"{name}.py").touch()
    findings = about_git(folder)
    assert len(findings) == 21
    assert findings[-1].message == "10 more files are not in git"


@pytest.mark.parametrize("code", ["class Job\n", "\0"])
def test_code_that_cannot_be_read_is_nothing_to_git(make_job: MakeJob, code: str) -> None:
    folder = repository(make_job(code))
    assert about_git(folder) == []
    (folder / "job.py").unlink()
    assert about_git(folder) == []


def test_a_change_that_is_not_committed_is_no_finding(make_job: MakeJob) -> None:
    folder = committed(repository(make_job(JOB)))
    (folder / "job.py").write_text(JOB + "\n# changed\n")
    assert about_git(folder) == []


def test_a_secret_file_that_the_code_reads_need_not_be_in_git(make_job: MakeJob) -> None:
    code = "KEY = open('secret.env').read()\n" + JOB
    folder = repository(make_job(code, fields=SECRETS, files={".gitignore": "secret.env\n"}))
    (folder / "secret.env").write_text("TOKEN=abcdefgh\n")
    assert about_git(folder) == []


def test_a_work_tree_that_is_said_to_be_elsewhere_is_not_the_jobs(make_job: MakeJob, tmp_path: Path) -> None:
    folder = repository(make_job(JOB))
    (tmp_path / "elsewhere").mkdir()
    git(folder, "config", "core.worktree", str(tmp_path / "elsewhere"))
    assert about_git(folder) == []


def test_a_file_behind_a_link_out_of_the_repository_is_a_warning(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job("MODEL = open('model.bin').read()\n" + JOB)
    (tmp_path / "model.bin").write_text("1")
    (folder / "model.bin").symlink_to(tmp_path / "model.bin")
    (warning,) = about_git(repository(folder))
    assert "outside of the repository" in warning.message


def test_git_directory_must_be_the_folder_in_the_repository_of_the_remote(
    make_job: MakeJob, tmp_path: Path
) -> None:
    folder = make_job(JOB)
    repository(tmp_path, "git@example.com:team/sample.git")
    (warning,) = about_git(folder)
    assert (warning.rule, warning.severity, warning.file) == ("git-directory", Severity.WARNING, "job.yaml")
    assert "'sample'" in warning.message
    text = (folder / "job.yaml").read_text()
    (folder / "job.yaml").write_text(text.replace("git:\n", "git:\n  directory: ./sample/\n"))
    assert about_git(folder) == []


def test_git_directory_says_nothing_in_the_repository_of_another_remote(
    make_job: MakeJob, tmp_path: Path
) -> None:
    folder = make_job(JOB)
    repository(tmp_path, "https://example.com/team/examples")
    assert about_git(folder) == []


@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_work_trees_and_submodules_are_repositories_like_others(
    make_job: MakeJob, tmp_path: Path, kind: str
) -> None:
    source = committed(repository(make_job(JOB)))
    if kind == "worktree":
        folder = tmp_path / "other"
        git(source, "worktree", "add", "--quiet", str(folder), "-b", "other")
    else:
        outer = repository(tmp_path / "outer")
        git(outer, "submodule", "--quiet", "add", str(source), "part")
        folder = outer / "part"
    assert about_git(folder) == []
    (folder / "helper.py").touch()
    (folder / "job.py").write_text("import helper\n" + JOB)
    assert [one.remedy for one in about_git(folder)] == ["git add helper.py"]


def test_files_of_a_submodule_are_in_git_there(make_job: MakeJob, tmp_path: Path) -> None:
    part = repository(tmp_path / "part")
    (part / "model.bin").touch()
    git(part, "add", "--all")
    committed(part)
    folder = repository(make_job("MODEL = open('part/model.bin').read()\n" + JOB))
    git(folder, "submodule", "--quiet", "add", str(part), "part")
    assert about_git(folder) == []


def test_a_bare_repository_is_no_work_tree(make_job: MakeJob, tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", ".git")
    assert about_git(make_job(JOB)) == []


def test_a_broken_repository_stops_nothing(make_job: MakeJob) -> None:
    folder = make_job(JOB)
    (folder / ".git").write_text("gitdir: nowhere\n")
    assert about_git(folder) == []


def test_git_that_is_not_installed_is_one_piece_of_advice(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = repository(make_job(JOB))
    monkeypatch.setenv("PATH", str(tmp_path))
    (advice,) = about_git(folder)
    assert (advice.severity, advice.remedy) == (Severity.ADVICE, "install git")


def test_git_that_hangs_is_one_piece_of_advice(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = repository(make_job(JOB))
    impostor = tmp_path / "bin" / "git"
    impostor.parent.mkdir()
    impostor.write_text("#!/bin/sh\nexec sleep 60\n")
    impostor.chmod(0o755)
    monkeypatch.setenv("PATH", f"{impostor.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(git_module, "PATIENCE", 0.2)
    (advice,) = about_git(folder)
    assert advice.severity is Severity.ADVICE
    assert "did not answer" in advice.message


def test_a_secret_file_that_git_tells_nothing_of_is_a_warning(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = repository(make_job(JOB, fields=SECRETS, files={"secret.env": "TOKEN=abcdefgh\n"}))
    monkeypatch.setenv("PATH", str(tmp_path))
    (warning,) = about_git(folder)
    assert (warning.rule, warning.severity) == ("secrets-in-git", Severity.WARNING)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_repository_of_somebody_else_is_one_piece_of_advice(make_job: MakeJob) -> None:
    folder = repository(make_job(JOB))
    for path in (folder, folder / ".git"):
        os.chown(path, 12345, 12345)
    (advice,) = about_git(folder)
    assert advice.severity is Severity.ADVICE
    assert f"safe.directory {folder}" in advice.remedy


def test_the_configuration_of_a_repository_runs_nothing(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job("import helper\n" + JOB, fields=SECRETS, files={"secret.env": "TOKEN=abcdefgh\n"})
    repository(folder, "https://example.com/team/sample")
    (folder / "helper.py").touch()
    (folder / ".gitattributes").write_text("* filter=evil diff=evil\n")
    witness = tmp_path / "ran"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {witness}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "fsmonitor-watchman", "post-checkout", "reference-transaction"):
        shutil.copy(script, hooks / name)
    for key in PROGRAMS:
        git(folder, "config", key, str(script))
    git(folder, "config", "core.hooksPath", str(hooks))
    assert {one.rule for one in about_git(folder)} == {"secrets-in-git", "files-in-git"}
    assert not witness.exists()


def test_the_repository_of_a_hook_is_not_taken_for_the_jobs(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = repository(tmp_path / "other")
    folder = repository(make_job(JOB))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    assert about_git(folder) == []


def test_odd_names_are_asked_for_as_they_are(tmp_path: Path) -> None:
    names = ["*", ":(glob)x", "-r", "a\nb", "é", "b*"]
    repository(tmp_path)
    for name in names[:-1]:
        (tmp_path / name).touch()
    git(tmp_path, "add", "--all")
    (tmp_path / "b*").touch()
    (tmp_path / ".gitignore").write_text("*b*\n")
    tree = WorkTree.around(tmp_path.resolve())
    assert tree is not None
    for name in names:
        path = tmp_path / name
        assert tree.tracked([path]) == (set() if name == "b*" else {path})
        assert tree.ignored([path]) == ({path} if name == "b*" else set())


def test_paths_that_git_would_refuse_are_nothing_of_its(tmp_path: Path) -> None:
    repository(tmp_path / "tree")
    inner = repository(tmp_path / "tree" / "inner")
    tree = WorkTree.around((tmp_path / "tree").resolve())
    assert tree is not None
    for path in (tmp_path / "outside", inner / "file", tree.root / ".git" / "config", tree.root):
        assert not tree.holds(path)
        assert tree.tracked([path]) == tree.ignored([path]) == set()


def test_what_git_says_of_a_failure_is_passed_on(tmp_path: Path) -> None:
    tree = WorkTree.around(repository(tmp_path).resolve())
    assert tree is not None
    (tmp_path / "a").touch()
    (tmp_path / ".git" / "index").write_bytes(b"not an index, but long enough to be read as the head of one")
    with pytest.raises(GitError, match="git ls-files failed"):
        tree.tracked([tmp_path / "a"])
