"""`pyjob access`: the command that manages tokens and approvals, and what it says to bad input (SPEC 8.4)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pyjob.access.store import ledger as ledger_module
from pyjob.access.store.database import state_of
from pyjob.access.store.store import Store
from pyjob.cli import main
from tests.conftest import MakeJob

OWN = "a-token-that-somebody-brings"
EXACT_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

# The command in a process that may not do everything, or has little room.
UNPRIVILEGED = """
import os, sys
import pyjob.cli.access, pyjob.check.check
from pyjob.cli import main
if os.geteuid() == 0:
    os.setegid(65534), os.seteuid(65534)
sys.exit(main(sys.argv[1:]))
"""
LITTLE_ROOM = """
import resource, sys
from pyjob.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""
JOB = "class Job:\n    def perform(self): ...\n"


class Command:
    """`pyjob access` on one store, and what the last one printed."""

    def __init__(
        self, file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.file = file
        self.out = self.err = ""
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, stdin: bytes = b"") -> int:
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            self._capsys.readouterr()
            try:
                return main(["access", *words])
            except SystemExit as error:
                assert isinstance(error.code, int)
                return error.code
            finally:
                self.out, self.err = self._capsys.readouterr()

    def done(self, *words: str, stdin: bytes = b"") -> str:
        """What a command prints that is to end well."""
        status = self(*words, stdin=stdin)
        assert status == 0, self.err
        return self.out

    def refused(self, *words: str, stdin: bytes = b"") -> str:
        """What a command says that is to fail, in one line; nothing has changed then."""
        before = self.file.read_bytes() if self.file.exists() else None
        assert self(*words, stdin=stdin) == 1
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert (self.file.read_bytes() if self.file.exists() else None) == before
        assert line.startswith("pyjob: error: ")
        return line.removeprefix("pyjob: error: ")

    def misused(self, *words: str, stdin: bytes = b"") -> str:
        """What a command says that is written wrongly, in the last line; nothing has changed then."""
        before = self.file.read_bytes() if self.file.exists() else None
        assert self(*words, stdin=stdin) == 2
        assert self.out == ""
        assert self.err.startswith("usage: pyjob access")
        assert (self.file.read_bytes() if self.file.exists() else None) == before
        return self.err.splitlines()[-1]

    def json(self, *words: str) -> Any:
        return json.loads(self.done(*words, "--json"))


@pytest.fixture
def nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command where no store is named."""
    monkeypatch.delenv("PYJOB_ACCESS", raising=False)
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path / "access.db", capsys, monkeypatch)


@pytest.fixture
def access(nowhere: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command on an empty store that the environment names."""
    monkeypatch.setenv("PYJOB_ACCESS", str(nowhere.file))
    nowhere.done("init")
    return nowhere


def ran(code: str, *words: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, sys.executable, "-c", code, *map(str, words)]
    # Nobody measures what it covers: that needs room, and a folder to write to.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)


def rows_of(file: Path, table: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


# Which store


@pytest.mark.parametrize(
    "words",
    [
        ["init"],
        ["token", "add", "alice"],
        ["token", "list"],
        ["token", "revoke", "alice"],
        ["approve", "house", "1.0.0", "/perform"],
        ["revoke-approval", "house", "1.0.0", "/perform"],
        ["requests", "."],
        ["log"],
    ],
    ids=" ".join,
)
def test_without_a_store_every_command_names_both_ways_of_naming_one(
    words: list[str], nowhere: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        told = nowhere.misused(*words)
        assert "--file FILE" in told
        assert "PYJOB_ACCESS" in told
        monkeypatch.setenv("PYJOB_ACCESS", "")
    assert list(nowhere.file.parent.iterdir()) == []


def test_the_option_wins_over_the_environment(access: Command, tmp_path: Path) -> None:
    access.done("init", "other.db")
    access.done("token", "add", "bob", "--file", "other.db")
    assert access.json("token", "list") == []
    assert [one["name"] for one in access.json("token", "list", "--file", "other.db")] == ["bob"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda file: None, "found nothing: check the name, or make it with `pyjob access init"),
        (lambda file: file.mkdir(), "found a folder"),
        (os.mkfifo, "found a FIFO"),
        (lambda file: file.symlink_to("/dev/null"), "found a device"),
        (lambda file: file.touch(), "an empty file and no store"),
        (lambda file: file.write_text("hello\n" * 1000), "no SQLite database"),
    ],
    ids=["nothing", "folder", "FIFO", "device", "0 bytes", "text"],
)
def test_what_is_no_store_is_told_and_left_as_it_is(
    make: Callable[[Path], object], told: str, nowhere: Command, tmp_path: Path
) -> None:
    file = tmp_path / "other"
    make(file)
    entries = sorted(tmp_path.iterdir())
    for words in (["token", "list"], ["token", "add", "alice"], ["log"]):
        assert told in nowhere.refused(*words, "--file", str(file))
    assert sorted(tmp_path.iterdir()) == entries


def test_the_database_of_another_application_is_left_as_it_is(nowhere: Command) -> None:
    with closing(sqlite3.connect(nowhere.file)) as connection:
        connection.execute("CREATE TABLE tokens (name)")
        connection.commit()
    told = nowhere.refused("token", "add", "alice", "--file", str(nowhere.file))
    assert "a database of another application" in told


# init


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777], ids=oct)
def test_a_new_store_is_its_owners_alone_whatever_the_umask(umask: int, nowhere: Command) -> None:
    old = os.umask(umask)
    try:
        nowhere.done("init", str(nowhere.file))
    finally:
        os.umask(old)
    assert stat.S_IMODE(nowhere.file.stat().st_mode) == 0o600
    assert list(nowhere.file.parent.iterdir()) == [nowhere.file]
    store = Store(nowhere.file)
    assert (store.fault, store.warning) == (None, None)


def test_init_says_what_comes_next(nowhere: Command) -> None:
    told = nowhere.done("init", "my store.db")
    assert told.splitlines() == [
        "made my store.db",
        "next:",
        "  pyjob access token add NAME --file 'my store.db'",
        "  pyjob run --access 'my store.db'",
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda file: file.write_text("precious"),
        lambda file: file.touch(),
        lambda file: file.mkdir(),
        lambda file: file.symlink_to("nowhere"),
        os.mkfifo,
    ],
    ids=["file", "0 bytes", "folder", "link", "FIFO"],
)
def test_init_leaves_what_is_there(make: Callable[[Path], object], nowhere: Command, tmp_path: Path) -> None:
    file = tmp_path / "there"
    make(file)
    before = file.lstat()
    told = nowhere.refused("init", str(file))
    assert told == f"{file}: is there already, and was left as it is: choose another name"
    assert file.lstat().st_mtime_ns == before.st_mtime_ns
    assert list(tmp_path.iterdir()) == [file]


def test_init_on_a_store_leaves_its_tokens(access: Command) -> None:
    access.done("token", "add", "alice")
    assert "is there already" in access.refused("init")


def test_init_where_there_is_no_folder_says_so(nowhere: Command) -> None:
    assert "its folder is not there" in nowhere.refused("init", "no/where.db")
    assert "cannot be made" in nowhere.refused("init", "/dev/null/a.db")
    assert "cannot be a path" in nowhere.refused("init", "a\0b")


def test_init_takes_one_name(nowhere: Command) -> None:
    nowhere.misused("init", "a.db", "--file", "b.db")
    assert list(nowhere.file.parent.iterdir()) == []


@pytest.mark.parametrize("room", [0, 4096, 9000])
def test_init_without_room_leaves_nothing(room: int, tmp_path: Path) -> None:
    ended = ran(LITTLE_ROOM, room, "access", "init", tmp_path / "a.db")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"pyjob: error: {tmp_path / 'a.db'}: ")
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


# token add


def test_a_token_is_printed_once_and_only_its_hash_is_kept(access: Command) -> None:
    out = access.done("token", "add", "alice")
    text = out.removesuffix("\n")
    assert re.fullmatch(r"pyjob_[-_A-Za-z0-9]{43}", text)
    assert text not in access.err
    assert "alice" in access.err
    assert text.encode() not in access.file.read_bytes()
    assert hashlib.sha256(text.encode()).hexdigest().encode() in access.file.read_bytes()
    for words in (["token", "list"], ["token", "list", "--json"], ["log"], ["log", "--json"]):
        assert text not in access.done(*words) + access.err
    token = Store(access.file).token(text)
    assert token is not None
    assert (token.name, token.kind, token.expires) == ("alice", "user", None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is nothing that is always full")
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_a_token_that_cannot_be_shown_is_in_force_no_more(options: tuple[str, ...], access: Command) -> None:
    command = [sys.executable, "-m", "pyjob", "access", "token", "add", "alice", *options]
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ended.returncode == 1
    assert "nobody has seen the token, and it is revoked" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [one["state"] for one in access.json("token", "list")] == ["revoked"]


def test_no_two_tokens_are_the_same(access: Command) -> None:
    assert len({access.done("token", "add", f"user {number}") for number in range(20)}) == 20


def test_a_token_as_json_is_one_object(access: Command) -> None:
    words = ("--kind", "service", "--note", "at night", "--expires", "2999-12-31")
    made = access.json("token", "add", "nightly", *words)
    text = made.pop("token")
    assert made == {
        "name": "nightly",
        "kind": "service",
        "note": "at night",
        "expires": "2999-12-31T00:00:00Z",
    }
    token = Store(access.file).token(text)
    assert token is not None
    assert (token.name, token.kind) == ("nightly", "service")
    assert text not in access.err


def test_a_token_may_end_after_some_days_or_when_a_day_begins(access: Command) -> None:
    before = int(time.time())
    days = Store(access.file).token(access.json("token", "add", "a", "--expires", "30d")["token"])
    assert days is not None
    assert days.expires is not None
    assert 0 <= days.expires - before - 30 * 86_400 <= 60
    tomorrow = datetime.now(UTC).date() + timedelta(days=2)
    made = access.json("token", "add", "b", "--expires", tomorrow.isoformat())
    assert made["expires"] == f"{tomorrow.isoformat()}T00:00:00Z"


@pytest.mark.parametrize(
    "when",
    [
        *("", "30", "0d", "-1d", "1.5d", "36501d", "99999d", "999999d", "30D", "30 d", "٣d", "never"),
        *("2020-01-01", "1969-12-31", "2026-13-01", "2999-02-30", "2999-1-1", "29991231", "2999-W01-1"),
        *("10000-01-01", "2999-01-01T00:00", "\0", "\udcff", "9" * 5000 + "d"),
    ],
    ids=lambda when: ascii(when)[:30],
)
def test_an_end_that_is_none_is_wrong_usage(when: str, access: Command) -> None:
    assert "--expires: expected" in access.misused("token", "add", "alice", f"--expires={when}")


def test_a_token_ends_no_sooner_than_tomorrow(access: Command) -> None:
    today = datetime.now(UTC).date().isoformat()
    assert "a day to come" in access.misused("token", "add", "alice", "--expires", today)


@pytest.mark.parametrize(
    "name", ["x", "x" * 100, "Zoë Müller", "nightly report #3", "'; DROP TABLE tokens", "漢"]
)
def test_a_name_is_any_line_of_100_characters(name: str, access: Command) -> None:
    token = Store(access.file).token(access.done("token", "add", name).strip())
    assert token is not None
    assert token.name == name
    assert f"token added: {name} (user)" in access.done("log")
    access.done("token", "revoke", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "x" * 101,
        "x" * 100_000,
        "a\nb",
        "a\tb",
        "a\0b",
        "\x1b[31m",
        " a",
        "a ",
        "\u200b",
        "\u202ea",
        "\udcff",
    ],
    ids=lambda name: ascii(name)[:30],
)
def test_a_name_that_could_forge_a_line_is_wrong_usage(name: str, access: Command) -> None:
    told = access.misused("token", "add", "--", name)
    assert "NAME: expected 1 to 100 printable characters" in told
    assert len(told) < 300
    access.misused("token", "revoke", "--", name)


@pytest.mark.parametrize("note", ["a\nb", "x" * 1001, "\0", "\udcff"], ids=lambda note: ascii(note)[:30])
def test_a_note_of_several_lines_is_wrong_usage(note: str, access: Command) -> None:
    assert "--note: expected" in access.misused("token", "add", "alice", f"--note={note}")


def test_a_kind_that_there_is_not_is_wrong_usage(access: Command) -> None:
    told = access.misused("token", "add", "alice", "--kind", "admin")
    assert "user" in told
    assert "service" in told


def test_a_name_that_is_taken_is_told_with_those_that_are(access: Command) -> None:
    access.done("token", "add", "bob")
    access.done("token", "add", "alice")
    told = access.refused("token", "add", "alice")
    assert told.startswith("there is a token called alice already: ")
    assert told.endswith("(alice, bob)")


def test_a_token_that_has_ended_still_has_its_name(access: Command) -> None:
    access.done("token", "add", "alice", "--expires", "1d")
    with closing(sqlite3.connect(access.file)) as connection:
        connection.execute("UPDATE tokens SET expires = 1")
        connection.commit()
    assert "already: revoke it first" in access.refused("token", "add", "alice")
    assert [one["state"] for one in access.json("token", "list")] == ["expired"]


# token add --stdin


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"], ids=ascii)
@pytest.mark.parametrize("text", [OWN, "!" * 20, "~" * 512, "a;b,c=\"d'e\\f" * 2])
def test_a_token_of_ones_own_counts_and_is_not_printed(text: str, end: bytes, access: Command) -> None:
    assert access.done("token", "add", "alice", "--stdin", stdin=text.encode() + end) == ""
    assert text not in access.err
    token = Store(access.file).token(text)
    assert token is not None
    assert token.name == "alice"


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\n", b"x" * 19, b"x" * 513, b"x" * 10_000_000, b"two words of twenty or more", b" " * 30),
        *(
            f"{OWN} ".encode(),
            f" {OWN}".encode(),
            f"{OWN}\n\n".encode(),
            f"{OWN}\r".encode() + b"x",
            b"\0" * 30,
        ),
        *(
            f"{OWN}\n{OWN}".encode(),
            "é".encode() * 20,
            b"\xff" * 30,
            f"{OWN}\t".encode(),
            f"{OWN}\x7f".encode(),
        ),
    ],
    ids=lambda data: ascii(data)[:30],
)
def test_what_can_be_no_token_is_refused_and_not_repeated(data: bytes, access: Command) -> None:
    told = access.refused("token", "add", "alice", "--stdin", stdin=data)
    assert told.startswith("standard input: expected a token of 20 to 512 printable ASCII characters")
    assert len(told) < 200
    assert OWN not in told


def test_no_standard_input_at_all_is_no_token(access: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-m", "pyjob", "access", "token", "add", "alice", "--stdin"]
    ended = subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} <&-"], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "standard input: expected a token" in ended.stderr


def test_one_token_is_nobody_elses(access: Command) -> None:
    access.done("token", "add", "alice", "--stdin", stdin=OWN.encode())
    told = access.refused("token", "add", "bob", "--stdin", stdin=OWN.encode())
    assert told == "that token was given to alice already: bring another one"
    access.done("token", "revoke", "alice")
    # What was revoked does not come back.
    assert "already" in access.refused("token", "add", "alice", "--stdin", stdin=OWN.encode())


def test_json_with_a_token_of_ones_own_does_not_repeat_it(access: Command) -> None:
    out = access.done("token", "add", "alice", "--stdin", "--json", stdin=OWN.encode())
    assert json.loads(out) == {"name": "alice", "kind": "user", "note": "", "expires": None}


# token list, token revoke


def test_an_empty_store_has_no_tokens(access: Command) -> None:
    assert access.done("token", "list") == ""
    assert "`pyjob access token add NAME`" in access.err
    assert access.json("token", "list") == []


def test_the_list_has_every_token_that_ever_was(access: Command) -> None:
    access.done("token", "add", "alice")
    access.done(
        "token", "add", "nightly", "--kind", "service", "--expires", "2999-01-01", "--note", "a report"
    )
    access.done("token", "revoke", "alice")
    head, alice, nightly = access.done("token", "list").splitlines()
    assert head.split() == ["NAME", "KIND", "CREATED", "EXPIRES", "STATE", "NOTE"]
    assert re.fullmatch(rf"alice +user +{EXACT_TIME} +never +revoked", alice)
    assert re.fullmatch(rf"nightly +service +{EXACT_TIME} +2999-01-01T00:00:00Z +valid +a report", nightly)
    first, second = access.json("token", "list")
    assert re.fullmatch(EXACT_TIME, first.pop("created"))
    assert re.fullmatch(EXACT_TIME, first.pop("revoked"))
    assert first == {"name": "alice", "kind": "user", "note": "", "state": "revoked", "expires": None}
    assert (second["state"], second["revoked"], second["note"]) == ("valid", None, "a report")


def test_a_revoked_token_is_none_and_its_name_is_free(access: Command) -> None:
    first = access.done("token", "add", "alice").strip()
    assert access.done("token", "revoke", "alice") == "revoked the token of alice\n"
    assert Store(access.file).token(first) is None
    second = access.done("token", "add", "alice").strip()
    store = Store(access.file)
    assert store.token(first) is None
    assert store.token(second) is not None
    access.done("token", "revoke", "alice")
    assert Store(access.file).token(second) is None


def test_revoking_twice_says_so(access: Command) -> None:
    access.done("token", "add", "alice")
    access.done("token", "revoke", "alice")
    assert access.done("token", "revoke", "alice") == "the token of alice is revoked already\n"
    assert [one["what"] for one in access.json("log")] == ["store made", "token added", "token revoked"]


def test_a_name_that_nobody_has_is_told_with_those_that_there_are(access: Command) -> None:
    assert access.refused("token", "revoke", "x") == "there is no token called x: there is none"
    access.done("token", "add", "bob")
    access.done("token", "add", "alice")
    assert access.refused("token", "revoke", "x") == "there is no token called x: there are alice, bob"
    for number in range(30):
        access.done("token", "add", f"z{number:02}")
    told = access.refused("token", "revoke", "Alice")
    assert told.endswith("z17 and 12 more")


# Approvals


def test_an_approval_has_the_form_in_which_paths_are_judged(access: Command) -> None:
    told = access.done("approve", "house", "1.0.0", "/perform")
    assert told == "approved /api/v1/perform and what is below it, of house 1.0.0\n"
    for path in ("/perform", "/perform/", "/api/v1/perform", "/api/v1/perform/"):
        told = access.done("approve", "house", "1.0.0", path)
        assert told == "/api/v1/perform of house 1.0.0 is approved already\n"
    access.done("approve", "house", "1.0.0", "/docs")
    access.done("approve", "house", "1.0.1", "/webview/a b")
    assert Store(access.file).approved("house", "1.0.0") == {"/api/v1/perform", "/docs"}
    assert Store(access.file).approved("house", "1.0.1") == {"/api/v1/webview/a b"}
    assert len(access.json("log")) == 4


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "perform",
        "//",
        "/a//b",
        "/..",
        "/a/../b",
        "/./a",
        "/a/.",
        "\\a",
        "/a\\b",
        "/a\n",
        "/\0",
        "/\udcff",
    ],
    ids=ascii,
)
def test_a_path_that_no_manifest_may_have_is_wrong_usage(path: str, access: Command) -> None:
    for verb in ("approve", "revoke-approval"):
        assert "PATH: expected " in access.misused(verb, "house", "1.0.0", path)


@pytest.mark.parametrize("name", ["", "a b", "/", "ä", "-a-", "x" * 129, "a\n", "\udcff"], ids=ascii)
def test_a_job_name_that_there_cannot_be_is_wrong_usage(name: str, access: Command) -> None:
    for verb in ("approve", "revoke-approval"):
        assert "NAME: expected " in access.misused(verb, "--", name, "1.0.0", "/x")


@pytest.mark.parametrize("version", ["", "1 0", "*", "../1", "1.0.0\n", "^1", "\udcff", "x" * 129], ids=ascii)
def test_a_version_that_there_cannot_be_is_wrong_usage(version: str, access: Command) -> None:
    for verb in ("approve", "revoke-approval"):
        assert "VERSION: expected " in access.misused(verb, "--", "house", version, "/x")


def test_a_version_that_only_the_environment_can_give_is_a_warning(access: Command) -> None:
    access.done("approve", "house", "latest", "/perform")
    assert access.err == (
        "pyjob: warning: no manifest can have the name house and the version latest: "
        "this holds only where JOB_NAME and JOB_VERSION say so\n"
    )
    access.done("approve", "house", "1.0.0-rc.1+build", "/perform")
    assert access.err == ""


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("/pub/job/house/1.0.0/api/v1/perform", "write /api/v1/perform"),
        ("/api/v1/items/{id}", "name what is before it, which covers all below: /items"),
        ("/perform?x=1", "name the path alone"),
    ],
)
def test_a_path_that_opens_nothing_is_a_warning_with_the_remedy(
    path: str, remedy: str, access: Command
) -> None:
    access.done("approve", "house", "1.0.0", path)
    assert "pyjob: warning: " in access.err
    assert " opens nothing: " in access.err
    assert access.err.strip().endswith(remedy)


def test_an_approval_is_taken_back_once(access: Command) -> None:
    access.done("approve", "house", "1.0.0", "/perform")
    told = access.done("revoke-approval", "house", "1.0.0", "/api/v1/perform")
    assert told == "took back the approval of /api/v1/perform of house 1.0.0\n"
    assert Store(access.file).approved("house", "1.0.0") == frozenset()
    told = access.done("revoke-approval", "house", "1.0.0", "/perform")
    assert told == "the approval of /api/v1/perform of house 1.0.0 was taken back already\n"
    access.done("approve", "house", "1.0.0", "/perform")
    assert Store(access.file).approved("house", "1.0.0") == {"/api/v1/perform"}


def test_an_approval_that_there_never_was_is_told_with_those_that_there_are(access: Command) -> None:
    told = access.refused("revoke-approval", "house", "1.0.0", "/perform")
    assert told == "there is no approval of house 1.0.0 /api/v1/perform: there is none"
    access.done("approve", "house", "1.0.1", "/perform")
    told = access.refused("revoke-approval", "house", "1.0.0", "/perform")
    assert told.endswith(": there are house 1.0.1 /api/v1/perform")


# Requests


@pytest.fixture
def house(make_job: MakeJob) -> Path:
    fields = "version: 1.2.0\npublic_endpoints: [/webview, /api/v1/perform, /perform/]\n"
    return make_job(JOB, name="house", fields=fields)


def test_requests_show_what_waits_with_the_command_that_approves(access: Command, house: Path) -> None:
    access.done("approve", "house", "1.1.0", "/perform")
    command = "pyjob access approve house 1.2.0 /api/v1/perform"
    assert access.done("requests", "house").splitlines() == [
        f"house 1.2.0 ({house})",
        "  /api/v1/webview waits:",
        "    pyjob access approve house 1.2.0 /api/v1/webview",
        "  /api/v1/perform waits:",
        f"    {command}",
    ]
    access.done(*shlex.split(command)[2:])
    last = access.done("requests", "house").splitlines()[-1]
    assert re.fullmatch(rf"  /api/v1/perform approved by \S+, {EXACT_TIME}", last)


def test_approvals_are_listed_whatever_manifests_say_now(access: Command) -> None:
    assert access.done("approvals") == ""
    assert "nothing is approved" in access.err
    assert access.json("approvals") == []
    access.done("approve", "house", "1.2.0", "/perform")
    access.done("approve", "barn", "2.0.0", "/webview")
    [barn, house] = access.done("approvals").splitlines()
    assert re.fullmatch(rf"barn 2\.0\.0 /api/v1/webview  approved by \S+, {EXACT_TIME}", barn)
    assert house.startswith("house 1.2.0 /api/v1/perform  approved by ")
    [first, _] = access.json("approvals")
    assert (first["job"], first["version"], first["endpoint"]) == ("barn", "2.0.0", "/api/v1/webview")
    assert first.keys() == {"job", "version", "endpoint", "approved_by", "approved_at"}
    access.done("revoke-approval", "barn", "2.0.0", "/webview")
    assert len(access.json("approvals")) == 1


def test_who_approves_is_told_what_he_might_not_think_of(access: Command, make_job: MakeJob) -> None:
    make_job(JOB, name="house", fields="public_endpoints: [/status, /api/v1]")
    told = access.done("requests", "house")
    assert "  /status (a page of the service; an endpoint of that name is /api/v1/status) waits:" in told
    assert "  /api/v1 (everything that the job offers) waits:" in told
    assert "a page of the service" in access.done("approve", "house", "1.2.0", "/metrics")
    assert "a page of the service" not in access.done("approve", "house", "1.2.0", "/api/v1/metrics")


def test_requests_as_json(access: Command, house: Path) -> None:
    access.done("approve", "house", "1.2.0", "/webview")
    webview, perform = access.json("requests", str(house / "job.yaml"))
    assert re.fullmatch(EXACT_TIME, webview.pop("approved_at"))
    assert webview.pop("approved_by")
    assert webview == {
        "job": "house",
        "version": "1.2.0",
        "folder": str(house),
        "endpoint": "/api/v1/webview",
        "approved": True,
        "command": "pyjob access approve house 1.2.0 /api/v1/webview",
    }
    assert (perform["approved"], perform["approved_by"], perform["approved_at"]) == (False, None, None)


def test_the_command_that_is_shown_works_as_it_stands(nowhere: Command, make_job: MakeJob) -> None:
    make_job(JOB, name="odd", fields='public_endpoints: ["/it\'s $HOME"]\n')
    nowhere.done("init", "my store.db")
    (row,) = nowhere.json("requests", "odd", "--file", "my store.db")
    assert row["command"].endswith(" --file 'my store.db'")
    nowhere.done(*shlex.split(row["command"])[2:])
    (row,) = nowhere.json("requests", "odd", "--file", "my store.db")
    assert row["approved"] is True


def test_a_job_without_public_endpoints_is_named(access: Command, make_job: MakeJob) -> None:
    folder = make_job(JOB, name="quiet")
    assert access.done("requests", "quiet") == f"quiet 0.0.1 ({folder}): no public endpoints\n"
    assert access.json("requests", "quiet") == []


def test_a_faulty_manifest_does_not_hide_the_requests_of_others(access: Command, house: Path) -> None:
    (house.parent / "broken").mkdir()
    (house.parent / "broken" / "job.yaml").write_text("name: [\n")
    assert access("requests", "broken", "nowhere", "house") == 1
    assert "/api/v1/perform waits" in access.out
    assert "broken/job.yaml" in access.err
    assert "pyjob: error: nowhere: " in access.err


def test_the_environment_does_not_speak_for_the_folders(
    access: Command, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_MANIFEST_YAML", "name: other\n")
    monkeypatch.setenv("JOB_NAME", "other")
    assert {row["job"] for row in access.json("requests", "house")} == {"house"}


# The log


def test_the_log_says_who_did_what_and_when(access: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, "mallory")
    access.done("token", "add", "alice")
    access.done("approve", "house", "1.0.0", "/perform")
    access.done("revoke-approval", "house", "1.0.0", "/perform")
    access.done("token", "revoke", "alice")
    entries = access.json("log")
    assert [(one["what"], one["subject"]) for one in entries] == [
        ("store made", str(access.file)),
        ("token added", "alice (user)"),
        ("approved", "house 1.0.0 /api/v1/perform"),
        ("approval revoked", "house 1.0.0 /api/v1/perform"),
        ("token revoked", "alice"),
    ]
    assert {one["who"] for one in entries} == {ledger_module.os_user()} != {"mallory"}
    assert all(re.fullmatch(EXACT_TIME, one["at"]) for one in entries)
    last = access.done("log").splitlines()[-1]
    assert re.fullmatch(rf"{EXACT_TIME}  \S+  token revoked: alice", last)


def test_a_user_without_a_name_has_a_number(access: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)
    access.done("token", "add", "alice")
    assert access.json("log")[-1]["who"] == "uid 3999999999"


@pytest.mark.parametrize("statement", ["DELETE FROM log", "UPDATE log SET who = 'mallory'"])
def test_the_log_only_grows(statement: str, access: Command) -> None:
    with (
        closing(sqlite3.connect(access.file)) as connection,
        pytest.raises(sqlite3.IntegrityError, match="the log only grows"),
    ):
        connection.execute(statement)
    assert len(access.json("log")) == 1


def test_what_was_refused_is_not_in_the_log(access: Command) -> None:
    access.refused("token", "revoke", "x")
    access.refused("revoke-approval", "house", "1.0.0", "/perform")
    assert len(access.json("log")) == 1


# What the system does not let it do


def test_init_warns_of_a_folder_in_which_others_may_make_files(nowhere: Command, public_folder: Path) -> None:
    public_folder.chmod(0o1777)
    nowhere.done("init", str(public_folder / "access.db"))
    assert "warning" in nowhere.err
    assert "its folder has the mode 1777" in nowhere.err


def test_a_mode_that_is_too_wide_is_a_warning(access: Command) -> None:
    access.file.chmod(0o644)
    access.done("token", "list")
    assert access.err.startswith(f"pyjob: warning: {access.file}: its mode is 644, ")
    access.file.chmod(0o640)
    access.done("token", "list", "--json")
    assert access.err == ""


def test_a_writer_waits_for_another(access: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "PATIENCE", 60.0)
    begun = threading.Event()

    def begin(path: Path) -> os.stat_result:
        if threading.current_thread() is not threading.main_thread():
            begun.set()
        return state_of(path)

    monkeypatch.setattr(ledger_module, "state_of", begin)
    ledger = ledger_module.Ledger(access.file)
    added = threading.Thread(target=ledger.approve, args=("house", "1.0.0", "/api/v1/perform"))
    with closing(sqlite3.connect(access.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        added.start()
        assert begun.wait(60)
        added.join(0.05)
        assert added.is_alive()
        other.execute("COMMIT")
    added.join()
    assert Store(access.file).approved("house", "1.0.0") == {"/api/v1/perform"}


def test_a_store_that_stays_locked_is_told_and_nothing_is_changed(
    access: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ledger_module.PATIENCE == 5
    monkeypatch.setattr(ledger_module, "PATIENCE", 0.0)
    with closing(sqlite3.connect(access.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        told = access.refused("token", "add", "alice")
        assert told == f"{access.file}: locked by another program: wait for its end, or end it"
    with closing(sqlite3.connect(access.file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM tokens").fetchall()
        assert "locked by another program" in access.refused("token", "add", "alice")
    access.done("token", "add", "alice")
    assert len(rows_of(access.file, "tokens")) == 1
    assert len(access.json("log")) == 2


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o755), (0o666, 0o555)])
def test_who_may_only_read_reads_and_is_told_that_he_may_not_write(
    file_mode: int, folder_mode: int, access: Command, public_folder: Path
) -> None:
    access.done("token", "add", "alice")
    file = public_folder / "access.db"
    shutil.copy(access.file, file)
    file.chmod(file_mode)
    public_folder.chmod(folder_mode)
    before = file.read_bytes()
    words = ("--file", file)
    listed = ran(UNPRIVILEGED, "access", "token", "list", "--json", *words)
    assert listed.returncode == 0, listed.stderr
    assert [one["name"] for one in json.loads(listed.stdout)] == ["alice"]
    refused = ran(UNPRIVILEGED, "access", "token", "add", "bob", *words)
    assert refused.returncode == 1
    assert refused.stdout == ""
    told = refused.stderr.splitlines()[-1]
    assert told.startswith(f"pyjob: error: {file}: ")
    assert told.endswith("this user may not write to it, or to its folder: run this as who may")
    assert file.read_bytes() == before
    assert os.listdir(public_folder) == [file.name]  # noqa: PTH208


def test_who_may_not_even_read_is_told_so(access: Command, public_folder: Path) -> None:
    file = public_folder / "access.db"
    shutil.copy(access.file, file)
    file.chmod(0)
    refused = ran(UNPRIVILEGED, "access", "token", "list", "--file", file)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"pyjob: error: {file}: cannot be opened: ")


def test_a_file_that_cannot_grow_is_told_and_nothing_is_half_written(access: Command) -> None:
    before = access.file.read_bytes()
    for room in (0, 600, len(before)):
        note = "n" * 1000
        while True:  # until there is no room left on the pages that there are
            ended = ran(
                LITTLE_ROOM, room, "access", "token", "add", f"u{time.monotonic_ns()}", "--note", note
            )
            if ended.returncode:
                break
        assert ended.stdout == ""
        assert ended.stderr.startswith(f"pyjob: error: {access.file}: ")
        assert len(ended.stderr.splitlines()) == 1
        added = len(access.json("token", "list"))
        assert len(access.json("log")) == added + 1
        assert not list(access.file.parent.glob("*-journal"))
    assert Store(access.file).fault is None


def test_a_full_disk_is_told_and_nothing_is_half_written(access: Command) -> None:
    mount = ("unshare", "--map-root-user", "--mount", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("no disk of our own can be had here")
    disk = access.file.parent / "disk"
    disk.mkdir()
    python = shlex.quote(sys.executable)
    script = f"""
        mount -t tmpfs -o size=64k,mode=700 none {disk} || exit 77
        {python} -m pyjob access init {disk}/a.db || exit 78
        head -c 1000000 /dev/zero > {disk}/filler 2> /dev/null
        {python} -m pyjob access token add alice --file {disk}/a.db && exit 79
        rm {disk}/filler
        {python} -m pyjob access log --file {disk}/a.db
        ls {disk}
    """
    ended = subprocess.run([*mount, script], capture_output=True, text=True, timeout=60)
    if ended.returncode == 77:
        pytest.skip("no disk of our own can be had here")
    assert (
        ended.stderr == f"pyjob: error: {disk}/a.db: the disk is full, and nothing was changed: make room\n"
    )
    *_, entry, listing = ended.stdout.splitlines()
    assert "store made" in entry
    assert listing == "a.db"


# Help


@pytest.mark.parametrize(
    "words",
    [
        *([], ["init"], ["token", "add"], ["token", "list"], ["token", "revoke"], ["approve"]),
        *(["revoke-approval"], ["requests"], ["log"]),
    ],
    ids=" ".join,
)
def test_every_help_has_an_example_that_is_right(words: list[str], nowhere: Command) -> None:
    told = nowhere.done(*words, "--help")
    start = " ".join(["pyjob access", *words])
    examples = [
        line.strip() for line in told.splitlines() if line.startswith(f"  {start} ") or line == f"  {start}"
    ]
    assert examples
    for example in examples:
        command = re.split(r"  +| [|<>] ", example)[0]
        nowhere(*shlex.split(command)[2:])
        assert "usage: " not in nowhere.err or "which store?" in nowhere.err, example


@pytest.mark.parametrize("words", [[], ["token"], ["fly"], ["token", "fly"], ["approve", "a"], ["requests"]])
def test_what_is_no_command_is_wrong_usage(words: list[str], access: Command) -> None:
    access.misused(*words)
