"""Building a job into one file: what is packed, the same bytes for the same parts, and what goes wrong."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from pyjob.errors import BuildError
from pyjob.ship.leaks import leaks_in_archive
from pyjob.ship.package import Package, package_of
from pyjob.ship.packing.archive import read_archive, write_archive
from pyjob.ship.packing.assembly import assemble
from pyjob.ship.packing.contents import Contents
from pyjob.ship.source.source import Source, Wanted, source_of
from tests.built import built, everything_in, job_in, packed_files, pyjob_build, ran
from tests.distributions import wheel
from tests.repositories import UNCONFIGURED, committed, git, needs_git, repository
from tests.servers import PATIENCE

pytest.importorskip("pex")
pytestmark = needs_git

GREETS = """\
import sys
from pathlib import Path

from greeting import VERSION


class Job:
    def perform(self) -> str:
        return VERSION + " " + Path(sys.prefix, "share", "greeting").read_text().strip()
"""
# A zip file with nothing in it.
LAST = b"PK\5\6" + bytes(18)
REQUIRES = "  requirements_path: requirements.txt"


def greeting_wheel(folder: Path) -> None:
    """Write a wheel that has a file beside its module."""
    with zipfile.ZipFile(wheel(folder, "greeting", "1.0"), "a") as archive:
        archive.writestr("greeting-1.0.data/data/share/greeting", "data\n")


def greeting_job(folder: Path) -> Path:
    job = job_in(folder, extra=REQUIRES, code=GREETS)
    (job / "requirements.txt").write_text("greeting>=1\n")
    return job


def refused(*arguments: str | Path, cwd: Path, **variables: str) -> str:
    """What the command says where it builds nothing, and leaves nothing behind but a log."""
    before = {*cwd.iterdir()}
    ended = pyjob_build(*arguments, cwd=cwd, env=variables)
    assert ended.returncode == 1, ended.stdout
    left = {path.name for path in {*cwd.iterdir()} - before} - {"tmp"}
    assert left <= {"doubler-0.0.1.pex.build.log"}
    assert list((cwd / "tmp").iterdir()) == []
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_the_same_wheelhouse_makes_the_same_bytes(tmp_path: Path) -> None:
    wheelhouse = tmp_path / "wheels"
    greeting_wheel(wheelhouse)
    digests = set()
    for name in ("here", "there"):
        greeting_job(tmp_path / name / "job")
        (tmp_path / name / "job" / "factor.txt").touch()
        (tmp_path / name / "greeting").mkdir()
        (tmp_path / name / "greeting" / "setup.py").touch()  # nobody asked for these sources
        summary = built("job", "--wheelhouse", wheelhouse, "--sbom", "bill.json", cwd=tmp_path / name)
        file = tmp_path / name / "doubler-0.0.1.pex"
        assert summary["file"] == str(file)
        digests.add((summary["sha256"], (tmp_path / name / "bill.json").read_text()))
        os.utime(wheelhouse / "greeting-1.0-py3-none-any.whl", (0, 0))
    assert len(digests) == 1
    assert json.loads(ran(file, "call", temporary=tmp_path).stdout) == "1.0 data"
    for member, content in everything_in(file):
        assert str(tmp_path).encode() not in content, member
    _is_a_bill_of_materials(tmp_path / "there" / "bill.json", digests.pop()[0])


def test_requirements_that_do_not_fit_are_packed_where_the_manifest_says_so(tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", "waitress", "1.0")
    job = job_in(tmp_path / "job", extra=REQUIRES)
    (job / "requirements.txt").write_text("waitress==1.0\n")
    told = refused("job", "--no-docs", "--wheelhouse", "wheels", cwd=tmp_path)
    assert "depends on waitress>=" in told
    assert "(check_requirements: false packs them as they are)" in told
    job_in(tmp_path / "job", extra=f"{REQUIRES}\n  check_requirements: false")
    built("job", "-o", "job.pex", "--no-docs", "--wheelhouse", "wheels", cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / "job.pex") as packed:
        names = {name for name in packed.namelist() if name.startswith(".deps/waitress-")}
    assert names == {".deps/waitress-1.0-py3-none-any.whl"}


def test_wheels_that_do_not_fit_are_told_or_packed_as_the_same_bytes(tmp_path: Path) -> None:
    wheels = [
        wheel(tmp_path, "lib", "1.0", "leaf>=2"),
        wheel(tmp_path, "other", "1.0", "leaf<1; python_version>'3'"),
        wheel(tmp_path, "leaf", "1.0rc1"),
    ]

    def made(name: str, *, is_checked: bool) -> bytes:
        folder = tmp_path / name
        folder.mkdir()
        write_archive(folder / "job.tar", folder, [], 0)
        contents = Contents("job", "0.0.1", "job.yaml", "", "0.1.0")
        assemble(
            folder / "job.pex", contents, folder / "job.tar", wheels, folder / "work", is_checked=is_checked
        )
        return (folder / "job.pex").read_bytes()

    with pytest.raises(BuildError) as error:
        made("checked", is_checked=True)
    told = str(error.value)
    assert told.startswith(
        "pex failed: lib 1.0 requires leaf>=2 but 1 incompatible dist was resolved: leaf-1.0"
    )
    assert "; other 1.0 requires leaf<1" in told
    assert made("here", is_checked=False) == made("there", is_checked=False)


def _is_a_bill_of_materials(file: Path, digest: str) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(file.read_text()) is None
    bill = json.loads(file.read_text())
    assert bill["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": digest}]
    components = {one["name"]: one for one in bill["components"]}
    assert components["greeting"]["purl"] == "pkg:pypi/greeting@1.0"
    assert components["MarkupSafe"]["licenses"]
    assert components["Jinja2"]["licenses"], "which has a classifier alone"
    assert {"pyjob", "waitress", "Werkzeug", "PyYAML", "prometheus_client"} <= {*components}
    assert "purl" not in components["pyjob"], "on PyPI, that is another project"


def test_metadata_of_a_wheel_is_read_in_any_language(tmp_path: Path) -> None:
    metadata = "Name: a\nVersion: 1\nSummary: Größe\nLicense: © Müller\nRequires-Dist: b; extra=='c'\n"
    file = tmp_path / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a-1.dist-info/METADATA", metadata)
    assert package_of(file) == Package("a", "1", "© Müller", "Größe", ())


def test_what_git_tracks_is_packed_and_nothing_else(tmp_path: Path) -> None:
    job = job_in(tmp_path / "team" / "job", fields="extends: ../base.yaml\nsecret_runtime_env_file: .env")
    (tmp_path / "team" / "base.yaml").write_text("labels: {team: a}\n")
    (job / "tool.sh").write_text("#!/bin/sh\n")
    (job / "tool.sh").chmod(0o755)
    (job / "link").symlink_to("factor.txt")
    (tmp_path / "team" / "shared.txt").write_text("shared\n")
    (job / "shared.txt").symlink_to("../shared.txt")
    (job / ".env").write_text("A=1\n")
    (job / ".gitignore").write_text(".env\nmodel\n__pycache__\n")
    committed(repository(tmp_path / "team"))
    for name in ("model", "__pycache__"):
        (job / name).mkdir()
        (job / name / "weights.bin").touch()
    (job / "notes.txt").write_text("not in git")
    (job / "factor.txt").write_text("3")
    summary = built("team/job", "-o", "job.pex", "--no-docs", cwd=tmp_path)
    head = git(job, "rev-parse", "HEAD").strip()
    assert summary["commit"] == f"{head}-dirty"
    assert "not in git, so not packed: notes.txt" in summary["warnings"]
    assert "ignored by git, so not packed: model (git add -f packs it)" in summary["warnings"]
    changed = "packed as they are here, which is not what the last commit has: factor.txt"
    assert changed in summary["warnings"]
    assert not any(one["name"].startswith("swagger") for one in summary["packages"])
    packed = packed_files(tmp_path / "job.pex")
    assert {*packed} == {
        *(f"job/{name}" for name in ("job.yaml", "job.py", "factor.txt", "tool.sh", ".gitignore")),
        *("job/link", "job/shared.txt", "shared.txt", "base.yaml"),
    }
    assert packed["job/factor.txt"] == b"3"
    assert packed["job/shared.txt"] == b"shared\n"
    ended = ran(
        tmp_path / "job.pex", "call", "x:=4", temporary=tmp_path, env={"PYJOB_SECRETS": "environment"}
    )
    assert ended.stdout.strip() == "12.0", ended.stderr


def test_links_bring_what_git_tracks_behind_them_and_work_where_they_are_unpacked(tmp_path: Path) -> None:
    team = tmp_path / "team"
    job = job_in(team / "job", fields="extends: ../shared/base.yaml")
    shared, deeper = team / "shared", team / "deeper"
    for folder in (shared, deeper):
        folder.mkdir()
        (folder / "token.secret").write_text("ignored")
        (folder / "data.txt").write_text(folder.name)
    (shared / "base.yaml").write_text("labels: {team: a}\n")
    (shared / "deeper").symlink_to(deeper)
    (job / "shared").symlink_to("../shared")
    (job / "by_the_outside.txt").symlink_to("../../team/job/factor.txt")
    (job / "by_an_ignored_one.txt").symlink_to("link.secret")
    (job / "link.secret").symlink_to("factor.txt")
    (team / ".gitignore").write_text("*.secret\n")
    committed(repository(team))
    source = source_of(Wanted("team/job"), tmp_path, cwd=tmp_path, target_of=lambda _: tmp_path / "job.pex")
    write_archive(tmp_path / "job.tar", source.root, source.files, source.date)
    assert [one.partition(",")[0] for one in source.warnings] == ["ignored by git"]
    unpacked = tmp_path / "unpacked"
    read_archive(tmp_path / "job.tar", unpacked)
    assert not [*unpacked.rglob("*.secret")]
    assert (unpacked / "job" / "shared" / "deeper" / "data.txt").read_text() == "deeper"
    for name in ("by_the_outside.txt", "by_an_ignored_one.txt"):
        assert (unpacked / "job" / name).resolve() == unpacked / "job" / "factor.txt"


def test_what_is_packed_from_elsewhere_or_is_gone_makes_the_commit_dirty(tmp_path: Path) -> None:
    team = tmp_path / "team"
    job = job_in(
        team / "job", fields="extends: ../base.yaml", extra="  requirements_path: ../requirements.txt"
    )
    base, requirements = team / "base.yaml", team / "requirements.txt"
    base.write_text("labels: {team: a}\n")
    requirements.write_text("")
    (job / "a\nb").touch()
    committed(repository(team))

    def found() -> Source:
        return source_of(Wanted("team/job"), tmp_path, cwd=tmp_path, target_of=lambda _: tmp_path / "a.pex")

    assert requirements in found().files
    assert not found().commit.endswith("-dirty")
    for file in (base, requirements):
        before = file.read_text()
        file.write_text(f"{before}# changed\n")
        assert found().commit.endswith("-dirty")
        file.write_text(before)
    (job / "a\nb").unlink()
    git(team, "update-index", "--skip-worktree", "job/a\nb")  # as a sparse checkout does
    assert found().commit.endswith("-dirty")
    assert "in git, but removed here, so not packed: a\\nb" in found().warnings
    git(team, "rm", "--quiet", "--cached", "base.yaml")
    with pytest.raises(BuildError, match=r"git does not track it: git add \.\./base\.yaml"):
        found()


def test_no_filter_of_the_repositorys_own_configuration_is_run(tmp_path: Path) -> None:
    job = committed(repository(job_in(tmp_path / "job")))
    for number, kind in enumerate(("clean", "process")):
        git(job, "config", f"filter.a={number}.{kind}", f"touch {tmp_path}/{kind}; cat")
    (job / ".git" / "info" / "attributes").write_text("*.py filter=a=0\n*.txt filter=a=1\n")
    (job / "job.py").touch()
    (job / "factor.txt").write_text("3")
    source = source_of(Wanted("job"), tmp_path, cwd=tmp_path, target_of=lambda _: tmp_path / "job.pex")
    assert source.commit.endswith("-dirty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job"]


def test_a_repository_is_cloned_with_its_branch_and_directory(tmp_path: Path) -> None:
    job_in(tmp_path / "team" / "jobs" / "doubler")
    committed(repository(tmp_path / "team"))
    git(tmp_path / "team", "switch", "--quiet", "--create", "next")
    (tmp_path / "team" / "jobs" / "doubler" / "factor.txt").write_text("5")
    git(tmp_path / "team", "add", "--all")
    committed(tmp_path / "team")
    head = git(tmp_path / "team", "rev-parse", "HEAD").strip()
    git(tmp_path / "team", "switch", "--quiet", "main")
    url = (tmp_path / "team").as_uri()
    summary = built(url, "--branch", "next", "--directory", "jobs/doubler", "-o", "a.pex", cwd=tmp_path)
    assert (summary["commit"], summary["warnings"]) == (head, [])
    ended = ran(tmp_path / "a.pex", "call", "x:=4", temporary=tmp_path)
    assert ended.stdout.strip() == "20.0"

    # What the manifest names, not what is beside it.
    fields = f"git: {{remote: '{url}', branch: next, directory: jobs/doubler}}"
    (tmp_path / "job.yaml").write_text(
        "name: other\nowner_email: a@example.com\njobtype: python3:latest\n"
        f"{fields}\njobtype_extra: {{entrypoint_path: job.py}}\n"
    )
    assert built("--from-git", ".", "-o", "b.pex", cwd=tmp_path)["sha256"] == summary["sha256"]


def test_outside_of_git_what_tools_leave_behind_and_secrets_stay_out(tmp_path: Path) -> None:
    job = job_in(tmp_path / "job")
    for name in ("__pycache__/a.pyc", ".venv/pyvenv.cfg", "env/pyvenv.cfg", "env/lib/a.py", "data/a.csv"):
        (job / name).parent.mkdir(parents=True, exist_ok=True)
        (job / name).write_text("a")
    for name in (".env", ".env.local", ".env.dist", "debug.log", ".gitignore"):
        (job / name).write_text("*.log\n")
    (job / "tmp").mkdir()
    (job / ".gitignore").write_text("*.log\ntmp\n")
    (job / "wheels").mkdir()
    (job / "wheels" / "big.whl").touch()
    (job / "of-before.pex").touch()
    (job / "pex.py").write_text("raise SystemExit('a module of the job is run in place of the program')")
    command = ("--no-docs", "--wheelhouse", "wheels", "--sbom", "bill.json")
    summary = built(*command, cwd=job)
    again = built(*command, cwd=job)
    names = {"job.yaml", "job.py", "pex.py", "factor.txt", "data/a.csv", ".env.dist", ".gitignore"}
    assert {*packed_files(job / "doubler-0.0.1.pex")} == names
    assert summary["warnings"] == ["never packed, since they look like secrets: .env, .env.local"]
    assert again["sha256"] == summary["sha256"], "it does not pack itself"


def test_in_a_repository_without_anything_tracked_all_is_packed_with_a_warning(tmp_path: Path) -> None:
    job = job_in(tmp_path / "job")
    git(job, "init", "--quiet")
    summary = built("job", "--no-docs", cwd=tmp_path)
    (warning,) = summary["warnings"]
    assert warning.startswith("git tracks nothing in this folder: packing all that it does not ignore")
    assert "job.py" in warning
    assert summary["commit"] == ""


def test_secrets_of_the_build_are_in_nothing_that_is_packed(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    job = job_in(tmp_path / "job", fields="secret_build_env_file: .env.build\nbuild_env: {FLAVOUR: sweet}")
    (job / ".env.build").write_text(f"TOKEN={secret}\nUSER_OF_GIT=factor\n")
    built("job", "-o", "job.pex", cwd=tmp_path)
    for member, content in everything_in(tmp_path / "job.pex"):
        assert secret.encode() not in content, member
        assert b".env.build" not in member.encode(), member
    (job / "settings.py").write_text(f"TOKEN = '{secret}'\n")
    told = refused("job", cwd=tmp_path)
    assert "a secret would be packed: settings.py holds the value of TOKEN" in told
    assert secret not in told


def test_logins_that_are_written_out_stop_the_build_and_are_not_told(tmp_path: Path) -> None:
    job = job_in(tmp_path / "job", extra="  requirements_path: requirements.txt")
    text = (job / "job.yaml").read_text()
    (job / "job.yaml").write_text(text.replace("//example.com", "//me:planted@example.com"))
    lines = "-i https://${USER_}:${TOKEN}@example.com/simple\n-f https://me:planted@example.com/\n"
    (job / "requirements.txt").write_text(lines)
    told = refused("job", cwd=tmp_path)
    assert "git.remote: expected a URL without a login" in told
    assert "requirements.txt:2: expected a login by ${NAME}" in told
    assert "requirements.txt:1" not in told
    assert "planted" not in told
    assert not (tmp_path / "doubler-0.0.1.pex.build.log").exists()


KEY = "first-line-of-the-key\nand-the-second-one-which-is-longer"
PASSWORD = 'pässword-of-the-"database"'


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (KEY, f"KEY = {KEY!r}".encode()),
        (KEY, KEY.replace("\n", "\r\n    ").encode()),
        (PASSWORD, json.dumps({"password": PASSWORD}).encode()),
        (PASSWORD, PASSWORD.encode("latin-1")),
        (PASSWORD, PASSWORD.encode("utf-16")),
        (PASSWORD, base64.b64encode(f"{PASSWORD}!".encode())),
        (PASSWORD, quote(PASSWORD).encode()),
    ],
)
def test_a_secret_is_found_however_it_is_written(tmp_path: Path, value: str, content: bytes) -> None:
    for name, text in (("settings", content), ("others", b"-----BEGIN first-line-of-the-key-----")):
        (tmp_path / name).write_bytes(text)
    write_archive(tmp_path / "job.tar", tmp_path, [tmp_path / "settings", tmp_path / "others"], 0)
    assert leaks_in_archive(tmp_path / "job.tar", {"SECRET": value, "BLANK": " " * 16}) == [
        ("settings", "SECRET")
    ]


def test_a_secret_in_the_name_of_a_file_is_found_and_not_told(tmp_path: Path) -> None:
    secret = "correct-horse-battery-staple"
    job = job_in(tmp_path / "job", fields="secret_build_env_file: .env.build")
    (job / ".env.build").write_text(f"TOKEN={secret}\n")
    (job / f"{secret}.txt").symlink_to("factor.txt")
    told = refused("job", cwd=tmp_path)
    assert "***.txt holds the value of TOKEN" in told
    assert secret not in told


def test_of_a_repository_the_secrets_of_the_build_are_taken_from_here(tmp_path: Path) -> None:
    job = job_in(tmp_path / "job", fields="secret_build_env_file: .env.build")
    (job / ".gitignore").write_text(".env.build\n")
    url = committed(repository(job)).as_uri()
    told = refused(url, cwd=tmp_path)
    assert f"secret_build_env_file: expected the file {tmp_path / '.env.build'}" in told
    (tmp_path / "secrets").write_text("TOKEN = not an env file: '\n")
    assert "secrets:1: TOKEN" in refused(url, "--env-file", "secrets", cwd=tmp_path)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            "secret_build_env_file: .env.build",
            "expected the file .env.build, found nothing: copy .env.build.dist",
        ),
        ("version: one", "version: expected a semantic version"),
    ],
)
def test_a_manifest_that_cannot_be_built_is_told(tmp_path: Path, fields: str, told: str) -> None:
    job = job_in(tmp_path / "job", fields=fields)
    (job / ".env.build.dist").write_text("TOKEN=\n")
    assert told in refused("job", cwd=tmp_path)


def test_what_cannot_be_packed_is_told(tmp_path: Path) -> None:
    job = job_in(tmp_path / "job")
    (job / "dangling").symlink_to("nowhere")
    assert "dangling: a link that leads nowhere" in refused("job", cwd=tmp_path)
    (job / "dangling").unlink()
    (job / "passwd").symlink_to("/etc/passwd")
    assert "passwd: a link that leads out" in refused("job", cwd=tmp_path)
    (job / "passwd").unlink()
    repository(job)
    (job / ".gitignore").write_text("ignored\n")
    (job / "ignored").touch()
    (job / "link").symlink_to("ignored")
    git(job, "add", "link")
    assert "link: a link to ignored, which is not packed" in refused("job", cwd=tmp_path)
    git(job, "rm", "--force", "--quiet", "link")
    (job / "other.py").symlink_to("job.py")
    assert "git does not track it: git add other.py" in refused("job/other.py", cwd=tmp_path)
    git(job, "rm", "--cached", "--quiet", "job.py")
    assert (
        "job.py: expected among the files to be packed, but git does not track it: git add job.py"
        in refused("job", cwd=tmp_path)
    )
    (job / "job.py").unlink()
    assert "jobtype_extra.entrypoint_path: expected an existing file" in refused("job", cwd=tmp_path)
    assert "expected an existing file or folder" in refused("nothing", cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--branch", "main", "job"], "--branch and --directory are for a git repository"),
        (["-o", "job", "job"], "expected the name of a file, found a folder"),
        (["-o", "job/job.py", "job"], "expected a built file or none, found something else"),
        (["-o", "no/job.pex", "job"], "there is no folder"),
        (["-o", "pipe", "job"], "expected the name of a file, found something else"),
        (["--sbom", "no/bill.json", "job"], "expected the name of a file in a folder that is there"),
        (["-o", "job.pex", "--sbom", "job.pex", "job"], "expected another file for --sbom"),
        (["file:///nowhere/at/all"], "git clone failed"),
        (["--directory", "../..", "file:///nowhere"], "expected a folder of the repository"),
        (["--from-git", "job"], "git clone failed"),
    ],
)
def test_options_that_lead_nowhere_are_told(tmp_path: Path, arguments: list[str], told: str) -> None:
    job_in(tmp_path / "job")
    os.mkfifo(tmp_path / "pipe")
    # No host is asked: git is told to find none.
    blocked = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.proxy", "GIT_CONFIG_VALUE_0": "127.0.0.1:1"}
    assert told in refused(*arguments, cwd=tmp_path, **blocked)


def test_a_requirement_that_is_nowhere_is_told_with_the_place_of_the_log(tmp_path: Path) -> None:
    greeting_job(tmp_path / "job")
    (tmp_path / "wheels").mkdir()
    told = refused("job", "--wheelhouse", "wheels", cwd=tmp_path)
    assert "greeting" in told
    log = tmp_path / "doubler-0.0.1.pex.build.log"
    assert str(log) in told
    assert "greeting" in log.read_text()


@pytest.mark.parametrize("interruption", [signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_leaves_nothing(tmp_path: Path, interruption: signal.Signals) -> None:
    greeting_job(tmp_path / "job")
    wheelhouse = tmp_path / "wheels"
    greeting_wheel(wheelhouse)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "doubler-0.0.1.pex").write_bytes(LAST)
    process = subprocess.Popen(
        [sys.executable, "-m", "pyjob", "build", "job", "--wheelhouse", "wheels"],
        cwd=tmp_path,
        env={**os.environ, **UNCONFIGURED, "TMPDIR": str(tmp_path / "tmp")},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "requirements" in line:
            break
    process.send_signal(interruption)
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE) == 1
    assert "interrupted: nothing was written" in told
    assert list((tmp_path / "tmp").iterdir()) == []
    assert (tmp_path / "doubler-0.0.1.pex").read_bytes() == LAST


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    job_in(tmp_path / "job")
    small = tmp_path / "small"
    small.mkdir()
    script = (
        'mount -t tmpfs -o size=200k tmpfs "$1" && exec "$2" -m pyjob build job -o "$1/job.pex" --no-docs'
    )
    ended = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(small), sys.executable],
        cwd=tmp_path,
        env={**os.environ, **UNCONFIGURED},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "Operation not permitted" in ended.stderr:
        pytest.skip("namespaces are not allowed here")
    assert ended.returncode == 1
    assert "No space left on device" in ended.stderr
    assert ended.stdout == ""


def test_its_file_is_a_pex_that_its_tools_read(tmp_path: Path) -> None:
    job_in(tmp_path / "job")
    built("job", "-o", "job.pex", "--no-docs", cwd=tmp_path)
    with zipfile.ZipFile(tmp_path / "job.pex") as packed:
        info = json.loads(packed.read("PEX-INFO"))
    assert any(name.startswith("waitress-") for name in info["distributions"])
    said = ran(
        tmp_path / "job.pex",
        *("-c", "import waitress, pyjob; print(pyjob.__name__)"),
        temporary=tmp_path,
        env={"PEX_INTERPRETER": "1", "PEX_ROOT": str(tmp_path / "root")},
    )
    assert said.stdout == "pyjob\n", said.stderr
