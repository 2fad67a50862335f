"""What others may see of a program while it runs: command lines."""

from __future__ import annotations

import shlex
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """Command lines of all processes, looked at all the while."""
    seen = set[str]()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(0.002):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended
                    seen.add(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def recording(folder: Path, name: str) -> Path:
    """A program of that name that notes its arguments in ``folder`` and runs the real one; for PATH."""
    real = shutil.which(name)
    assert real is not None
    program = folder / "bin" / name
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\necho "$@" >>{shlex.quote(str(folder / name))}\nexec {shlex.quote(real)} "$@"\n'
    )
    program.chmod(0o755)
    return program.parent
