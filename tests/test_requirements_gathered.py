"""Wheels gathered by a real pip, from servers that ask for logins; no login gets anywhere."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pyjob.environment.build import build_environment
from pyjob.errors import BuildError
from pyjob.manifest import manifest_of
from pyjob.ship.requirements.gather import distribution, gather
from pyjob.ship.requirements.pip import settings
from pyjob.ship.requirements.prepared import prepared
from tests.distributions import sdist, source, wheel
from tests.git_server import GitServer, basic, git_server
from tests.repositories import needs_git
from tests.stores import until
from tests.watched import command_lines, recording

pytest.importorskip("pip")

USER, TOKEN = "x-access-token", 'plan/ted "token" @1'
READER, PASSWORD = "reader", "planted%password"
OTHERS = [("other", "planted-too"), ("third", "planted-as-well")]
# Logins in every spelling in which they may be somewhere.
TRACES = [
    *(TOKEN, quote(TOKEN), quote(TOKEN, safe=""), 'ted \\"token', PASSWORD, quote(PASSWORD)),
    *(password for _, password in OTHERS),
    *(basic(*login).removeprefix("Basic ") for login in [(USER, TOKEN), (READER, PASSWORD), *OTHERS]),
]


class Build:
    """One build: a job, the wheels of its runtime, and what was told of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = folder / "job"
        self.runtime = folder / "runtime"
        self.log = folder / "pip.log"
        self.steps: list[str] = []
        self.wheels: list[Path] = []
        self.job.mkdir()
        wheel(self.runtime, "pyjob", "0.1.0", "tiny-server>=1")
        wheel(self.runtime, "tiny-server", "1.5")

    def __call__(
        self,
        requirements: str,
        *,
        secrets: Mapping[str, str] | None = None,
        inherited: Mapping[str, str] | None = None,
        wheelhouse: Path | None = None,
        **extra: Any,
    ) -> list[str]:
        """Gather what ``requirements`` ask for; the names of the wheels."""
        (self.job / "requirements.txt").write_text(requirements)
        fields: dict[str, Any] = {
            "name": "job",
            "jobtype_extra": {"requirements_path": "requirements.txt", **extra},
        }
        if secrets:
            fields["secret_build_env_file"] = ".env.build"
            (self.job / ".env.build").write_text(
                "".join(f"{name}='{value}'\n" for name, value in secrets.items())
            )
        manifest = manifest_of(fields, name="job", folder=self.job)
        # Nothing of this machine's pip: indexes, constraints, links.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environ |= {"PIP_CONFIG_FILE": os.devnull, "HOME": str(self.folder), **(inherited or {})}
        environment = build_environment(manifest, environ, cwd=self.job)
        private = self.folder / "private"
        private.mkdir(mode=0o700)
        try:
            ready = prepared(manifest, environment, private, wheelhouse=wheelhouse)
            destination = self.folder / "wheels"
            self.wheels = gather(
                ready, destination, runtime=self.runtime, log=self.log, report=self.steps.append
            )
            assert [path.name for path in private.iterdir() if path.name.startswith("tmp")] == []
        finally:
            shutil.rmtree(private)
        return [file.name for file in self.wheels]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """Two repositories, an index and a folder of files, each behind a login; and an index that is open."""
    folder = tmp_path_factory.mktemp("server")
    with git_server(folder / "served") as served:
        served.doors = {
            "/git/lib.git": (USER, TOKEN),
            "/git/other.git": OTHERS[0],
            "/team/": (READER, PASSWORD),
            "/files/": OTHERS[1],
        }
        config = f"import shutil; shutil.copy('.git/config', {str(folder / 'config')!r})"
        served.add_repository("lib.git", source(folder / "lib", "lib", "2.0", "leaf>=1", before=config))
        served.add_repository("other.git", source(folder / "other", "other", "1.0"))
        served.add_files("files", wheel(folder / "made", "third", "1.0"))
        made = folder / "made"
        served.add_files(
            "team", wheel(made, "leaf", "1.0"), sdist(made, "grown", "3.0", built_with=["leaf"])
        )  # by another pip
        served.add_files(
            "open",
            wheel(made, "picky", "1.0", "tiny-server>=2"),
            wheel(made, "tiny-server", "2.5"),
            wheel(made, "pyjob", "9.9"),
            wheel(made, "pinned", "1.0", "pyjob"),
            sdist(made, "endless", "1.0", before="import time; time.sleep(600)"),
        )
        yield served


def texts_below(folder: Path) -> Iterator[tuple[str, str]]:
    """Everything in the files below ``folder``, those in archives too."""
    for path in folder.rglob("*"):
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield f"{path}/{name}", f"{name} {archive.read(name).decode(errors='replace')}"
        elif path.is_file():
            yield str(path), path.read_bytes().decode(errors="replace")


@needs_git
def test_private_repositories_and_indexes_are_read_and_their_logins_are_nowhere(
    build: Build, server: GitServer, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    server.asked.clear()
    requirements = (
        f"--index-url http://${{READER}}:${{PASSWORD}}@{server.address}/team/simple\n"
        f"lib @ git+http://${{USER_}}:${{TOKEN}}@{server.address}/git/lib.git\n"
        "grown\n./here\n"
        f"other @ git+http://other:planted-too@{server.address}/git/other.git\n"
        f"http://third:planted-as-well@{server.address}/files/simple/third/third-1.0-py3-none-any.whl\n"
    )
    source(build.job / "here", "here", "1.0")
    (build.job / "pip.py").write_text("raise SystemExit('a module of the job, and none of pip')")
    secrets = {
        "USER_": USER,
        "TOKEN": quote(TOKEN, safe=""),
        "READER": READER,
        "PASSWORD": quote(PASSWORD, safe=""),
    }
    inherited = {
        "PATH": f"{recording(tmp_path / 'recorded', 'git')}{os.pathsep}{os.environ['PATH']}",
        "PIP_CACHE_DIR": str(cache),
        "PIP_LOG": str(tmp_path / "other.log"),
        "GIT_TRACE": str(tmp_path / "git.trace"),
        "GIT_TRACE_CURL": str(tmp_path / "curl.trace"),
        "GIT_TRACE_SETUP": str(tmp_path / "setup.trace"),
    }
    with command_lines() as seen:
        names = build(requirements, secrets=secrets, inherited=inherited)
    assert names == [
        "grown-3.0-py3-none-any.whl",
        "here-1.0-py3-none-any.whl",
        "leaf-1.0-py3-none-any.whl",
        "lib-2.0-py3-none-any.whl",
        "other-1.0-py3-none-any.whl",
        "pyjob-0.1.0-py3-none-any.whl",
        "third-1.0-py3-none-any.whl",
        "tiny_server-1.5-py3-none-any.whl",
    ]
    # Those who asked had the right logins, once they were asked for them.
    answered = {door: one.authorization for one in server.asked for door in server.doors if door in one.path}
    assert answered == {door: basic(*login) for door, login in server.doors.items()}
    # Nowhere: wheels, log, traces of git, the job's folder but for the files that the logins are in.
    for name in (".env.build", "requirements.txt"):
        (build.job / name).unlink()
    assert list(cache.iterdir()) == []
    assert not (tmp_path / "other.log").exists()
    everything = dict(texts_below(tmp_path))
    assert (
        f"git clone --filter=blob:none --quiet http://{server.address}/git/lib.git"
        in everything[str(build.log)]
    )
    assert any("git-remote-http" in text for name, text in everything.items() if name.endswith("git.trace"))
    config = (server.folder.parent / "config").read_text()
    assert f"url = http://{server.address}/git/lib.git" in config
    everything |= {"config of git": config}
    everything |= {"steps": "\n".join(build.steps), "command lines": "\n".join(seen)}
    assert "-m pip wheel" in everything["command lines"]
    for place, text in everything.items():
        assert [trace for trace in TRACES if trace in text] == [], place
    assert f"http://{server.address}/git/lib.git" in (tmp_path / "recorded" / "git").read_text()
    assert build.steps[0].startswith("Collecting lib")
    assert "Building wheel for grown (pyproject.toml)" in build.steps


def test_an_index_that_does_not_know_the_password_is_named(build: Build, server: GitServer) -> None:
    with pytest.raises(BuildError) as error:
        build(f"--index-url http://{READER}:planted-and-wrong@{server.address}/team/simple\nleaf\n")
    assert str(error.value) == (
        "pip cannot gather the requirements: no matching distribution found for leaf: the server does not "
        f"know this user and password (401 for http://{server.address}/team/simple/leaf/) "
        f"(its output: {build.log})"
    )
    assert "planted-and-wrong" not in build.log.read_text()


def test_what_is_installed_here_is_used_unless_the_job_needs_others(build: Build, server: GitServer) -> None:
    names = build(f"--index-url http://{server.address}/open/simple\npicky\npinned\n")
    assert names == [
        "picky-1.0-py3-none-any.whl",
        "pinned-1.0-py3-none-any.whl",
        "pyjob-0.1.0-py3-none-any.whl",  # not the 9.9 of the index
        "tiny_server-2.5-py3-none-any.whl",
    ]


def test_a_wheelhouse_is_all_there_is_and_a_wheel_for_others_is_named(build: Build, tmp_path: Path) -> None:
    house = tmp_path / "the house"
    wheel(house, "lib", "2.0", "strange")
    wheel(house, "strange", "1.0", tag="cp27-cp27m-win32")
    with pytest.raises(BuildError) as error:
        build(
            "--index-url https://me:planted@example.com/simple\nlib @ git+https://${NOBODY}@example.com/lib.git\n",
            wheelhouse=house,
            inherited={
                "PIP_INDEX_URL": "https://example.com/simple",
                "PIP_FIND_LINKS": "https://example.com/",
            },
        )
    there = "the wheelhouse has strange-1.0-cp27-cp27m-win32.whl"
    assert f"no matching distribution found for strange (from lib) for this platform ({there})" in str(
        error.value
    )
    assert "example.com" not in build.log.read_text()


def test_requirements_that_are_not_checked_need_not_fit_those_of_pyjob(build: Build, tmp_path: Path) -> None:
    house = tmp_path / "house"
    file = wheel(house, "tiny-server", "0.1")
    (tmp_path / "job" / "limits.txt").write_text("tiny-server<1\n")
    names = build("tiny-server\n-c limits.txt\n", wheelhouse=house, check_requirements=False)
    assert names == ["pyjob-0.1.0-py3-none-any.whl", "tiny_server-0.1-py3-none-any.whl"]
    assert file.read_bytes() == (tmp_path / "wheels" / file.name).read_bytes()


@pytest.mark.parametrize("has_hash", [False, True])
def test_what_the_wheelhouse_and_the_runtime_have_comes_from_the_wheelhouse_wherever_it_is(
    build: Build, tmp_path: Path, has_hash: bool
) -> None:
    house = tmp_path / "z"  # behind the runtime, by whose path pip would choose
    file = wheel(house, "tiny-server", "1.5")
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"another file than that of the runtime"
    line = f"tiny-server==1.5 --hash=sha256:{sha256(file.read_bytes()).hexdigest()}"
    build(line if has_hash else "tiny-server", wheelhouse=house)
    assert file.read_bytes() == (tmp_path / "wheels" / file.name).read_bytes()


def test_an_interrupted_build_ends_all_that_it_has_started(
    build: Build, server: GitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(BaseException):
        pass

    groups: list[int] = []
    started = subprocess.Popen

    class Noted(started):  # type: ignore[valid-type, misc]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            groups.append(os.getpgid(self.pid))

    def interrupt(step: str) -> None:
        if step.startswith("Preparing metadata"):  # which sleeps
            raise Interrupted

    monkeypatch.setattr(subprocess, "Popen", Noted)
    build.steps = Steps(interrupt)
    with pytest.raises(Interrupted):
        build(f"--index-url http://{server.address}/open/simple\nendless\n")
    (group,) = groups
    until(lambda: not living(group))


def living(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, its_group = file.read_text().rpartition(")")[2].split()[:3]
            found += [str(file)] if int(its_group) == group and state != "Z" else []
    return found


class Steps(list[str]):
    """Steps, each told to ``hear``."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear

    def append(self, step: str) -> None:
        self._hear(step)


def test_the_settings_of_pip_are_in_force_but_for_those_that_would_break_or_tell() -> None:
    environ = {
        "PIP_INDEX_URL": "https://example.com/simple",
        "PIP_TARGET": "/elsewhere",
        "PIP_LOG": "/log",
        "PIP_CACHE_DIR": "/cache",
        "PIP_PROXY": "http://me:planted@proxy.example:8080",
        "SOURCE_DATE_EPOCH": "1000000000",
    }
    found = settings(environ, temporary=Path("/private"), without_cache=True)
    assert {name: found.get(name) for name in (*environ, "PIP_NO_CACHE_DIR", "https_proxy", "TMPDIR")} == {
        "PIP_INDEX_URL": "https://example.com/simple",
        "PIP_TARGET": None,
        "PIP_LOG": None,
        "PIP_CACHE_DIR": None,
        "PIP_PROXY": None,
        "SOURCE_DATE_EPOCH": "1000000000",
        "PIP_NO_CACHE_DIR": "1",
        "https_proxy": "http://me:planted@proxy.example:8080",
        "TMPDIR": "/private",
    }
    kept = settings(
        {"PIP_CACHE_DIR": "/cache", "PIP_PROXY": "http://proxy"}, temporary=Path("/x"), without_cache=False
    )
    assert (kept["PIP_CACHE_DIR"], kept["PIP_PROXY"]) == ("/cache", "http://proxy")
    assert "PIP_NO_CACHE_DIR" not in kept and "https_proxy" not in kept


def test_a_job_without_requirements_has_the_wheels_of_the_runtime_and_needs_no_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    manifest = manifest_of({"name": "job"}, name="job", folder=tmp_path)
    private, runtime = tmp_path / "private", tmp_path / "runtime"
    private.mkdir()
    files = [wheel(runtime, "pyjob", "0.1.0"), wheel(runtime, "tiny-server", "1.5")]
    ready = prepared(manifest, build_environment(manifest, {}, cwd=tmp_path), private)
    found = gather(ready, tmp_path / "wheels", runtime=runtime, log=tmp_path / "log", report=print)
    assert [distribution(file) for file in found] == ["pyjob", "tiny-server"]
    assert [file.read_bytes() for file in found] == [file.read_bytes() for file in files]


def test_a_python_without_pip_is_told_how_to_get_one(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        BuildError, match=r"has no pip, which gathers the requirements: run `.* -m ensurepip`"
    ):
        build("leaf\n")


def test_a_destination_that_cannot_be_written_is_an_error(build: Build) -> None:
    (build.folder / "wheels").write_text("in the way")
    with pytest.raises(BuildError, match=r"the requirements cannot be gathered: .*File exists"):
        build("leaf\n")
