"""`pyjob render dockerfile`: as builders read it, and linted; what needs no engine is run.

There is no container engine here, so that no image is built.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

import pyjob
from pyjob.cli import main
from pyjob.deploy.base_image import base_image
from pyjob.deploy.dockerfile import dockerfile_of_pex
from pyjob.deploy.service import IMAGE_USER, TEMPORARY_FOLDER, WORK_FOLDER, service_of
from pyjob.manifest import manifest_of
from tests.conftest import MakeJob
from tests.servers import pyjob_run, started

HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
CODE = "class Job:\n    def perform(self): ...\n"
BUILD_SECRET = "s3cret-of-the-build"
SECRET = "s3cret-of-the-job"


class Rendered(NamedTuple):
    out: str
    err: str


Render = Callable[..., Rendered]


@pytest.fixture
def rendered(capsys: pytest.CaptureFixture[str]) -> Render:
    """What `pyjob render dockerfile` says of a job."""

    def rendered(*arguments: str | Path) -> Rendered:
        capsys.readouterr()
        assert main(["render", "dockerfile", *map(str, arguments)]) == 0
        return Rendered(*capsys.readouterr())

    return rendered


@pytest.fixture
def full_job(make_job: MakeJob) -> Path:
    """A job that has everything that a Dockerfile can be made of."""
    return make_job(
        CODE,
        name="House.Price",
        extra={"python_version": "'3.12'", "debian_version": "bookworm", "requirements_path": "libs.txt"},
        fields="""\
            version: 1.2.3-rc.1+5
            build_env: {INDEX: build-value}
            runtime_env: {MODE: run-value}
            secret_build_env_file: .env.build
            secret_runtime_env_file: .env
            system_dependencies: [libgomp1, "g++", "libpq5=15.6-0+deb12u1"]
            labels: {team: 'a "b" \\ $HOME `x`', "org.example/tier": 3, active: true}
        """,
        files={
            "libs.txt": "numpy\n",
            ".env.build": f"TOKEN={BUILD_SECRET}\n",
            ".env": f"PASSWORD={SECRET}\n",
        },
    )


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile as builders read it: comments go, lines that end with a backslash go on."""
    lines = [line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", "", "\n".join(lines))
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.split("\n"))]


def of_kind(text: str, kind: str) -> list[str]:
    return [rest for word, rest in instructions(text) if word == kind]


def labels(text: str) -> dict[str, str]:
    """Names and values of all labels, with what quotes and backslashes mean taken off."""
    pairs = re.findall(r'([^\s="]+)="((?:[^"\\]|\\.)*)"', " ".join(of_kind(text, "LABEL")))
    return {name: re.sub(r"\\(.)", r"\1", value) for name, value in pairs}


def final_stage(text: str) -> str:
    return "FROM " + text.rpartition("\nFROM ")[2]


# What is in the image.


def test_the_base_is_python_of_the_manifest_on_its_release(rendered: Render, full_job: Path) -> None:
    text = rendered(full_job).out
    base = "python:3.12-slim-bookworm"
    assert of_kind(text, "FROM") == [f"{base} AS build", base]


@pytest.mark.parametrize(
    ("extra", "image"),
    [
        ({}, f"python:{HERE}-slim-bookworm"),
        ({"python_version": "3.13"}, "python:3.13-slim-bookworm"),
        ({"python_version": "3.11.9", "debian_version": "slim-bullseye"}, "python:3.11.9-slim-bullseye"),
        ({"debian_version": "13"}, f"python:{HERE}-slim-trixie"),
    ],
    ids=["none", "python", "as Racetrack has it", "by number"],
)
def test_what_the_manifest_does_not_say_has_a_default(
    extra: dict[str, str], image: str, tmp_path: Path
) -> None:
    assert base_image(manifest_of({"jobtype_extra": extra}, name="job", folder=tmp_path)) == image


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("python_version", value) for value in ("3.9", "2.7", "3", "3.12-rc", "3.11 AS x", "latest")),
        *(("debian_version", value) for value in ("alpine", "slim", "bookworm AS x", "ubuntu22")),
    ],
)
def test_what_names_no_base_is_an_error_with_its_place(
    field: str, value: str, make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_job(CODE, extra={field: f"'{value}'"})
    assert main(["render", "dockerfile", str(folder)]) == 1
    said = capsys.readouterr()
    assert re.search(rf'job.yaml:9: jobtype_extra.{field}: expected .*, found "{value}"', said.err)
    assert not said.out


def test_an_old_python_is_a_warning_of_other_commands(tmp_path: Path) -> None:
    manifest = manifest_of({"jobtype_extra": {"python_version": "3.9"}}, name="job", folder=tmp_path)
    assert 'jobtype_extra.python_version: "3.9" is no version of Python from 3.11' in str(
        manifest.warnings[0]
    )


@pytest.mark.parametrize(
    "image", ["python:3.12-slim", "registry.example:5000/team/python:3.12", f"python@sha256:{'0' * 64}"]
)
def test_another_base_is_taken_as_it_is(image: str, rendered: Render, full_job: Path) -> None:
    text = rendered(full_job, "--base-image", image).out
    assert of_kind(text, "FROM") == [f"{image} AS build", image]


def test_an_image_runs_without_root_and_with_folders_of_its_own(rendered: Render, full_job: Path) -> None:
    stage = final_stage(rendered(full_job).out)
    assert of_kind(stage, "USER") == [f"{IMAGE_USER}:{IMAGE_USER}"]
    assert of_kind(stage, "WORKDIR") == [WORK_FOLDER]
    assert f"--uid {IMAGE_USER}" in stage
    assert f"install --directory --owner=job --group=job {WORK_FOLDER}" in stage
    assert f"TMPDIR={TEMPORARY_FOLDER}" in of_kind(stage, "ENV")[0]


def test_signals_reach_the_server_and_options_of_run_may_follow(rendered: Render, full_job: Path) -> None:
    stage = final_stage(rendered(full_job).out)
    (copied,) = of_kind(stage, "COPY")
    (entry,) = of_kind(stage, "ENTRYPOINT")
    assert json.loads(entry) == [copied.split()[-1]]  # no shell
    assert json.loads(of_kind(stage, "CMD")[0]) == ["--workdir", WORK_FOLDER]
    assert of_kind(stage, "STOPSIGNAL") == ["SIGTERM"]
    assert of_kind(stage, "EXPOSE") == ["7000"]


@pytest.mark.parametrize(("port", "exposed"), [("8000", "8000"), ("x');", "7000")])
def test_the_port_is_that_of_the_manifests_environment(
    port: str, exposed: str, rendered: Render, make_job: MakeJob
) -> None:
    stage = final_stage(rendered(make_job(CODE, fields=f'runtime_env: {{PORT: "{port}"}}')).out)
    assert of_kind(stage, "EXPOSE") == [exposed]
    assert f"os.environ.get('PORT') or {exposed})" in of_kind(stage, "HEALTHCHECK")[0]


def test_the_image_says_what_it_is_and_nothing_of_a_login(rendered: Render, make_job: MakeJob) -> None:
    folder = make_job(CODE)
    manifest = (folder / "job.yaml").read_text().replace("https://", "https://bot:pa55word@")
    (folder / "job.yaml").write_text(manifest)
    text = rendered(folder).out
    assert labels(text) == {
        "org.opencontainers.image.title": "sample",
        "org.opencontainers.image.version": "0.0.1",
        "org.opencontainers.image.source": "https://example.com/team/sample",
        "org.opencontainers.image.revision": "${REVISION}",
    }
    assert "pa55word" not in text


def test_labels_of_the_manifest_are_labels_of_the_image(rendered: Render, full_job: Path) -> None:
    found = labels(rendered(full_job).out)
    assert found["team"] == 'a "b" \\ $HOME `x`'
    assert (found["org.example/tier"], found["active"]) == ("3", "true")


def test_a_label_that_an_image_cannot_have_is_told_and_left_out(rendered: Render, make_job: MakeJob) -> None:
    odd = {"two words": "a", "list": [1], "lines": "a\nUSER root", "none": None, "a=b": "c", "ok": "d"}
    said = rendered(make_job(CODE, fields=f"labels: {json.dumps(odd)}"), "--pex", "job.pex")
    assert [name for name in labels(said.out) if "." not in name] == ["ok"]
    assert said.err.count("pyjob: warning: ") == len(odd) - 1
    assert 'labels."two words": not in the image' in said.err


# Building.


def test_packages_of_debian_come_into_the_image_and_leave_no_lists(rendered: Render, full_job: Path) -> None:
    (command,) = (one for one in of_kind(final_stage(rendered(full_job).out), "RUN") if "apt-get" in one)
    assert " satisfy --yes --no-install-recommends " in command
    words = re.split(r"\s{2,}", command.partition("--no-install-recommends")[2])
    assert [word for word in words if word.strip()][:3] == [
        "libgomp1",
        "g++",
        "'libpq5 (= 15.6-0+deb12u1)'",
    ]
    assert command.endswith("rm -rf /var/lib/apt/lists/*")


def test_compilers_are_for_requirements_that_may_need_them(
    rendered: Render, full_job: Path, make_job: MakeJob
) -> None:
    assert "build-essential" in rendered(full_job).out
    assert "build-essential" not in final_stage(rendered(full_job).out)
    assert "build-essential" not in rendered(full_job, "--wheelhouse", "wheels").out
    assert "apt-get" not in rendered(make_job(CODE, name="plain")).out


def test_pyjob_comes_from_no_index(rendered: Render, full_job: Path) -> None:
    installing = [one for one in of_kind(rendered(full_job).out, "RUN") if "pip install" in one]
    assert len(installing) == 1
    assert "--no-index --find-links=/wheelhouse" in installing[0]
    assert f"pyjob[asgi,build,docs,fast]=={pyjob.__version__}" in installing[0]


def test_a_wheelhouse_stands_in_for_every_index(rendered: Render, full_job: Path) -> None:
    *_, build = (
        one for one in of_kind(rendered(full_job, "--wheelhouse", "wheels").out, "RUN") if "/src" in one
    )
    assert build.endswith("pyjob build /src --output /job.pex --wheelhouse /wheelhouse")
    assert "--mount=type=bind,source=wheels,target=/wheelhouse" in build
    assert "--wheelhouse" not in rendered(full_job).out.split("\nFROM")[1]


def test_secrets_are_mounted_for_one_command_and_are_in_nothing_else(
    rendered: Render, full_job: Path
) -> None:
    said = rendered(full_job)
    mounted = [one for one in instructions(said.out) if "type=secret" in one[1]]
    assert [word for word, _ in mounted] == ["RUN"]
    assert "--mount=type=secret,id=build_env,target=/src/.env.build,required=true" in mounted[0][1]
    # No instruction puts the folder, or anything but the .pex, into a layer.
    assert of_kind(said.out, "COPY") == ["--from=build --chmod=0555 /job.pex /opt/pyjob/job.pex"]
    assert not of_kind(said.out, "ADD")
    for value in (BUILD_SECRET, SECRET, "build-value", "run-value", "TOKEN", "PASSWORD"):
        assert value not in said.out + said.err


def test_a_pex_is_all_that_an_image_of_one_gets(rendered: Render, full_job: Path) -> None:
    text = rendered(full_job, "--pex", "dist/job.pex").out
    assert len(of_kind(text, "FROM")) == 1
    assert of_kind(text, "COPY") == ["--chmod=0555 dist/job.pex /opt/pyjob/job.pex"]
    assert rendered(full_job, "--pex", "dist/job.pex", "--ignore-file").out.splitlines()[1:] == [
        "*",
        "!dist/job.pex",
    ]


def test_the_ignore_file_names_secrets_and_history(rendered: Render, full_job: Path) -> None:
    (full_job.parent / ".git").mkdir()
    manifest = (full_job / "job.yaml").read_text().replace(".env.build", "'!keys[1]*.txt'")
    (full_job / "job.yaml").write_text(manifest)
    with pytest.raises(AssertionError):  # a Dockerfile cannot mount that one
        rendered(full_job, "--ignore-file")
    (full_job / "job.yaml").write_text(manifest.replace("'!keys[1]*.txt'", "keys.txt"))
    lines = rendered(full_job, "--ignore-file").out.splitlines()
    assert {"/House.Price/keys.txt", "/House.Price/.env", "**/.git", "**/.env.*", "!**/*.dist"} < {*lines}


def test_the_root_of_the_repository_is_what_an_image_is_built_in(rendered: Render, full_job: Path) -> None:
    (full_job.parent / ".git").mkdir()
    text = rendered(full_job).out
    assert "pyjob build /src/House.Price --output /job.pex" in text
    assert "target=/src/House.Price/.env.build," in text
    assert "--secret id=build_env,src=House.Price/.env.build" in text
    assert "-r House.Price/libs.txt" in rendered(full_job, "--wheelhouse", "wheels").out


def test_a_file_that_is_named_is_what_is_built(rendered: Render, full_job: Path) -> None:
    shutil.move(full_job / "job.yaml", full_job / "other.yaml")
    text = rendered(full_job / "other.yaml").out
    assert "pyjob build /src/other.yaml --output /job.pex" in text
    assert "target=/src/.env.build," in text


@pytest.mark.parametrize("options", [(), ("--wheelhouse", "wheels")], ids=["an index", "a wheelhouse"])
def test_paths_that_a_dockerfile_cannot_take_are_errors(
    options: Sequence[str], make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_job(CODE, fields="secret_build_env_file: 'a,dst=/x y'")
    assert main(["render", "dockerfile", str(folder), *options]) == 1
    said = capsys.readouterr()
    assert "secret_build_env_file: expected letters, digits and -._@+/" in said.err
    assert not said.out


@pytest.mark.parametrize(
    "options",
    [
        *(
            ("--pex", path)
            for path in ("/job.pex", "../job.pex", "a b.pex", "-x", "a\nUSER root", "", "a/./b")
        ),
        *(("--wheelhouse", path) for path in ("/wheels", "..", "$HOME")),
        *(
            ("--base-image", image)
            for image in ("python", "python:latest", "a:1 AS x", "a:1\nUSER root", "h:5/a")
        ),
        ("--pex", "a.pex", "--wheelhouse", "b"),
    ],
    ids=repr,
)
def test_wrong_usage_is_status_2(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["render", "dockerfile", *options])
    assert ended.value.code == 2
    assert "usage: pyjob render dockerfile" in capsys.readouterr().err


# Hostile values.

Odd = st.text(st.sampled_from("a\"'\\$`#= \t\n\r\u2028é{}<>&;|%!\x00\x1b") | st.characters(), max_size=30)


@settings(max_examples=60)
@given(labelled=st.dictionaries(st.sampled_from(["a", "b.c"]) | Odd, Odd, max_size=4), remote=Odd)
def test_whatever_the_manifest_says_no_instruction_comes_of_it(
    labelled: dict[str, str], remote: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("job")
    document = {
        "name": "job",
        "owner_email": "a@b",
        "jobtype": "python3:latest",
        "git": {"remote": f"https://{remote}" if remote.isprintable() else "https://x"},
        "jobtype_extra": {"entrypoint_path": "job.py"},
        "labels": labelled,
    }
    (folder / "job.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    service = service_of(folder, None, cwd=folder)
    text = dockerfile_of_pex(service, "python:3.12-slim-bookworm", "job.pex")
    kinds = [word for word, _ in instructions(text)]
    assert kinds == [
        *("FROM", "RUN", "COPY", "ARG", "LABEL", "ENV", "WORKDIR", "USER", "EXPOSE", "STOPSIGNAL"),
        *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
    ]
    read = labels(text)
    for name, value in labelled.items():
        if name in read:
            assert read[name] == value
    # A dollar with nothing before it would be a variable of the builder.
    assert [*re.findall(r"(?<!\\)(?:\\\\)*\$", of_kind(text, "LABEL")[0])] == ["$"]  # REVISION


# What others say of it.


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing_whatever_the_job(
    rendered: Render, full_job: Path, make_job: MakeJob, tmp_path: Path
) -> None:
    plain = make_job(CODE, name="plain")
    requiring = make_job(CODE, name="1.UPPER_case", extra={"requirements_path": "r.txt"})
    (full_job.parent / ".git").mkdir()  # in the root of the repository, paths have a folder in front
    ways = [(), ("--pex", "job.pex"), ("--wheelhouse", "wheels"), ("--base-image", "r.example:5000/a:1")]
    files = []
    for number, (job, way) in enumerate((job, way) for job in (plain, requiring, full_job) for way in ways):
        files.append(tmp_path / f"{number}.Dockerfile")
        files[-1].write_text(rendered(job, *way).out)
    assert lint(*files) == ""
    files[0].write_text(files[0].read_text().replace("--no-cache-dir", ""))
    assert "DL3042" in lint(*files)


def lint(*files: Path) -> str:
    """What hadolint says, by no configuration and with no exceptions."""
    assert HADOLINT is not None
    config = files[0].with_name("hadolint.yaml")
    config.write_text("ignored: []\n")
    options = ("--no-color", "--disable-ignore-pragma", "--config", str(config))
    command = [HADOLINT, *options, *map(str, files)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (ended.returncode != 0) == bool(ended.stdout), ended.stderr
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("failing", [False, True], ids=["alive", "failed to load"])
def test_its_health_check_knows_whether_the_job_lives(
    failing: bool, rendered: Render, make_job: MakeJob
) -> None:
    folder = make_job("raise ValueError('no model')" if failing else CODE)
    (check,) = of_kind(rendered(folder).out, "HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[0] == "python"
    with started(pyjob_run(folder)) as server:
        server.wait_until("/live" if failing else "/ready", 500 if failing else 200)
        asked = [sys.executable, *command[1:]]
        # A proxy of the container's is not to be asked.
        environment = {
            "PORT": str(server.port),
            "http_proxy": "http://127.0.0.1:9",
            "PATH": os.environ["PATH"],
        }
        status = subprocess.run(asked, env=environment, capture_output=True, timeout=60).returncode
    assert (status != 0) == failing


def test_commands_of_the_stages_are_right_for_a_shell(rendered: Render, full_job: Path) -> None:
    for run in of_kind(rendered(full_job).out, "RUN"):
        script = re.sub(r"--mount=\S+", "", run)
        assert subprocess.run(["sh", "-n", "-c", script], timeout=60, check=False).returncode == 0, script
