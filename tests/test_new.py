"""`pyjob new`: a folder with a job that runs, made from what git knows of the place."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml

from pyjob.cli import main
from pyjob.git import command as git
from pyjob.manifest import Manifest, find_manifest
from pyjob.starter import starter
from pyjob.starter.origin import Origin, https_url
from pyjob.starter.starter import TEMPLATES, job_name, start_job
from pyjob.testing import JobClient
from tests.documents import REPO
from tests.test_testing import pytest_in

SHARED = {".env.dist", ".gitignore", "README.md", "job.py", "job.yaml", "test_house_price.py"}
FURTHER = {
    "minimal": set[str](),
    "model": {"model.json", "train.py"},
    "flask": {"requirements.txt", "templates/page.html"},
}
NEEDS_FLASK = pytest.mark.skipif(importlib.util.find_spec("flask") is None, reason="Flask is not installed")
NEEDS_GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
EVERY = [pytest.param(name, marks=NEEDS_FLASK if name == "flask" else ()) for name in TEMPLATES]


@pytest.fixture(autouse=True)
def only_this_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration but that of the test, and no repository above its folder."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def files_of(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def manifest_of(folder: Path) -> Manifest:
    return find_manifest(folder, environ={}, cwd=folder)


# What is made.


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_job_has_a_manifest_without_a_fault_and_all_that_a_job_wants(
    template: str, tmp_path: Path
) -> None:
    folder = tmp_path / "jobs" / "House price"
    assert main(["new", str(folder), "--template", template]) == 0
    assert files_of(folder) == SHARED | FURTHER[template]
    manifest = manifest_of(folder)
    assert manifest.name == "house-price"
    assert not manifest.warnings
    assert not manifest.check_errors
    assert ".env" in (folder / ".gitignore").read_text().splitlines()
    for file in folder.rglob("*.*"):
        if file.is_file():
            assert not re.search(r"@[A-Z_]+@", file.read_text()), file


@pytest.mark.parametrize("template", EVERY)
def test_the_tests_of_a_new_job_pass(template: str, tmp_path: Path) -> None:
    main(["new", str(tmp_path / "house-price"), "--template", template])
    ended = pytest_in(tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert " passed" in ended.stdout


@pytest.mark.parametrize("template", EVERY)
def test_a_new_job_answers_what_its_readme_says(
    template: str, tmp_path: Path, running: Callable[[Path], AbstractContextManager[str]]
) -> None:
    folder = tmp_path / "house-price"
    main(["new", str(folder), "--template", template])
    readme = (folder / "README.md").read_text()
    told = re.search(r"^\$ curl localhost:7000/perform -d '(.+)'\n(.+)$", readme, re.MULTILINE)
    assert told is not None
    with running(folder) as url:
        request = urllib.request.Request(f"{url}/perform", data=told[1].encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert json.load(answer) == json.loads(told[2])
        with urllib.request.urlopen(url, timeout=60) as page:
            assert page.status == 200


@pytest.mark.parametrize("template", EVERY)
def test_a_new_job_passes_a_strict_check(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "house-price"
    main(["new", str(folder), "--template", template])
    assert main(["check", "--strict", "--run", str(folder)]) == 0, capsys.readouterr().out


def test_the_secrets_that_the_manifest_shows_can_be_switched_on(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    main(["new", str(folder)])
    manifest, dist = folder / "job.yaml", folder / ".env.dist"
    manifest.write_text(manifest.read_text().replace("# secret_runtime", "secret_runtime"))
    (folder / ".env").write_text(dist.read_text().replace("# API_TOKEN=", "API_TOKEN=wordless"))
    assert manifest_of(folder).secret_runtime_env_file == ".env"
    with JobClient(folder) as job:
        job.assert_samples()
        assert os.environ["API_TOKEN"] == "wordless"


def test_the_model_is_the_one_that_the_script_makes(tmp_path: Path) -> None:
    main(["new", str(tmp_path / "job"), "--template", "model"])
    model = tmp_path / "job" / "model.json"
    before = model.read_text()
    model.unlink()
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path / "job", check=True, timeout=60)
    assert model.read_text() == before


def test_the_page_loads_nothing_from_elsewhere_and_fits_phones_and_the_dark(tmp_path: Path) -> None:
    main(["new", str(tmp_path / "job"), "--template", "flask"])
    page = (tmp_path / "job" / "templates" / "page.html").read_text()
    assert not re.search(r"https?:|//|src=|@import|url\((?!')|<link|<script", page)
    assert "width=device-width" in page
    assert "prefers-color-scheme: dark" in page


@NEEDS_FLASK
@pytest.mark.parametrize(
    ("amount", "years", "percent"),
    [
        ("inf", "1", "1"),
        ("nan", "1", "1"),
        ("1", "9" * 400, "1"),
        ("1", "1", "nan"),
        ("", "", ""),
        ("x", "1", "1"),
    ],
)
def test_the_page_answers_whatever_stands_in_its_form(
    tmp_path: Path, amount: str, years: str, percent: str
) -> None:
    main(["new", str(tmp_path / "job"), "--template", "flask"])
    with JobClient(tmp_path / "job") as job:
        form = {"amount": amount, "years": years, "percent": percent}
        assert job.post("/api/v1/webview/", data=form).status_code == 400
        form = {"amount": "1200", "years": "1", "percent": "1e-300"}
        assert "<strong>100.00</strong>" in job.post("/api/v1/webview/", data=form).text


def test_every_template_is_in_the_package() -> None:
    settings = configparser.ConfigParser()
    settings.read(REPO / "setup.cfg")
    globs = settings["options.package_data"]["pyjob"].split()
    packed = {file for pattern in globs for file in (REPO / "pyjob").glob(pattern)}
    templates = REPO / "pyjob" / "starter" / "templates"
    assert {file for file in templates.rglob("*") if file.is_file()} <= packed


# The command.


def test_it_ends_with_the_commands_that_come_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.chdir(tmp_path)
    assert main(["new", "my jobs/loan", "--template", "flask"]) == 0
    told = capsys.readouterr().out
    assert "made job loan in my jobs/loan" in told
    assert "fill in what git does not know, in job.yaml: git.remote, owner_email" in told
    steps = [
        "cd 'my jobs/loan'",
        "pip install -r requirements.txt",
        "pyjob check --run",
        "pyjob run",
        "python -m pytest",
    ]
    assert [line.strip() for line in told.partition("next:\n")[2].splitlines()] == steps


def test_in_this_folder_there_is_nowhere_to_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "this-one"
    folder.mkdir()
    os.chdir(folder)
    assert main(["new", "."]) == 0
    told = capsys.readouterr().out
    assert "made job this-one" in told
    assert "cd " not in told


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("house-price", "house-price"),
        ("House_Price 2", "house-price-2"),
        ("Häuser", "hauser"),
        ("no", "no"),
        ("123", "123"),
        ("-- : --", "job"),
        ("日本", "job"),
        ("a" * 62 + "-b", "a" * 62),
    ],
)
def test_the_name_of_the_folder_becomes_a_dns_label(folder: str, name: str, tmp_path: Path) -> None:
    assert job_name(folder) == name
    start_job(tmp_path / folder, "minimal")
    assert manifest_of(tmp_path / folder).name == name
    assert not manifest_of(tmp_path / folder).warnings


# What is refused.


def refusal_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["new", str(folder)]) == 1
    return capsys.readouterr().err


def test_a_folder_that_holds_something_is_refused_naming_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(7):
        (tmp_path / f"file {number}").write_text("mine")
    before = files_of(tmp_path)
    told = refusal_of(tmp_path, capsys)
    assert (
        "expected a new or an empty folder, found file 0, file 1, file 2, file 3, file 4 and 2 more" in told
    )
    assert files_of(tmp_path) == before


@pytest.mark.parametrize("what", ["file", "link to nothing", "link to itself", "below a file"])
def test_what_is_no_folder_is_refused(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "target"
    if what == "link to itself":
        target.symlink_to(target)
    elif what == "link to nothing":
        (tmp_path / "link").symlink_to(tmp_path / "nothing" / "here")
        (tmp_path / "nothing").write_text("mine")
        target = tmp_path / "link"
    else:
        target.write_text("mine")
    before = files_of(tmp_path)
    told = refusal_of(target / "deeper" if what == "below a file" else target, capsys)
    assert told.startswith("pyjob: error: ")
    assert files_of(tmp_path) == before


def test_an_empty_folder_and_one_that_is_a_new_repository_are_fine(tmp_path: Path) -> None:
    (tmp_path / "job" / ".git").mkdir(parents=True)
    start_job(tmp_path / "job", "minimal")
    assert "job.yaml" in files_of(tmp_path / "job")


def test_a_path_that_cannot_stand_in_a_manifest_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "expected a path of printable characters" in refusal_of(tmp_path / "a\nb" / "job", capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("exists", [True, False])
def test_what_fails_in_the_middle_leaves_nothing_behind(
    exists: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "jobs" / "loan"
    if exists:
        folder.mkdir(parents=True)
    before = set(tmp_path.rglob("*"))
    opened: list[Path] = []
    open_file = Path.open

    def full_disk(path: Path, *mode: str, **options: str) -> object:
        opened.extend([path] if "x" in mode else [])
        if len(opened) == 5:
            raise OSError(28, "No space left on device", str(path))
        return open_file(path, *mode, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full_disk)
    assert main(["new", str(folder), "--template", "flask"]) == 1
    monkeypatch.undo()
    assert "No space left on device" in capsys.readouterr().err
    assert set(tmp_path.rglob("*")) == before


# What git knows.


def run(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    run(folder, "init", "--initial-branch", "trunk")
    return folder


@NEEDS_GIT
def test_remote_branch_place_and_owner_are_those_of_the_work_tree(repository: Path) -> None:
    run(repository, "remote", "add", "origin", "git@example.com:team/jobs.git")
    run(repository, "config", "user.email", "ada@example.com")
    made = start_job(repository / "prices" / "house", "minimal")
    manifest = manifest_of(repository / "prices" / "house")
    assert manifest.git.remote == "https://example.com/team/jobs.git"
    assert (manifest.git.branch, manifest.git.directory) == ("trunk", "prices/house")
    assert manifest.owner_email == "ada@example.com"
    assert not made.placeholders


@NEEDS_GIT
def test_a_job_may_be_a_repository_of_its_own(repository: Path) -> None:
    start_job(repository, "minimal")
    assert manifest_of(repository).git.directory == "."


@NEEDS_GIT
def test_where_git_knows_nothing_there_are_placeholders_that_say_so(repository: Path) -> None:
    run(repository, "config", "user.email", "nobody at all")
    made = start_job(repository / "job", "minimal")
    manifest = manifest_of(repository / "job")
    assert manifest.git.remote == "https://example.com/you/job"
    assert manifest.owner_email == "you@example.com"
    assert made.placeholders == ("git.remote", "owner_email")
    assert "# A placeholder" in (repository / "job" / "job.yaml").read_text()


@NEEDS_GIT
def test_a_hook_of_another_repository_does_not_mislead(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(repository, "remote", "add", "origin", "https://example.com/team/other")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    assert start_job(tmp_path / "job", "minimal").placeholders == ("git.remote", "owner_email")


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ("https://example.com/team/job.git", "https://example.com/team/job.git"),
        ("https://example.com:8443/team/job", "https://example.com:8443/team/job"),
        ("https://ada:secret@example.com/team/job", "https://example.com/team/job"),
        ("https://ada:s@cret@example.com/team/job", "https://example.com/team/job"),
        ("http://example.com/team/job", "https://example.com/team/job"),
        ("git@example.com:team/job.git", "https://example.com/team/job.git"),
        ("example.com:/team/job.git", "https://example.com/team/job.git"),
        ("ssh://git@example.com:22/team/job.git", "https://example.com/team/job.git"),
        ("ssh://example.com/~ada/job", "https://example.com/~ada/job"),
        ("git://example.com/job", "https://example.com/job"),
        ("https://ada:1/secret@example.com/job", ""),
        ("https://example.com/job?token=secret", ""),
        ("/srv/git/job.git", ""),
        ("../job", ""),
        ("file:///srv/git/job", ""),
        ("C:/git/job", ""),
        (r"C:\git\job", ""),
        ("ext::sh -c whoami", ""),
        ("https://example.com/a b", ""),
        ("https://example.com/a\nname: evil", ""),
        ("https://example.com/\u202ejob", ""),
        ("https://exa mple.com/job", ""),
        ("https://", ""),
        ("", ""),
    ],
)
def test_a_remote_becomes_an_https_url_without_a_password(remote: str, expected: str) -> None:
    assert https_url(remote) == expected


@pytest.mark.parametrize(
    "text", ['"quoted" \\ #1', "a: b", "- &x *y !z", "{a}", "no", "1e3", "@NAME@", "ü 😀", "'", "%TAG", ""]
)
def test_whatever_git_says_stays_one_string_of_the_manifest(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = Origin(f"https://example.com/{text}", text, text, f"{text}@example.com")
    monkeypatch.setattr(starter, "origin_of", lambda _: origin)
    start_job(tmp_path / "job", "minimal")
    document = yaml.safe_load((tmp_path / "job" / "job.yaml").read_text(encoding="utf-8"))
    assert document["owner_email"] == origin.email
    git = {name: getattr(origin, name) for name in ("remote", "branch", "directory") if getattr(origin, name)}
    assert document["git"] == git


FAKES = {
    "missing": None,
    "slow": "exec sleep 1000",
    "failing": "echo https://example.com/job; exit 1",
    "binary": r"printf '\377\000'",
    "chatty": "echo one; echo two",
    "elsewhere": "echo /",
}


@pytest.mark.parametrize("fake", FAKES)
def test_without_a_git_that_answers_sensibly_there_are_placeholders(
    fake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    script = FAKES[fake]
    if script is not None:
        (programs / "git").write_text(f"#!/bin/sh\n{script}\n")
        (programs / "git").chmod(0o755)
    monkeypatch.setenv(
        "PATH", str(programs) if script is None else f"{programs}{os.pathsep}{os.environ['PATH']}"
    )
    monkeypatch.setattr(git, "PATIENCE", 0.5 if fake == "slow" else git.PATIENCE)
    made = start_job(tmp_path / "job", "minimal")
    assert made.placeholders == ("git.remote", "owner_email")
    assert not manifest_of(tmp_path / "job").warnings


def test_the_settings_of_a_checkout_do_not_keep_a_new_job_in_it_from_its_tests(tmp_path: Path) -> None:
    """pytest takes them for the job's own, and whoever tries the README has no plugin but pyjob's."""
    (tmp_path / "test_job.py").write_text("def test_it(): pass\n")
    settings = REPO / "tox.ini"
    command = [sys.executable, "-m", "pytest", "-p", "no:timeout", "-c", str(settings), str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
