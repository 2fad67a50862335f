"""The rules of the house, as far as they hold for a package that only hands on."""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path

import pyjob
from tests.compat.conftest import COMPAT
from tests.test_architecture import LONGEST_FILE, MOST_IN_A_FOLDER, imports_of

PACKAGE = COMPAT / "racetrack_job_wrapper"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_it_imports_nothing_but_pyjob_and_the_standard_library() -> None:
    for file in FILES:
        tops = {name.partition(".")[0] for name in imports_of(file)}
        assert tops <= {"pyjob", PACKAGE.name, *sys.stdlib_module_names}, file


def test_pyjob_knows_nothing_of_it() -> None:
    for file in Path(pyjob.__file__).parent.rglob("*.py"):
        assert not any(name.startswith(PACKAGE.name) for name in imports_of(file)), file


def test_its_files_say_what_they_are_for_and_are_short() -> None:
    assert FILES
    for file in FILES:
        text = file.read_text()
        assert ast.get_docstring(ast.parse(text)), file
        assert len(text.splitlines()) <= LONGEST_FILE, file
    for folder in {file.parent for file in FILES}:
        assert len([path for path in folder.glob("*.py") if path.stem[:2] != "__"]) <= MOST_IN_A_FOLDER


def test_importing_all_of_it_has_no_side_effects() -> None:
    names = [".".join(file.relative_to(COMPAT).with_suffix("").parts) for file in FILES]
    code = f"""
import logging, os, sys, threading
sys.path[:0] = [{str(COMPAT)!r}, {str(COMPAT.parent)!r}]
before = (os.getcwd(), dict(os.environ), sys.path.copy())
for name in {[name for name in names if not name.endswith("__main__")]!r}:
    __import__(name.removesuffix(".__init__"))
assert before == (os.getcwd(), dict(os.environ), sys.path.copy())
assert threading.active_count() == 1
assert not logging.getLogger().handlers
assert logging.getLogger("racetrack").level == logging.NOTSET
assert not {{"fastapi", "starlette", "asyncio", "numpy"}} & set(sys.modules)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_nobody_is_made_to_download_a_stranger_called_pyjob() -> None:
    settings = configparser.ConfigParser()
    settings.read(COMPAT / "setup.cfg")
    assert "install_requires" not in settings["options"]
    assert not settings.has_section("options.extras_require")
    own = configparser.ConfigParser()
    own.read(COMPAT.parent / "setup.cfg")
    assert "compat" not in own["options.packages.find"]["include"]
