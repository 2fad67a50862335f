"""A built file at work: served, called, on machines that have nothing."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock
from urllib.parse import urljoin

import pytest

from pyjob.bundle.folder import working_folder
from pyjob.ship.packing.archive import read_archive, write_archive
from pyjob.ship.packing.preamble import MIXING, machine_here, own_folder, start
from tests.built import built, job_in, ran
from tests.repositories import committed, git, needs_git, repository
from tests.servers import PATIENCE, ask, started
from tests.stores import until

pytest.importorskip("pex")
pytestmark = needs_git

PYTHON = "{}.{}".format(*sys.version_info)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built")


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the built file unpacks its packages, for all tests."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def file(home: Path) -> Path:
    fields = "secret_runtime_env_file: .env\nruntime_env: {LOG_LEVEL: debug}\npublic_endpoints: [/folder]"
    job = job_in(home / "job", fields=fields)
    (job / ".env.dist").write_text("PASSWORD=\n")
    (job / ".gitignore").write_text(".env\n")
    committed(repository(job))
    built(job, "-o", "doubler.pex", cwd=home)
    (home / ".env").write_text("PASSWORD=correct-horse-battery\n")
    return home / "doubler.pex"


@pytest.fixture(scope="module")
def commit(file: Path) -> str:
    return git(file.parent / "job", "rev-parse", "HEAD").strip()


def test_it_serves_as_pyjob_run_does(file: Path, temporary: Path, commit: str) -> None:
    command = [str(file), "--host", "127.0.0.1", "--port", "0", "--self-test"]
    with started([sys.executable, *command], cwd=file.parent, env={"TMPDIR": str(temporary)}) as server:
        server.wait_until("/ready", 200)
        assert ask(server, "POST", "/perform", b'{"x": 4}')[2] == 8
        assert ask(server, "GET", "/health")[2]["git_version"] == commit
        folder = Path(ask(server, "POST", "/folder")[2])
        assert folder.is_relative_to(temporary)
        assert (folder / "written").exists(), "the working directory can be written to"
        assets = re.findall(r'(?:src|href)="([^"]+)"', ask(server, "GET", "/docs")[2].decode())
        assert len(assets) >= 3
        for asset in assets:
            assert ask(server, "GET", urljoin("/docs", asset))[0] in (200, 307), asset
        assert server.stop() == 0
    assert not folder.exists()


def test_ctrl_c_while_it_unpacks_is_no_error(file: Path, tmp_path: Path) -> None:
    ran(file, "--version", temporary=tmp_path)
    (unpacked,) = tmp_path.glob("pyjob-*/*/")
    held = os.open(unpacked, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # as one that cleans up has it: the start waits for that
    try:
        command, environment = [sys.executable, str(file)], {"TMPDIR": str(tmp_path)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            descriptors = Path(f"/proc/{process.pid}/fd")
            until(lambda: unpacked in [one.resolve() for one in descriptors.iterdir()])
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=PATIENCE)[1] == ""
            assert process.returncode == 130
    finally:
        os.close(held)


def test_the_folder_that_is_asked_for_stays(file: Path, temporary: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = ("--workdir", str(kept), "call", "/folder")
    assert json.loads(ran(file, *command, temporary=temporary).stdout) == str(kept)
    (kept / "fetched").write_text("mine")
    (kept / "factor.txt").write_text("3")
    (kept / "of_an_earlier_version.py").write_text("")
    with (kept / ".pyjob-files").open("a") as listing:
        listing.write("of_an_earlier_version.py\n../outside\n")
    (tmp_path / "outside").touch()
    ran(file, *command, temporary=temporary)
    assert (kept / "fetched").read_text() == "mine"
    assert (kept / "factor.txt").read_text() == "2", "what is packed is written anew"
    assert not (kept / "of_an_earlier_version.py").exists()
    assert (tmp_path / "outside").exists()


def test_a_folder_that_stays_is_taken_up_after_a_start_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model").write_text("whole")
    write_archive(tmp_path / "job.tar", tmp_path, [tmp_path / "model"], 0)

    def killed(_archive: Path, folder: Path) -> None:
        (folder / "model").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pyjob.bundle.folder.read_archive", killed)
        with pytest.raises(KeyboardInterrupt), working_folder(tmp_path / "job.tar", tmp_path / "kept"):
            pytest.fail("it was killed")
    with working_folder(tmp_path / "job.tar", tmp_path / "kept") as folder:
        assert (folder / "model").read_text() == "whole"


def test_a_folder_of_something_else_is_not_written_to(file: Path, temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "job.py").write_text("mine")
    ended = ran(file, "--workdir", str(tmp_path), "call", temporary=temporary)
    assert f"--workdir {tmp_path}: expected an empty folder" in ended.stderr
    assert (tmp_path / "job.py").read_text() == "mine"


def test_one_that_is_served_can_be_called_with_it(file: Path, temporary: Path, tmp_path: Path) -> None:
    for target in ("http://127.0.0.1:1", ":1", "127.0.0.1:1", "localhost:1"):
        ended = ran(file, "call", target, "x:=1", temporary=temporary)
        assert ended.returncode == 1
        assert ":1" in ended.stderr


def test_it_calls_checks_and_tells_its_version(file: Path, temporary: Path, commit: str) -> None:
    assert ran(file, "call", "x:=4", temporary=temporary).stdout.strip() == "8.0"
    assert ran(file, "call", "--example", temporary=temporary).stdout.strip() == "42.0"
    checked = ran(file, "check", "--run", temporary=temporary)
    assert checked.returncode == 0, checked.stdout
    version = ran(file, "--version", temporary=temporary).stdout
    assert version.startswith(f"doubler 0.0.1, commit {commit} (pyjob ")
    assert "waitress" in ran(file, "version", temporary=temporary).stdout


def test_it_lists_its_public_endpoints(file: Path, temporary: Path, tmp_path: Path) -> None:
    store = str(tmp_path / "access.db")
    assert ran(file, "access", "init", store, temporary=temporary).returncode == 0
    listed = ran(file, "access", "requests", "--file", store, "--json", temporary=temporary)
    [request] = json.loads(listed.stdout)
    told = (request["job"], request["version"], request["endpoint"], request["approved"])
    assert told == ("doubler", "0.0.1", "/api/v1/folder", False)


def test_its_help_names_the_commands_and_the_options_are_those_of_run(file: Path, temporary: Path) -> None:
    told = ran(file, "--help", temporary=temporary).stdout
    for word in ("call", "check", "access", "--workdir", "PYJOB_RUNTIME_ENV_FILE", f"Python {PYTHON}"):
        assert word in told
    assert "--drain-delay" in ran(file, "run", "--help", temporary=temporary).stdout


def test_it_prints_what_runs_it(file: Path, temporary: Path) -> None:
    assert "ExecStart=/opt/pyjob/doubler.pex " in ran(file, "render", "systemd", temporary=temporary).stdout
    image = ran(file, "render", "dockerfile", temporary=temporary).stdout
    assert "COPY --chmod=0555 doubler.pex /opt/pyjob/job.pex" in image


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces of its own")
def test_the_first_process_of_a_container_hears_of_its_end_while_it_unpacks(tmp_path: Path) -> None:
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    code = (
        "import os, signal\nfrom pyjob.ship.packing import preamble\n"
        "preamble._unpack = lambda *_: os.kill(os.getpid(), signal.SIGTERM)\n"
        "preamble.start(preamble.python_here(), preamble.machine_here(), 'identity', 'module', 'folder')"
    )
    ended = subprocess.run(
        ["unshare", "--pid", "--fork", sys.executable, "-c", code],
        env={"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if "Operation not permitted" in ended.stderr:
        pytest.skip("namespaces are not allowed here")
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["chekc"], "there is no command 'chekc': there are run, check, call"),
        (["--port", "80", "call"], "the command comes first: doubler.pex call ..."),
        (["run", "other"], "the job is inside, and no PATH is taken: 'other'"),
        (["--reload"], "a job in a built file does not change"),
        (["--prot", "80"], "did you mean --port"),
    ],
)
def test_wrong_usage_is_told(file: Path, temporary: Path, arguments: list[str], told: str) -> None:
    ended = ran(file, *arguments, temporary=temporary)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_without_its_secrets_it_says_where_they_are_looked_for(
    file: Path, temporary: Path, tmp_path: Path
) -> None:
    alone = shutil.copy(file, tmp_path)
    ended = ran(Path(alone), "call", temporary=temporary)
    assert ended.returncode == 1
    assert f"expected the file {tmp_path}/.env, or one that PYJOB_RUNTIME_ENV_FILE names" in ended.stderr
    assert ".env.dist" in ended.stderr
    empty = ran(Path(alone), "call", temporary=temporary, env={"PYJOB_RUNTIME_ENV_FILE": ""})
    assert empty.stderr == ended.stderr
    link = tmp_path / "link"
    link.symlink_to(file)
    assert ran(link, "call", temporary=temporary).stdout.strip() == "2.0", "beside what it leads to"
    for variables in (
        {"PYJOB_SECRETS": "environment", "PASSWORD": "secret"},
        {"PYJOB_RUNTIME_ENV_FILE": str(file.parent / ".env")},
    ):
        assert ran(Path(alone), "call", temporary=temporary, env=variables).stdout.strip() == "2.0"


def test_several_first_starts_at_once_all_work(file: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda x: ran(file, "call", f"x:={x}", temporary=tmp_path), range(3)))
    assert [one.stdout.strip() for one in ended] == ["0.0", "2.0", "4.0"]
    (own,) = tmp_path.iterdir()
    (root,) = own.iterdir()
    assert sorted(path.name.partition("-")[0] for path in root.iterdir()) == ["used", "venv"]


def test_packages_that_may_have_been_cleaned_away_are_unpacked_again(file: Path, tmp_path: Path) -> None:
    assert ran(file, "call", temporary=tmp_path).returncode == 0
    (root,) = tmp_path.glob("pyjob-*/*")
    for waitress in root.glob("venv-*/lib/*/site-packages/waitress"):
        shutil.rmtree(waitress)
    os.utime(root / "used", (0, 0))
    assert ran(file, "call", temporary=tmp_path).stdout.strip() == "2.0"


def test_a_process_that_was_killed_leaves_nothing_for_long(file: Path, temporary: Path) -> None:
    command = [sys.executable, str(file), "--host", "127.0.0.1", "--port", "0"]
    with started(command, cwd=file.parent, env={"TMPDIR": str(temporary)}) as server:
        server.wait_until("/ready", 200)
        folder = Path(ask(server, "POST", "/folder")[2])
        os.utime(folder, (0, 0))
        assert ran(file, "call", temporary=temporary).returncode == 0
        assert folder.exists(), "it is in use"
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(PATIENCE)
    os.utime(folder, (0, 0))
    assert ran(file, "call", temporary=temporary).returncode == 0
    assert not folder.exists()


def test_a_folder_that_others_may_write_to_is_refused(file: Path, tmp_path: Path) -> None:
    own = tmp_path / f"pyjob-{os.getuid()}"
    own.mkdir()
    own.chmod(0o777)
    ended = ran(file, "--version", temporary=tmp_path)
    assert ended.returncode == 1
    assert f"{own}: expected a folder of this user alone" in ended.stderr
    own.rmdir()
    own.symlink_to("/var")
    assert "expected a folder of this user alone" in ran(file, "--version", temporary=tmp_path).stderr


@pytest.mark.parametrize(
    ("python", "machine", "told"),
    [
        ("3.9", machine_here(), f"needs Python 3.9, and this is {PYTHON}: python3.9 price.pex"),
        (PYTHON, "Linux vax", f"was built for Linux vax, and this is {machine_here()}"),
    ],
)
def test_another_python_or_machine_is_told_which_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, machine: str, told: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["price.pex"])
    with pytest.raises(SystemExit) as ended:
        start(python, machine, "identity", "module", "folder")
    assert str(ended.value).startswith(f"price.pex: {told}")


def test_variables_do_not_mix_what_is_here_with_what_is_inside(
    file: Path, temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "waitress.py").write_text("raise ImportError('the wrong one')")
    mixing = {"PYTHONPATH": str(tmp_path), "PYTHONEXECUTABLE": "/bin/false", "PEX_TOOLS": "0"}
    assert ran(file, "call", temporary=temporary, env=mixing).stdout.strip() == "2.0"


def test_what_a_process_left_that_was_killed_while_it_unpacked_is_removed(file: Path, tmp_path: Path) -> None:
    assert ran(file, "call", temporary=tmp_path).returncode == 0
    (root,) = tmp_path.glob("pyjob-*/*")
    (root / "part-of-another").mkdir()
    assert ran(file, "call", temporary=tmp_path).returncode == 0
    assert not (root / "part-of-another").exists()


def test_what_other_files_have_unpacked_goes_when_nobody_starts_them_any_more(
    file: Path, tmp_path: Path
) -> None:
    own = tmp_path / f"pyjob-{os.getuid()}"
    for name, age in (("old", 31), ("recent", 29)):
        (own / name / "venv-0").mkdir(parents=True)
        (own / name / "used").touch()
        used = time.time() - age * 86400
        os.utime(own / name / "used", (used, used))
    own.chmod(0o700)
    assert ran(file, "call", temporary=tmp_path).returncode == 0
    assert [(own / name / "venv-0").exists() for name in ("old", "recent")] == [False, True]


def test_a_damaged_file_says_so_and_leaves_nothing(file: Path, tmp_path: Path) -> None:
    content = bytearray(file.read_bytes())
    start = content.index(b".deps/werkzeug-") + 5000
    content[start : start + 50] = bytes(50)
    damaged = tmp_path / "damaged.pex"
    damaged.write_bytes(content)
    ended = ran(damaged, "--version", temporary=tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{damaged}: is damaged: ")
    (root,) = tmp_path.glob("pyjob-*/*")
    assert [path.name for path in root.iterdir()] == ["used"]


def test_a_place_where_nothing_can_be_unpacked_is_told_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="set TMPDIR"):
        own_folder()
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Path, "touch", Mock(side_effect=full))
    monkeypatch.setattr(sys, "argv", ["price.pex"])
    for name in MIXING:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit, match=r"price\.pex: cannot be unpacked: .*No space left .*TMPDIR"):
        start(PYTHON, machine_here(), "identity", "module", "folder")


def test_files_of_a_folder_that_stays_are_replaced_and_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "job").mkdir()
    for name in ("model", "link"):
        (tmp_path / "job" / name).write_text("new")
    write_archive(tmp_path / "job.tar", tmp_path / "job", [*(tmp_path / "job").iterdir()], 0)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "model").write_text("old")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "kept" / "link").symlink_to("../mine")
    with (tmp_path / "kept" / "model").open() as used:  # by another server, which may have it in memory
        read_archive(tmp_path / "job.tar", tmp_path / "kept")
        assert used.read() == "old"
    assert (tmp_path / "kept" / "model").read_text() == "new"
    assert (tmp_path / "mine").read_text() == "mine"


AIR_GAPPED = """
set -eu
mount --make-rprivate /
ip link set lo up
mount -t tmpfs tmpfs "$1"
chmod 1777 "$1"
while read -r _ _ _ _ point _; do
    case $point in "$1"|/proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$point" || true;; esac
done < /proc/self/mountinfo 2>/dev/null
if touch "$2" 2>/dev/null; then echo "still writable"; exit 3; fi
exec setpriv --reuid=65534 --regid=65534 --clear-groups env -i TMPDIR="$1" PYJOB_SECRETS=environment \
    "$3" "$4" --host 127.0.0.1 --port 0
"""
ASKING = """
import http.client, json, re, subprocess, sys, urllib.parse
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
said = ""
for line in process.stdout:
    said += line
    if found := re.search(r"http://127.0.0.1:(\\d+)", line):
        break
else:
    sys.exit(said)


def ask(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


while ask("GET", "/ready")[0] != 200:
    pass
status, page = ask("GET", "/docs")
assets = re.findall(r'(?:src|href)="([^"]+)"', page)
statuses = [ask("GET", urllib.parse.urljoin("/docs", asset))[0] for asset in assets]
outside = [asset for asset in assets if "//" in asset]
print(json.dumps([ask("POST", "/perform", '{"x": 4}'), status, outside, statuses]))
process.terminate()
process.wait()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces of its own")
def test_it_serves_where_there_is_no_network_no_home_and_nothing_to_write_to(
    file: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    # The one of the system, since another user may not look into root's home.
    python = f"/usr/bin/python{PYTHON}"
    lacking = [name for name in ("unshare", "ip", "setpriv") if shutil.which(name) is None]
    if lacking or not Path(python).exists():
        pytest.skip(f"not installed: {', '.join(lacking) or python}")
    # Below /tmp itself: another user may not look into pytest's folders either.
    public = Path(subprocess.run(["mktemp", "-d"], capture_output=True, text=True, check=True).stdout.strip())
    try:
        public.chmod(0o755)
        copy = Path(shutil.copy(file, public))
        copy.chmod(0o755)
        scratch = public / "scratch"
        scratch.mkdir()
        inside = ["bash", "-c", AIR_GAPPED, "air-gapped", str(scratch), str(public / "x"), python, str(copy)]
        ended = subprocess.run(
            ["unshare", "--net", "--mount", sys.executable, "-c", ASKING, *inside],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if "Operation not permitted" in ended.stderr:
            pytest.skip("namespaces are not allowed here")
        assert ended.returncode == 0, ended.stdout + ended.stderr
        answer, docs, outside, assets = json.loads(ended.stdout.splitlines()[-1])
        assert answer == [200, "8.0"]
        assert (docs, outside) == (200, [])
        assert len(assets) >= 3
        assert set(assets) <= {200, 307}
    finally:
        shutil.rmtree(public)


def test_it_needs_no_path(file: Path, tmp_path: Path) -> None:
    # As `env -i python3 FILE`: the interpreter does not know then where it is.
    ended = subprocess.run(
        ["python3", str(file), "call"],
        executable=Path(sys.executable).resolve(),
        env={"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.stdout.strip() == "2.0", ended.stderr
