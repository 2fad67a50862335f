"""Bad manifests on the command line: each is one clear error with its line, soon and in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Runs a command and says what it took, in a process of its own: the system only tells the most that any of a
# process's children took.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], capture_output=True, text=True, timeout=60)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(done.returncode, memory, usage.ru_utime + usage.ru_stime)
print(done.stdout + done.stderr, end="")
"""
MOST_SECONDS = 10.0  # of the processor; on a quiet machine it is less than one
MOST_BYTES = 100 * 1024 * 1024

GOOD = "name: x\nowner_email: a@b\njobtype: python3:latest\njobtype_extra: {entrypoint_path: job.py}\n"
BOMB = "\n".join(
    ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 30)]
)


def writing(data: str | bytes) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(data if isinstance(data, bytes) else data.encode())


FAULT = "expected valid YAML, found a fault in column"
MAPPING = "expected a mapping of fields to values, found"
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "not UTF-8": (
        writing(b"name: x\nowner_email: \xff\n"),
        "job.yaml:2: expected UTF-8 text, found the byte 0xff",
    ),
    "empty": (writing(""), f"job.yaml: {MAPPING} an empty document"),
    "a list": (writing("# jobs\n- name: x\n"), f"job.yaml:2: {MAPPING} a list"),
    "words": (writing("\n\nhello\n"), f"job.yaml:3: {MAPPING} text"),
    "an env file": (
        writing("TOKEN=hunter2\n"),
        f"job.yaml: {MAPPING} lines of NAME=value, as in an env file",
    ),
    "no YAML": (
        writing("name: x\nlabels: [a\nversion: 1\n"),
        f"job.yaml:3: {FAULT} 8: while parsing a flow sequence, expected ',' or ']', but got ':'",
    ),
    "an alias bomb": (
        writing(BOMB),
        f"job.yaml:5: {FAULT} 5: aliases that expand to more than 20000 values",
    ),
    "10 MB": (writing("# a\n" * 2_500_000), "job.yaml: expected at most 262144 bytes, found more"),
    "200,000 brackets": (
        writing("a: " + "[" * 200_000),
        f"job.yaml:1: {FAULT} 103: more than 100 levels of nesting",
    ),
    "many values": (
        writing("".join(f"k{n}: 1\n" for n in range(20_500))),
        f"job.yaml:10000: {FAULT} 8: more than 20000 values",
    ),
    "many values, deep below long names": (
        writing(f"{GOOD}docker: {('{' + 'k' * 60 + ': ') * 90}[{'a,' * 19_000}]{'}' * 90}"),
        "job.yaml:5: docker: expected at most 50 levels of nesting, found more",
    ),
    "a folder": (Path.mkdir, "job.yaml: expected a file, found a folder"),
    "a FIFO": (os.mkfifo, "job.yaml: expected a file, found a FIFO"),
    "a circle of links": (
        lambda file: file.symlink_to(file.name),
        "job.yaml: expected an existing file, found symbolic links that go round in a circle",
    ),
    "a link to nothing": (
        lambda file: file.symlink_to("nothing"),
        "job.yaml: expected an existing file, found a symbolic link to nothing",
    ),
}  # fmt: skip


def refusal_of(folder: Path) -> str:
    """What `pyjob run` prints for a folder, once it has ended with status 1 within the bounds."""
    command = [sys.executable, "-m", "pyjob", "run", ".", "--host", "127.0.0.1", "--port", "0"]
    measured = subprocess.run(
        [sys.executable, "-c", MEASURE, *command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    usage, _, printed = measured.stdout.partition("\n")
    status, memory, seconds = usage.split()
    assert status == "1", printed
    assert float(seconds) < MOST_SECONDS
    assert int(memory) < MOST_BYTES
    return printed


@pytest.mark.parametrize("name", BAD)
def test_a_bad_manifest_is_one_clear_error_soon_and_in_little_memory(name: str, tmp_path: Path) -> None:
    make, line = BAD[name]
    make(tmp_path / "job.yaml")
    assert refusal_of(tmp_path) == f"pyjob: error: {line}\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_manifest_that_may_not_be_read_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").touch(mode=0)
    said = "pyjob: error: job.yaml: expected a file that can be read, found no permission\n"
    assert refusal_of(tmp_path) == said
