"""The rules of the house (docs/design.md), held by reading the code."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pyjob

PACKAGE = Path(pyjob.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FILE = 300
MOST_IN_A_FOLDER = 9

# Who may import whom: a row only rows below it, and its own. A folder counts as one row; `_root` is the
# package's face.
HOUSE = [
    {"__main__", "bundle"},
    {"cli"},
    {"check", "deploy", "platform", "render", "ship", "starter"},
    {"testing"},
    {"_root"},
    {"app"},
    {"own"},
    {"serving"},
    {"lanes"},
    {"application"},
    {"routes"},
    {"apps"},
    {"calls"},
    {"access"},
    {"routing"},
    {"client"},
    {"context", "wire"},
    {"gate"},
    {"logs", "metrics", "openapi", "state", "settings"},
    {"requirements"},
    {"job"},
    {"method"},
    {"trace"},
    {"environment"},
    {"manifest"},
    {"git"},
    {"errors"},
]
WITHOUT_WERKZEUG = ["gate", "metrics", "state.py", "method"]


def name_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "_root" if first == "__init__" else first


def imports_of(file: Path) -> set[str]:
    """Full names of the modules that ``file`` imports, at any depth of its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports are absolute"
            names.add(str(node.module))
    return names


def rows_used_by(file: Path) -> set[str]:
    own: set[str] = set()
    for name in imports_of(file):
        if name == "pyjob":
            own.add("_root")
        elif name.startswith("pyjob."):
            own.add(name.split(".")[1])
    return own


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_run_one_way(file: Path) -> None:
    rank = {name: row for row, names in enumerate(HOUSE) for name in names}
    me = name_of(file)
    assert me in rank, f"{me} has no place in the house: give it a row"
    for other in rows_used_by(file):
        assert other == me or rank[other] > rank[me], f"{me} imports {other}, which does not stand below it"


def test_serving_knows_nothing_of_the_client() -> None:
    allowed = {"_root", "cli", "client", "platform"}
    for file in FILES:
        assert "client" not in rows_used_by(file) or name_of(file) in allowed, file


def test_no_room_knows_another() -> None:
    # What pages are made of is no room.
    for file in (PACKAGE / "apps").glob("*.py"):
        others = {name for name in imports_of(file) if name.startswith("pyjob.apps")}
        assert others <= {"pyjob.apps.pages.assets"}, file


@pytest.mark.parametrize("path", WITHOUT_WERKZEUG)
def test_the_core_of_a_call_does_without_werkzeug(path: str) -> None:
    files = [PACKAGE / path] if path.endswith(".py") else list((PACKAGE / path).glob("*.py"))
    assert files
    assert not any(name.startswith("werkzeug") for file in files for name in imports_of(file))


def test_there_are_no_circles_inside_a_folder() -> None:
    for folder in (path for path in PACKAGE.iterdir() if path.is_dir()):
        prefix = f"pyjob.{folder.name}."
        edges = {
            file.stem: {name.removeprefix(prefix) for name in imports_of(file) if name.startswith(prefix)}
            for file in folder.glob("*.py")
            if file.stem != "__init__"
        }
        while edges:
            leaves = [name for name, uses in edges.items() if not uses & edges.keys()]
            assert leaves, f"imports of {folder.name} run in a circle: {sorted(edges)}"
            for leaf in leaves:
                del edges[leaf]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_no_file_is_too_long(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST_FILE


def test_no_folder_is_crowded() -> None:
    for folder in {file.parent for file in FILES}:
        rooms = [path for path in folder.glob("*.py") if not path.stem.startswith("__")]
        assert len(rooms) <= MOST_IN_A_FOLDER, folder


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not {file.stem for file in FILES} & {"utils", "util", "helpers", "common", "base", "misc"}


def test_every_public_name_exists_and_is_sorted() -> None:
    assert pyjob.__all__ == sorted(set(pyjob.__all__))
    for name in pyjob.__all__:
        assert getattr(pyjob, name) is not None


def test_importing_pyjob_has_no_side_effects() -> None:
    code = """
import logging, os, signal, sys, threading, warnings
modules = set(sys.modules)
before = (os.getcwd(), dict(os.environ), sys.path.copy(), signal.getsignal(signal.SIGTERM))
import pyjob, pyjob.cli
after = (os.getcwd(), dict(os.environ), sys.path.copy(), signal.getsignal(signal.SIGTERM))
assert before == after
assert threading.active_count() == 1
assert not logging.getLogger().handlers
new = set(sys.modules) - modules
heavy = new & {"asyncio", "sqlite3", "numpy", "pandas", "unittest", "multiprocessing"}
assert not heavy, heavy
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_every_module_says_what_it_is_for() -> None:
    for file in FILES:
        assert ast.get_docstring(ast.parse(file.read_text())), file


def test_a_server_loads_only_what_serving_needs() -> None:
    code = """
import sys
from pathlib import Path
before = set(sys.modules)  # what measures coverage is none of ours
import pyjob.cli
import pyjob.cli.run
from pyjob.own import JobSource, own_application

application = own_application(JobSource(Path("examples/supersmart")))
application.load()
others = ("check", "client", "platform", "render", "starter", "testing", "git", "cli.check", "cli.new")
unwanted = {f"pyjob.{name}" for name in (*others, "cli.access", "access.ledger", "access.store")}
unwanted |= {f"pyjob.cli.run.{name}" for name in ("config", "listening", "reload", "several")}
unwanted |= {"pyjob.environment.env_file", "pyjob.application.self_test", "pyjob.manifest.json_schema"}
unwanted |= {"werkzeug.debug", "asyncio", "sysconfig", "subprocess", "packaging", "sqlite3"}
new = set(sys.modules) - before
assert not unwanted & new, unwanted & new
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=PACKAGE.parent
    )
    assert ended.returncode == 0, ended.stderr
