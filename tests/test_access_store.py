"""The store of tokens and approvals, as a server reads it: whatever becomes of the file (SPEC 8.3, 8.4)."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from pyjob.access.store import store as store_module
from pyjob.access.store.database import state_of
from pyjob.access.store.ledger import Ledger
from pyjob.access.store.snapshot import Snapshot, read_snapshot
from pyjob.access.store.store import Store

TOKEN = "pyjob_a-token-of-alice-for-tests-only"
OTHER = "pyjob_a-token-of-bob-for-tests-only"
EVER = 4_000_000_000  # Unix seconds, far off

# Prints what a store says whenever it gets a line; as nobody, where a test runs as root and may do anything.
ASKED = """
import json, os, sys
from pyjob.access.store.ledger import Ledger
from pyjob.access.store.store import Store
if os.geteuid() == 0:
    os.setegid(65534), os.seteuid(65534)
store = Store(sys.argv[1], monotonic=iter(range(1000)).__next__)
for _ in sys.stdin:
    known = store.token(sys.argv[2]) is not None
    print(json.dumps([known, sorted(store.approved("house", "1.0.0")), store.fault]), flush=True)
"""
# As in a Python that was built without SQLite.
WITHOUT = """
import sys
sys.modules["sqlite3"] = None
from pyjob.access.store.store import Store
print(Store(sys.argv[1]).fault)
"""
# Takes a lock, says so, and holds it until its input ends.
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""
# Has written part of a change to the file, which another program must not see, and waits to be killed.
INTERRUPTED = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("PRAGMA cache_spill = 1")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE tokens SET revoked = 1")
connection.execute("DELETE FROM approvals")
for number in range(2000):
    row = (f"{number:064}", f"name {number}", "n" * 200)
    connection.execute("INSERT INTO tokens VALUES (?, ?, 'user', ?, 0, NULL, NULL)", row)
print("halfway", flush=True)
sys.stdin.read()
"""


class Clocks:
    """The clocks of a store, moved by hand; that on the wall begins now, as files have times of today."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.set_back = 0.0
        self._start = time.time()

    def wall(self) -> float:
        return self._start + self.passed - self.set_back

    def monotonic(self) -> float:
        return self.passed


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A store in which alice has a token, and `/perform` of one version of one job is approved."""
    file = tmp_path / "access.db"
    fill(file)
    return file


@pytest.fixture
def ledger(file: Path) -> Ledger:
    return Ledger(file)


@pytest.fixture
def store(file: Path, clocks: Clocks) -> Store:
    return Store(file, clocks.wall, clocks.monotonic)


def fill(file: Path) -> None:
    ledger = Ledger(file)
    ledger.make()
    ledger.add_token("alice", TOKEN, kind="user", note="", expires=None)
    ledger.approve("house", "1.0.0", "/api/v1/perform")


def in_force(store: Store) -> bool:
    """Whether the store is as `fill` has left it; else it must be wholly closed, and say why in one line."""
    alice, approved, fault = store.token(TOKEN), store.approved("house", "1.0.0"), store.fault
    if fault is None:
        assert alice is not None
        assert approved == {"/api/v1/perform"}
        return True
    assert alice is None
    assert not approved
    assert fault.isprintable()
    assert TOKEN not in fault
    return False


def fault_of(path: Path) -> str:
    """What is wrong with what is at ``path``, in the one line that names it and then says what to do."""
    store = Store(path)
    assert not in_force(store)
    fault = store.fault
    assert fault is not None
    assert fault.startswith(f"{path}: ")
    assert len(fault.removeprefix(f"{path}: ").split(": ")) >= 2, fault
    return fault.removeprefix(f"{path}: ")


def altered(file: Path, *statements: str) -> None:
    """Somebody has had the store in hand, by other means than ours."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for statement in ("PRAGMA ignore_check_constraints = ON", *statements):
            connection.execute(statement)


@contextmanager
def process(code: str, *arguments: object, expected: str) -> Iterator[subprocess.Popen[str]]:
    """Python in a process of its own, which has said what is ``expected``."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == expected
        yield started
        started.kill()


@contextmanager
def locked(file: Path, statement: str = "BEGIN EXCLUSIVE") -> Iterator[None]:
    """Another process has the store, and has begun to change it."""
    with process(HOLDER, file, statement, expected="held\n"):
        os.utime(file)
        yield


class Counted:
    """A function that counts its calls."""

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function
        self.calls = 0

    def __call__(self, *arguments: object, **options: object) -> object:
        self.calls += 1
        return self.function(*arguments, **options)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Counts how often the system is asked for the state of the file."""
    counted = Counted(state_of)
    monkeypatch.setattr(store_module, "state_of", counted)
    return counted


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counted:
    """Counts how often the file is read."""
    counted = Counted(read_snapshot)
    monkeypatch.setattr(store_module, "read_snapshot", counted)
    return counted


# Tokens


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        TOKEN[:-1],
        TOKEN + "x",
        f" {TOKEN}",
        f"{TOKEN}\0",
        f"{TOKEN}\n",
        TOKEN.upper(),
        OTHER,
        "alice",
        "' OR 1=1 --",
        "é" * 30,
        "\udcff" * 30,
        "\U0010ffff",
        "x" * 100_000,
        TOKEN * 3000,
    ],
    ids=ascii,
)
def test_what_is_no_token_has_no_name(text: str, store: Store) -> None:
    assert store.token(text) is None
    assert in_force(store)


def test_the_hash_that_is_kept_of_a_token_is_none(store: Store, file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        (digest,) = connection.execute("SELECT digest FROM tokens").fetchone()
    assert store.token(digest) is None
    assert store.token(digest.upper()) is None


def test_a_token_tells_whose_it_is(store: Store, ledger: Ledger) -> None:
    ledger.add_token("nightly", OTHER, kind="service", note="the report", expires=EVER)
    alice, nightly = store.token(TOKEN), store.token(OTHER)
    assert alice is not None
    assert nightly is not None
    assert (alice.name, alice.kind, alice.expires) == ("alice", "user", None)
    assert (nightly.name, nightly.kind, nightly.expires) == ("nightly", "service", EVER)


def test_a_token_ends_with_its_time_though_nothing_in_the_file_has_changed(
    store: Store, ledger: Ledger, clocks: Clocks, looks: Counted
) -> None:
    end = int(clocks.wall()) + 100
    ledger.add_token("bob", OTHER, kind="user", note="", expires=end)
    assert store.token(OTHER) is not None
    before = looks.calls
    clocks.set_back = clocks.wall() - (end - 0.001)
    assert store.token(OTHER) is not None
    clocks.set_back -= 0.001
    assert store.token(OTHER) is None
    assert store.token(TOKEN) is not None
    assert looks.calls == before


def test_a_token_that_had_ended_when_the_server_started_has_no_name(store: Store, ledger: Ledger) -> None:
    ledger.add_token("bob", OTHER, kind="user", note="", expires=1)
    assert store.token(OTHER) is None


# Approvals


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("house", "1.0.1"),
        ("house", "1.0"),
        ("house", ""),
        ("", "1.0.0"),
        ("House", "1.0.0"),
        ("house ", "1.0.0"),
    ],
)
def test_an_approval_holds_for_this_name_and_exactly_this_version(
    name: str, version: str, store: Store
) -> None:
    assert store.approved(name, version) == frozenset()
    assert store.approved("house", "1.0.0") == {"/api/v1/perform"}


# Changes of a running server's store


def seen_after(change: Callable[[], object], is_seen: Callable[[], bool], clocks: Clocks) -> float:
    """After how many seconds of the store's own clock a change is seen, when somebody asks all the time."""
    change()
    began = clocks.passed
    while not is_seen():
        clocks.passed += 0.01
        assert clocks.passed < began + 10
    return clocks.passed - began


@pytest.mark.parametrize("pause", [0.0, 0.2, 5.0])
def test_20_of_20_changes_are_seen_within_a_second(
    pause: float, store: Store, ledger: Ledger, clocks: Clocks
) -> None:
    delays = []

    def has_token(text: str, *, is_so: bool) -> bool:
        return (store.token(text) is not None) is is_so

    def is_open(*, is_so: bool) -> bool:
        return ("/api/v1/x" in store.approved("house", "1.0.0")) is is_so

    for number in range(5):
        name, text = f"user {number}", f"{OTHER}{number}"
        add = partial(ledger.add_token, name, text, kind="user", note="", expires=None)
        endpoint = ("house", "1.0.0", "/api/v1/x")
        changes: list[tuple[Callable[[], object], Callable[..., bool], bool]] = [
            (add, partial(has_token, text), True),
            (partial(ledger.revoke_token, name), partial(has_token, text), False),
            (partial(ledger.approve, *endpoint), is_open, True),
            (partial(ledger.revoke_approval, *endpoint), is_open, False),
        ]
        for change, is_in_force, after in changes:
            assert is_in_force(is_so=not after)
            delays.append(seen_after(change, partial(is_in_force, is_so=after), clocks))
            clocks.passed += pause
    assert len(delays) == 20
    assert max(delays) < 1


def test_a_change_is_seen_though_the_file_has_the_same_times_as_before_it(
    store: Store, ledger: Ledger, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    coarse = state_of(file)  # as of a file system whose clock has not moved since
    monkeypatch.setattr(store_module, "state_of", lambda path: coarse)
    assert in_force(store)
    ledger.revoke_token("alice")
    clocks.passed += 0.5
    assert store.token(TOKEN) is None


def test_a_change_is_seen_though_the_clock_was_set_back(
    store: Store, ledger: Ledger, clocks: Clocks, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    clocks.set_back = 1_000_000
    coarse = state_of(file)
    monkeypatch.setattr(store_module, "state_of", lambda path: coarse)
    for _ in range(20):
        assert in_force(store)
        clocks.passed += 0.5
    ledger.revoke_token("alice")
    clocks.passed += 0.5
    assert store.token(TOKEN) is None


def test_the_file_is_looked_at_four_times_a_second_at_most_and_read_only_when_it_has_changed(
    store: Store, ledger: Ledger, clocks: Clocks, looks: Counted, reads: Counted
) -> None:
    in_force(store)
    assert (looks.calls, reads.calls) == (1, 1)
    clocks.passed = 3  # now the times of the file tell
    assert in_force(store)
    looked, read = looks.calls, reads.calls
    for _ in range(100):
        clocks.passed += 0.0625
        before = looks.calls
        assert store.token(TOKEN) is not None
        assert looks.calls <= before + 1
        in_force(store)
    assert looks.calls == looked + 25
    assert reads.calls == read
    ledger.approve("house", "2.0.0", "/api/v1/perform")
    clocks.passed += 10
    in_force(store)
    assert reads.calls == read + 1


def test_a_store_that_takes_the_place_of_another_is_seen(store: Store, file: Path, clocks: Clocks) -> None:
    new = file.with_name("new.db")
    Ledger(new).make()
    Ledger(new).add_token("bob", OTHER, kind="user", note="", expires=None)
    clocks.passed = 10
    assert in_force(store)
    times = file.stat()
    new.replace(file)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    clocks.passed += 0.5
    assert store.token(TOKEN) is None
    assert store.token(OTHER) is not None


def test_a_store_may_be_a_symbolic_link_and_a_new_target_is_seen(
    tmp_path: Path, file: Path, clocks: Clocks
) -> None:
    link, new = tmp_path / "link", tmp_path / "new.db"
    link.symlink_to(file)
    store = Store(link, clocks.wall, clocks.monotonic)
    assert in_force(store)
    Ledger(new).make()
    clocks.passed = 10
    assert in_force(store)
    os.utime(new, ns=(0, file.stat().st_mtime_ns))
    (tmp_path / "other link").symlink_to(new)
    (tmp_path / "other link").replace(link)
    clocks.passed += 0.5
    assert store.token(TOKEN) is None
    assert store.fault is None


def test_the_working_directory_may_change(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(file.name)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert in_force(store)


def test_a_path_may_have_any_characters(tmp_path: Path) -> None:
    for name in ("a b?mode=memory#x%41&cache=shared", "é\n\x1b[31m", os.fsdecode(b"\xff.db")):
        file = tmp_path / name
        fill(file)
        assert in_force(Store(file))
        file.unlink()
        fault = Store(file).fault
        assert fault is not None
        assert fault.isprintable()


# Faults


def another_application(file: Path) -> None:
    altered(file, "CREATE TABLE tokens (digest, name, kind, expires, revoked)")


def garbage(file: Path) -> None:
    file.write_bytes(os.urandom(20_000))


def no_answer_to_pragmas(file: Path) -> None:
    file.write_bytes(b"SQLite format 3\0" + bytes(4080))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda file: None, "found nothing: check the name, or make it with `pyjob access init"),
    "a link to nothing": (lambda file: file.symlink_to("nowhere"), "found a symbolic link to nothing"),
    "a link to itself": (lambda file: file.symlink_to(file), "symbolic links that go round in a circle"),
    "a folder": (lambda file: file.mkdir(), "expected a file, found a folder"),
    "a FIFO": (os.mkfifo, "expected a file, found a FIFO"),
    "a device": (lambda file: file.symlink_to("/dev/null"), "expected a file, found a device"),
    "an endless device": (lambda file: file.symlink_to("/dev/zero"), "expected a file, found a device"),
    "0 bytes": (lambda file: file.touch(), "an empty file and no store: remove it"),
    "text": (lambda file: file.write_text("alice: secret\n" * 100), "no SQLite database"),
    "a byte": (lambda file: file.write_bytes(b"S"), "a database of another application"),
    "garbage": (garbage, "no SQLite database"),
    "a head": (no_answer_to_pragmas, ""),
    "a database of another application": (another_application, "a database of another application"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_store_is_a_fault(what: str, tmp_path: Path) -> None:
    make, told = WRONG[what]
    file = tmp_path / "access.db"
    make(file)
    assert told in fault_of(file)


def test_a_socket_is_a_fault(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        assert "found a socket" in fault_of(tmp_path / "s")


def test_a_path_that_cannot_be_one_is_a_fault() -> None:
    for path in ("a\0b", "x" * 5000, "/dev/null/access.db"):
        store = Store(path)
        assert not in_force(store)


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("PRAGMA user_version = 2", "has format 2, and this pyjob reads 1"),
        ("PRAGMA user_version = 0", "has format 0"),
        ("PRAGMA user_version = -1", "has format -1"),
        ("PRAGMA application_id = 7", "a database of another application"),
        ("PRAGMA journal_mode = WAL", "a write-ahead log: switch it back"),
        ("DROP TABLE approvals", "damaged (no such table: approvals)"),
        ("ALTER TABLE tokens RENAME COLUMN expires TO ends", "no such column"),
        ("UPDATE tokens SET digest = 'abc'", "damaged (a token is not as it was written)"),
        ("UPDATE tokens SET digest = CAST(digest AS BLOB)", "damaged (a token"),
        ("UPDATE tokens SET name = x'00'", "damaged (a token"),
        ("UPDATE tokens SET kind = 'root'", "damaged (a token"),
        ("UPDATE tokens SET expires = 'never'", "damaged (a token"),
        ("UPDATE tokens SET expires = 1.5", "damaged (a token"),
        ("UPDATE tokens SET name = CAST(x'ff' AS TEXT)", "damaged (text that is no UTF-8)"),
        ("UPDATE approvals SET endpoint = x'2f'", "damaged (an approval is not as it was written)"),
    ],
)
def test_a_store_that_others_have_written_is_a_fault_until_it_is_ours_again(
    statement: str, told: str, file: Path, store: Store, clocks: Clocks
) -> None:
    good = file.read_bytes()
    assert in_force(store)
    altered(file, statement)
    assert told in fault_of(file)
    clocks.passed = 1
    assert not in_force(store)
    file.write_bytes(good)
    clocks.passed = 2
    assert in_force(store)


def test_a_store_that_is_cut_off_anywhere_is_a_fault(file: Path) -> None:
    data = file.read_bytes()
    lengths = [*range(1, 110, 9), *range(512, len(data), 512), len(data) - 1]
    for length in lengths:
        file.write_bytes(data[:length])
        assert fault_of(file), length
    file.write_bytes(data)
    assert in_force(Store(file))


def test_a_store_with_bytes_turned_over_never_lets_in_who_was_not(file: Path) -> None:
    """Nothing raises, nothing hangs, and nobody else gets in."""
    Ledger(file).revoke_token("alice")
    Ledger(file).add_token("bob", OTHER, kind="user", note="", expires=None)
    data = file.read_bytes()
    for at in range(0, len(data), 127):
        file.write_bytes(data[:at] + bytes((data[at] ^ 0xFF,)) + data[at + 1 :])
        store = Store(file)
        assert store.token("x" * 40) is None
        assert store.approved("house", "1.0.1") == frozenset()
        assert store.fault is None or store.fault.isprintable()


def test_a_store_that_vanishes_closes_all_until_it_is_back(store: Store, file: Path, clocks: Clocks) -> None:
    assert in_force(store)
    away = file.rename(file.with_name("away.db"))
    clocks.passed = 0.2
    assert in_force(store)  # it was, a moment ago
    clocks.passed = 0.5
    assert not in_force(store)
    away.rename(file)
    clocks.passed = 1
    assert in_force(store)


def test_an_unforeseen_fault_closes_all_and_is_told_without_what_it_says(
    store: Store, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*arguments: object, **options: object) -> None:
        raise RuntimeError(f"{TOKEN}\n")

    with monkeypatch.context() as patch:
        patch.setattr(store_module, "read_snapshot", read)
        assert not in_force(store)
        assert "RuntimeError" in str(store.fault)
    clocks.passed = 1
    assert in_force(store)


def test_a_python_without_sqlite_says_so(file: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.startswith(f"{file}: this Python was built without SQLite: ")


# Who may do what with the file


NARROW = (0o600, 0o640, 0o400, 0o440)
WIDE = (0o644, 0o604, 0o660, 0o620, 0o602, 0o700, 0o777)


@pytest.mark.parametrize("mode", [*NARROW, *WIDE], ids=oct)
def test_a_mode_that_is_wider_than_640_is_a_warning_and_no_fault(
    mode: int, store: Store, file: Path, clocks: Clocks
) -> None:
    assert store.warning is None
    clocks.passed = 10
    assert store.warning is None
    file.chmod(mode)
    clocks.passed = 11
    assert in_force(store)
    assert (store.warning is not None) is (mode in WIDE)
    if store.warning is not None:
        assert store.warning.startswith(f"{file}: its mode is {mode:o}, ")
        assert f"`chmod 600 {file}`" in store.warning


@pytest.mark.parametrize(
    ("mode", "is_told"),
    [(0o700, False), (0o755, False), (0o555, False), (0o775, True), (0o702, True), (0o1777, True)],
    ids=lambda value: oct(value) if isinstance(value, int) else value,
)
def test_a_folder_in_which_others_may_make_files_is_a_warning(
    mode: int, is_told: bool, public_folder: Path, tmp_path: Path
) -> None:
    file = public_folder / "access.db"
    fill(file)
    link = tmp_path / "link.db"
    link.symlink_to(file)
    public_folder.chmod(mode)
    for path in (file, link):
        store = Store(path)
        assert in_force(store)
        assert (store.warning is not None) is is_told
        if store.warning is not None:
            assert store.warning.startswith(f"{path}: its folder has the mode {mode:o}, ")


@contextmanager
def asked(file: Path) -> Iterator[Callable[[], list[object]]]:
    """A store in a process that may not do everything; calling asks it."""
    command = [sys.executable, "-c", ASKED, str(file), TOKEN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdin is not None
        assert started.stdout is not None

        def ask() -> list[object]:
            assert started.stdin is not None
            assert started.stdout is not None
            started.stdin.write("\n")
            started.stdin.flush()
            answer: list[object] = json.loads(started.stdout.readline())
            return answer

        yield ask
        started.stdin.close()


def test_a_store_that_may_not_be_read_is_a_fault_until_it_may_be(public_folder: Path) -> None:
    file = public_folder / "access.db"
    fill(file)
    file.chmod(0o444)
    good = [True, ["/api/v1/perform"], None]
    with asked(file) as ask:
        assert ask() == good
        file.chmod(0)
        known, approved, fault = ask()
        assert (known, approved) == (False, [])
        assert f"{file}: cannot be opened: let who serves read it (`chmod 640 {file}`" in str(fault)
        file.chmod(0o444)
        assert ask() == good
        public_folder.chmod(0o600)
        known, approved, fault = ask()
        assert (known, approved) == (False, [])
        assert "no permission" in str(fault)
        public_folder.chmod(0o755)
        assert ask() == good


def test_a_folder_in_which_nothing_can_be_written_will_do(public_folder: Path) -> None:
    file = public_folder / "access.db"
    fill(file)
    file.chmod(0o444)
    public_folder.chmod(0o555)
    with asked(file) as ask:
        assert ask() == [True, ["/api/v1/perform"], None]


def test_a_read_only_file_system_will_do(file: Path, tmp_path: Path) -> None:
    mount = ("unshare", "--map-root-user", "--mount", "sh", "-c")
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("no file system of our own can be had here")
    disk = tmp_path / "disk"
    disk.mkdir()
    code = (
        f"from pyjob.access.store.store import Store; s = Store('{disk}/a.db'); "
        f"print(s.fault, s.token('{TOKEN}'), s.warning)"  # its folder is everybody's, as far as modes go
    )
    script = f"""
        mount -t tmpfs none {disk} && cp -p {file} {disk}/a.db && mount -o remount,ro {disk} || exit 77
        touch {disk}/b 2> /dev/null && exit 78
        {shlex.quote(sys.executable)} -c "{code}"
    """
    ended = subprocess.run([*mount, script], capture_output=True, text=True, timeout=60)
    if ended.returncode == 77:
        pytest.skip("no file system of our own can be had here")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "None Token(name='alice', kind='user', expires=None) None\n"


def test_reading_changes_nothing_and_leaves_nothing_open(file: Path, tmp_path: Path) -> None:
    before = (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ctime_ns)
    assert in_force(Store(file))
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_ctime_ns) == before
    assert list(tmp_path.iterdir()) == [file]
    descriptors = Path("/proc/self/fd")
    if descriptors.exists():
        links = [str(one.readlink()) for one in descriptors.iterdir() if one.is_symlink()]
        assert not [link for link in links if link.startswith(str(file))]


# Other processes at work


def test_a_locked_store_counts_as_it_was_for_a_second_at_most_and_is_then_a_fault(
    store: Store, file: Path, clocks: Clocks
) -> None:
    clocks.passed = 10
    assert in_force(store)
    with locked(file):
        while in_force(store):
            clocks.passed += 0.0625
            assert clocks.passed < 20
        assert 10.5 < clocks.passed <= 11
        assert "locked by another program: " in str(store.fault)
        clocks.passed += 100
        assert not in_force(store)
    clocks.passed += 0.25
    assert in_force(store)


def test_a_change_by_who_had_it_locked_is_seen_at_once_when_it_is_free(
    store: Store, file: Path, clocks: Clocks
) -> None:
    clocks.passed = 10
    assert in_force(store)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("UPDATE tokens SET revoked = 1")
        os.utime(file)  # as when its pages are on their way to the disk
        clocks.passed += 0.25
        assert store.token(TOKEN) is not None
        writer.execute("COMMIT")
    clocks.passed += 0.25
    assert store.token(TOKEN) is None
    assert store.fault is None


def test_a_store_that_is_locked_when_a_server_starts_is_a_fault(file: Path) -> None:
    with locked(file):
        assert "locked by another program" in fault_of(file)


def test_who_has_nothing_recent_to_go_by_waits_for_the_end_of_a_change(
    store: Store, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def read(path: Path, *, size: int, patience: float) -> Snapshot:
        begun.set()
        return read_snapshot(path, size=size, patience=patience)

    monkeypatch.setattr(store_module, "LONGEST_TRUST", 60.0)
    monkeypatch.setattr(store_module, "read_snapshot", read)
    found: list[object] = []
    asking = threading.Thread(target=lambda: found.append(store.token(TOKEN)))
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        asking.start()
        assert begun.wait(60)
        asking.join(0.1)
        assert asking.is_alive()
        writer.execute("COMMIT")
    asking.join()
    assert found != [None]
    assert store.fault is None


def test_a_writer_who_has_not_come_to_the_end_does_not_keep_a_server_from_reading(file: Path) -> None:
    with locked(file, "BEGIN IMMEDIATE"):
        assert in_force(Store(file))


def test_who_is_killed_while_he_writes_leaves_a_fault_which_the_command_undoes(
    store: Store, file: Path, clocks: Clocks
) -> None:
    clocks.passed = 10
    assert in_force(store)
    before = file.read_bytes()
    with process(INTERRUPTED, file, expected="halfway\n") as writer:
        writer.kill()
        writer.wait()
    journal = file.with_name(f"{file.name}-journal")
    halfway = file.read_bytes()
    assert halfway != before
    assert journal.stat().st_size
    clocks.passed += 1
    assert not in_force(store)
    assert str(store.fault) == (
        f"{file}: a change was interrupted halfway: let who may write to it run "
        f"`pyjob access log --file {file}`, which undoes it"
    )
    assert file.read_bytes() == halfway
    assert journal.exists()
    Ledger(file).log()
    assert file.read_bytes()[: len(before)][100:] == before[100:]
    clocks.passed += 1
    assert in_force(store)


# Threads and forks


def test_any_number_of_threads_may_ask_while_it_changes(
    file: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PATIENCE", 60.0)
    passing = iter(range(10**9))
    store = Store(file, monotonic=lambda: float(next(passing)))  # a look at every call
    done = threading.Event()
    begun = threading.Barrier(9)
    faults: list[object] = []

    def ask() -> None:
        begun.wait()
        while not done.is_set():
            try:
                if store.token(TOKEN) is None or store.token(OTHER * 2) is not None:
                    faults.append(store.fault)
            except BaseException as error:
                faults.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    begun.wait()
    for number in range(20):
        ledger.approve("house", "1.0.0", f"/api/v1/{number}")
    done.set()
    for thread in threads:
        thread.join()
    # A writer may have had it locked for longer than a "second", of which each call is one.
    assert all("locked by another program" in str(fault) or fault is None for fault in faults), faults
    assert len(store.approved("house", "1.0.0")) == 21


class Hanging:
    """Stands in for a disk that does not answer the first who asks."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.goes_on = threading.Event()
        self.process = os.getpid()

    def __call__(self, path: Path) -> os.stat_result:
        if self.process == os.getpid() and not self.is_asked.is_set():
            self.is_asked.set()
            assert self.goes_on.wait(60)
        return state_of(path)


@pytest.fixture
def hanging(store: Store, clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """One thread looks at a file whose disk does not answer."""
    assert in_force(store)
    clocks.passed = 0.5
    hanging = Hanging()
    monkeypatch.setattr(store_module, "state_of", hanging)
    monkeypatch.setattr(store_module, "PATIENCE", 0.01)
    thread = threading.Thread(target=store.token, args=(TOKEN,))
    thread.start()
    assert hanging.is_asked.wait(60)
    yield hanging
    hanging.goes_on.set()
    thread.join()


def test_one_look_that_hangs_holds_nobody_up_and_closes_all_after_a_second(
    hanging: Hanging, store: Store, clocks: Clocks
) -> None:
    assert in_force(store)
    clocks.passed = 0.99
    assert in_force(store)
    clocks.passed = 1
    assert not in_force(store)
    assert "its disk does not answer" in str(store.fault)
    hanging.goes_on.set()
    while store.fault is not None:  # until the first has gone on
        clocks.passed += 0.25
    assert in_force(store)


def test_a_look_that_hangs_is_waited_for_by_one_and_not_by_all_who_come_later(
    hanging: Hanging, store: Store, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    clocks.passed = 10
    assert not in_force(store)
    monkeypatch.setattr(store_module, "PATIENCE", "nobody waits")  # else that is a TypeError
    for clocks.passed in (10.1, 11, 600):
        assert not in_force(store)
    monkeypatch.setattr(store_module, "PATIENCE", 60.0)
    hanging.goes_on.set()
    while store.fault is not None:
        clocks.passed += 0.25
    assert in_force(store)


def test_who_asks_after_a_long_silence_waits_for_the_look_of_another(
    store: Store, ledger: Ledger, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_force(store)
    ledger.revoke_token("alice")
    clocks.passed = 600
    hanging = Hanging()
    monkeypatch.setattr(store_module, "state_of", hanging)
    monkeypatch.setattr(store_module, "PATIENCE", 60.0)
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(store.token(TOKEN))) for _ in range(2)]
    threads[0].start()
    assert hanging.is_asked.wait(60)
    threads[1].start()
    hanging.goes_on.set()
    for thread in threads:
        thread.join()
    assert found == [None, None]
    assert store.fault is None


def test_a_child_of_a_process_whose_thread_looks_just_now_asks_for_itself(
    hanging: Hanging, store: Store, clocks: Clocks
) -> None:
    clocks.passed = 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that there are threads is the point
        child = os.fork()
    if child == 0:
        os._exit(0 if store.fault is None and store.token(TOKEN) is not None else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
