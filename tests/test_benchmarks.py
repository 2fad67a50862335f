"""The page of benchmarks says what its figures say, and the command helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
BENCHMARKS = REPO / "benchmarks"
DOCS = REPO / "docs"


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "run"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


def test_the_page_is_the_one_that_its_figures_make(tmp_path: Path) -> None:
    ended = run("--from-json", str(DOCS / "benchmarks.json"), "--output", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    for made in tmp_path.iterdir():
        assert made.read_text() == (DOCS / made.name).read_text(), made.name
    names = {made.name for made in tmp_path.iterdir()}
    assert names == {file.name for file in DOCS.glob("benchmarks*")}


def test_the_command_tells_what_it_can_do() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    for told in ("--quick", "--full", "--only", "--from-json", "contenders:", "pins"):
        assert told in ended.stdout


@pytest.mark.parametrize("arguments", [["--quick", "--full"], [], ["--quick", "--only", "nobody"]])
def test_an_order_that_makes_no_sense_is_told(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "usage: benchmarks/run" in ended.stderr


def test_without_wrk_it_says_how_to_get_it(tmp_path: Path) -> None:
    ended = run("--quick", "--output", str(tmp_path), env={"PATH": "/nowhere"})
    assert (ended.returncode, ended.stderr) == (
        2,
        "benchmarks: wrk is not installed: apt-get install wrk\n",
    )


def test_figures_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    ended = run("--from-json", str(tmp_path / "broken.json"), "--output", str(tmp_path))
    assert ended.returncode == 2
    assert "broken.json" in ended.stderr


def test_the_parts_of_a_call_are_those_that_there_are() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); from inside.parts import check_parts; check_parts()"
    done = subprocess.run(
        [sys.executable, "-c", code, str(BENCHMARKS)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
