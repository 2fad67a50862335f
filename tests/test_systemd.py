"""`pyjob render systemd`: verified by systemd-analyze, and a job under the unit's filter of system calls.

systemd itself does not run here: what a unit confines beside system calls is read, not tried.
"""

from __future__ import annotations

import ctypes.util
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyjob.cli import main
from tests.conftest import MakeJob
from tests.servers import ask, pyjob_run, started

ANALYZE = shutil.which("systemd-analyze")
SECCOMP = ctypes.util.find_library("seccomp")
CODE = "class Job:\n    def perform(self): ...\n"
MOST_EXPOSURE = 2.0  # of 10; what systemd-analyze calls OK ends at 5

Printed = Callable[..., str]

# Lets this process and what it becomes make the system calls that it is given the names of, and no others.
CONFINED = """
import ctypes, os, sys

names, command = sys.argv[2].split(","), sys.argv[3:]
seccomp = ctypes.CDLL(sys.argv[1])
seccomp.seccomp_init.restype = ctypes.c_void_p
NOT_PERMITTED, PERMITTED, NO_NEW_PRIVILEGES = 0x00050001, 0x7FFF0000, 38
rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(NOT_PERMITTED)))
for name in names:
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        assert not seccomp.seccomp_rule_add(rules, ctypes.c_uint32(PERMITTED), number, 0), name
assert not ctypes.CDLL(None).prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
assert not seccomp.seccomp_load(rules)
os.execv(command[0], command)
"""


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """The unit that `pyjob render systemd` prints of a job."""

    def printed(*arguments: str | Path) -> str:
        capsys.readouterr()
        assert main(["render", "systemd", *map(str, arguments)]) == 0
        return capsys.readouterr().out

    return printed


@pytest.fixture
def full_job(make_job: MakeJob) -> Path:
    """A job that has everything that a unit can be made of."""
    return make_job(
        CODE,
        name="House.Price",
        fields="""\
            version: 1.2.3-rc.1+5
            secret_runtime_env_file: "a % b.env"
            resources: {memory_max: 1.5Gi, cpu_max: 500m}
        """,
        files={"a % b.env": "PASSWORD=s3cret-of-the-job\n"},
    )


def settings(unit: str) -> dict[str, list[str]]:
    """The settings of a unit, each with its values in their order."""
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if line and line[0] not in "#[":
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def only(unit: str, name: str) -> str:
    (value,) = settings(unit)[name]
    return value


def test_it_runs_the_pex_until_it_ends_well(printed: Printed, make_job: MakeJob) -> None:
    unit = printed(make_job(CODE, name="house-price"))
    assert only(unit, "ExecStart") == (
        "/opt/pyjob/house-price.pex --host 127.0.0.1 --port 7000 --workdir %C/pyjob/house-price/work "
        "--grace 30 --drain-delay 0 --fail-fast"
    )
    assert only(unit, "CacheDirectory") == "pyjob/house-price/work pyjob/house-price/temporary"
    folders = "TMPDIR=%C/pyjob/house-price/temporary HOME=%C/pyjob/house-price/work"
    assert folders in settings(unit)["Environment"]
    assert (only(unit, "Type"), only(unit, "Restart")) == ("exec", "on-failure")
    assert only(unit, "DynamicUser") == "yes"
    assert "LoadCredential" not in settings(unit)


def test_the_options_of_a_unit_are_options_that_pyjob_run_has(printed: Printed, make_job: MakeJob) -> None:
    words = only(printed(make_job(CODE)), "ExecStart").split()[1:]
    own = {"--workdir"}  # of the .pex alone
    assert words.pop() == "--fail-fast"
    served = [one for one in zip(words[::2], words[1::2], strict=True) if one[0] not in own]
    with pytest.raises(SystemExit) as ended:
        main(["run", *(word for pair in served for word in pair), "--fail-fast", "--help"])
    assert ended.value.code == 0


def test_it_has_more_time_to_end_than_its_calls(printed: Printed, make_job: MakeJob) -> None:
    unit = printed(make_job(CODE), "--grace", "119.5", "--drain-delay", "10")
    assert only(unit, "ExecStart").endswith("--grace 119.5 --drain-delay 10 --fail-fast")
    assert only(unit, "TimeoutStopSec") == "135s"
    assert only(unit, "KillMode") == "mixed"


def test_secrets_are_a_credential_and_nothing_of_them_is_in_the_unit(
    printed: Printed, full_job: Path
) -> None:
    unit = printed(full_job)
    (credential,) = settings(unit)["LoadCredential"]
    assert re.fullmatch(r"runtime\.env:/etc/pyjob/house-price-[0-9a-f]{8}\.env", credential)
    assert "PYJOB_RUNTIME_ENV_FILE=%d/runtime.env" in settings(unit)["Environment"]
    assert "s3cret" not in unit
    assert "PASSWORD" not in unit


def test_resources_of_the_manifest_are_limits(printed: Printed, full_job: Path) -> None:
    unit = printed(full_job)
    assert only(unit, "MemoryMax") == str(3 * 2**29)
    assert only(unit, "CPUQuota") == "50%"


@pytest.mark.parametrize(
    ("resources", "field"),
    [("{memory_max: 512m}", "memory_max"), ("{cpu_max: 500u}", "cpu_max"), ("{memory_max: 0}", "memory_max")],
)
def test_resources_that_are_too_little_for_any_process_are_errors(
    resources: str, field: str, make_job: MakeJob, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_job(CODE, fields=f"resources: {resources}")
    assert main(["render", "systemd", str(folder)]) == 1
    said = capsys.readouterr()
    assert f"job.yaml:6: resources.{field}: expected at least" in said.err
    assert not said.out


def test_a_limit_that_no_machine_has_is_none(printed: Printed, make_job: MakeJob) -> None:
    found = settings(printed(make_job(CODE, fields="resources: {memory_max: 100E, cpu_max: 1M}")))
    assert not {"MemoryMax", "CPUQuota"} & found.keys()


def test_instances_of_a_template_have_ports_and_folders_of_their_own(
    printed: Printed, make_job: MakeJob
) -> None:
    unit = printed(make_job(CODE, name="house-price"), "--template")
    assert "--port %i --workdir %C/pyjob/house-price-%i/work" in only(unit, "ExecStart")
    assert only(unit, "CacheDirectory") == "pyjob/house-price-%i/work pyjob/house-price-%i/temporary"
    assert "/house-price@.service" in unit


@pytest.mark.parametrize(
    "options",
    [
        *(("--pex", path) for path in ("job.pex", "", "/a\nExecStartPre=/bin/x", "/a b", "/$HOME", "/%h")),
        *(("--host", host) for host in ("", "a\n", "$HOME", "%h", "a b")),
        ("--port", "7001", "--template"),
        *(("--port", port) for port in ("0", "443")),
        ("--grace", "-1"),
    ],
    ids=repr,
)
def test_wrong_usage_is_status_2(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["render", "systemd", *options])
    assert ended.value.code == 2
    assert "usage: pyjob render systemd" in capsys.readouterr().err


# What systemd says of it.


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("options", [(), ("--template",)], ids=["a unit", "a template"])
def test_systemd_verifies_it_without_a_word(
    options: tuple[str, ...], printed: Printed, full_job: Path, tmp_path: Path
) -> None:
    pex = tmp_path / "job.pex"  # it looks whether that can be run
    pex.write_text("#!/bin/sh\n")
    pex.chmod(pex.stat().st_mode | stat.S_IXUSR)
    file = tmp_path / ("job@7001.service" if options else "job.service")
    file.write_text(printed(full_job, "--pex", pex, *options))
    assert analyzed("verify", str(file)) == ""
    file.write_text(file.read_text().replace("ProtectHome=yes", "ProtectHome=perhaps"))
    assert "Failed to parse" in analyzed("verify", str(file))


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_little_is_exposed(printed: Printed, full_job: Path, tmp_path: Path) -> None:
    file = tmp_path / "job.service"
    file.write_text(printed(full_job))
    told = analyzed("security", "--offline=true", "--threshold=20", str(file))
    exposure = re.search(r"Overall exposure level for job\.service: (\S+)", told)
    assert exposure, told
    assert float(exposure[1]) <= MOST_EXPOSURE


def analyzed(*arguments: str) -> str:
    assert ANALYZE is not None
    ended = subprocess.run(
        [ANALYZE, "--no-pager", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    return ended.stdout + ended.stderr


def system_calls(unit: str) -> set[str]:
    """The system calls that a unit lets through: its first filter, less what the others take off."""
    first, *others = settings(unit)["SystemCallFilter"]
    allowed = group(first)
    for other in others:
        allowed -= group(other.removeprefix("~"))
    return allowed | group("@default")


def group(name: str) -> set[str]:
    told = analyzed("syscall-filter", name).splitlines()[1:]
    words = [line.strip() for line in told if line.strip() and not line.strip().startswith("#")]
    return {word for word in words if word[0] != "@"}.union(
        *(group(word) for word in words if word[0] == "@")
    )


@pytest.mark.skipif(ANALYZE is None or SECCOMP is None, reason="systemd-analyze or seccomp is not installed")
def test_a_job_computes_under_the_units_filter_of_system_calls(
    printed: Printed, make_job: MakeJob, tmp_path: Path
) -> None:
    pytest.importorskip("numpy")
    code = """
        import os
        import subprocess
        from multiprocessing.pool import ThreadPool

        import numpy


        class Job:
            def perform(self) -> list:
                matrix = numpy.random.default_rng(1).random((300, 300))
                computed = bool(numpy.linalg.svd(matrix @ matrix)[1][0] > 0)
                with open("kept", "w") as file:
                    file.write("x")
                said = subprocess.run(["echo", "x"], capture_output=True, text=True).stdout
                with ThreadPool(2) as pool:
                    squares = pool.map(lambda number: number * number, [1, 2])
                try:
                    os.chown("kept", os.getuid(), os.getgid())
                except PermissionError:
                    return [computed, said, squares, "confined"]
    """
    folder = make_job(code)
    names = ",".join(sorted(system_calls(printed(folder))))
    launcher = tmp_path / "confined.py"
    launcher.write_text(CONFINED)
    command = [sys.executable, str(launcher), str(SECCOMP), names, *pyjob_run(folder)]
    with started(command) as server:
        server.wait_until("/ready", 200)
        status, _, answer = ask(server, "POST", "/perform", b"{}")
    assert (status, answer) == (200, [True, "x\n", [1, 4], "confined"]), server.output
