"""One file of Python as text: parsed, or what is wrong with it; whatever it is, nothing blocks or raises."""

from __future__ import annotations

import ast
import stat
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyjob.errors import one_line

LONGEST_LINE = 100
LARGEST = 512 * 1024  # bytes; what is read of a file takes a hundred times as much memory


@dataclass(frozen=True, eq=False)
class Source:
    """A file that Python can compile; ``name`` is relative to the job's folder."""

    path: Path
    name: str
    tree: ast.Module

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of it: many rules want to see them all."""
        return list(ast.walk(self.tree))


@dataclass(frozen=True)
class Fault:
    """Why a file cannot be read: in ``line``, which has ``text``.

    ``is_missing``: nothing is there; ``may_run``: Python may do better.
    """

    message: str
    line: int | None = None
    text: str = ""
    is_missing: bool = False
    may_run: bool = False


def read_source(path: Path, name: str) -> Source | Fault:
    """The file at ``path``, which messages call ``name``."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a FIFO would block
            return Fault(f"{name!r} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'no regular file'}")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return Fault(f"there is no file {name!r}", is_missing=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return Fault(f"{name!r} cannot be read: {reason}")
    if len(data) > LARGEST:
        return Fault(f"{name!r} is larger than {LARGEST // 1024} KiB, too large to be checked", may_run=True)
    return _parsed(path, name, data)


def _parsed(path: Path, name: str, data: bytes) -> Source | Fault:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data, name)
            # Finds what the grammar lets through, such as a `return` outside of a function.
            compile(tree, name, "exec", dont_inherit=True)
    except SyntaxError as error:
        message = f"{type(error).__name__}: {one_line(error.msg)}"
        return Fault(message, error.lineno or None, _line_of(data, error.lineno))
    except (RecursionError, MemoryError):
        return Fault("it is nested too deep for Python to read")
    except (ValueError, OverflowError) as error:  # NUL bytes, before Python 3.12
        return Fault(f"it is not Python: {one_line(str(error))}")
    return Source(path, name, tree)


def _line_of(data: bytes, number: int | None) -> str:
    """The beginning of one line of a file."""
    lines = data.splitlines()
    text = lines[number - 1].decode(errors="replace").strip() if number and number <= len(lines) else ""
    return one_line(text if len(text) <= LONGEST_LINE else f"{text[:LONGEST_LINE]}...")
