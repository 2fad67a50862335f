"""Paths as code puts them together, as far as they are written out: `Path(__file__).parent / "model.bin"`."""

from __future__ import annotations

import ast
import os
from collections import Counter
from pathlib import Path, PurePosixPath

from pyjob.check.code.reading.project import Module
from pyjob.check.code.reading.scope import Function

LONGEST = 4096
MOST_STEPS = 20
# Of `os.path` and of `Path`: what changes nothing but the spelling.
SAME = frozenset({"abspath", "realpath", "normpath", "fspath", "str", "resolve", "absolute", "as_posix"})
PATHS = frozenset({"Path", "PurePath", "PosixPath"})


class PathReader:
    """Reads the paths in one module: absolute ones where they start at its file, else as they are written."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._known: dict[ast.expr, str | None] = {}
        nodes = module.source.nodes
        stored = [n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)]
        stored += [n.arg for n in nodes if isinstance(n, ast.arg)]
        # A name that is bound anywhere else may mean something else where it is used.
        self._once = {name for name, count in Counter(stored).items() if count == 1}

    def read(self, node: ast.expr | None, steps: int = 0) -> str | None:
        """The path that an expression gives; None where it, or a part of it, is computed."""
        if node is None or steps > MOST_STEPS:
            return None
        if node not in self._known:  # each once: names may stand for names many times over
            text = self._read(node, steps + 1)
            self._known[node] = None if text is None or len(text) > LONGEST or "\0" in text else text
        return self._known[node]

    def is_built(self, node: ast.AST) -> bool:
        """Whether an expression puts a path together, and is not just a name or a text."""
        if isinstance(node, ast.Call):
            return name_of(node) in {"join", "joinpath", "with_name", *PATHS}
        return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)

    def _read(self, node: ast.expr, steps: int) -> str | None:
        match node:
            case ast.Constant(value=str(text)):
                return text
            case ast.Name(id="__file__"):
                return str(self._module.source.path)
            case ast.Name(id=name):
                bound = self._module.scope.bound.get(name) if name in self._once else None
                is_value = isinstance(bound, ast.expr) and not isinstance(bound, Function)
                return self.read(bound, steps) if is_value else None  # type: ignore[arg-type]
            case ast.BinOp(left=left, op=ast.Div() | ast.Add() as op, right=right):
                parts = self._all([left, right], steps)
                if parts is None:
                    return None
                return os.path.join(*parts) if isinstance(op, ast.Div) else "".join(parts)  # noqa: PTH118
            case ast.JoinedStr(values=values):
                parts = self._all([_plain_part(value) for value in values], steps)
                return None if parts is None else "".join(parts)
            case ast.Attribute(value=value, attr="parent"):
                return _parent(self.read(value, steps))
            case (
                ast.Call(func=ast.Attribute() | ast.Name(), keywords=[] | [ast.keyword(arg="strict")]) as call
            ):
                return self._of_call(call, steps)
        return None

    def _of_call(self, call: ast.Call, steps: int) -> str | None:
        name = name_of(call)
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        is_of_module = _last_name(owner) in ("path", "os", "pathlib", "posixpath")
        given = self._all(call.args if owner is None or is_of_module else [owner, *call.args], steps)
        if not given:
            return None
        if (name == "join" and is_of_module) or (name == "joinpath" and not is_of_module) or name in PATHS:
            return os.path.join(*given)  # noqa: PTH118  it is what the code does
        if name == "dirname":
            return os.path.dirname(given[0])  # noqa: PTH120
        if name == "with_name" and len(given) == 2:
            return os.path.join(_parent(given[0]) or "", given[1])  # noqa: PTH118
        return given[0] if name in SAME and len(given) == 1 else None

    def _all(self, nodes: list[ast.expr], steps: int) -> list[str] | None:
        texts = [self.read(node, steps) for node in nodes]
        return None if None in texts else [text for text in texts if text is not None]


def name_of(call: ast.Call) -> str:
    """The last part of what is called."""
    return _last_name(call.func)


def file_of(call: ast.Call) -> ast.expr | None:
    """What a call that opens a file is given as its path."""
    named = (one.value for one in call.keywords if one.arg == "file")
    return call.args[0] if call.args else next(named, None)


def is_write(call: ast.Call) -> bool:
    """Whether `open` is told to write, or may be."""
    given = call.args[1] if len(call.args) > 1 else None
    mode = next((one.value for one in call.keywords if one.arg == "mode"), given)
    if mode is None:
        return False
    return not (isinstance(mode, ast.Constant) and isinstance(mode.value, str)) or bool(
        set(mode.value) & set("wax+")
    )


def inside(folder: Path, text: str | None) -> Path | None:
    """Where a path leads to that is used in ``folder``, if that is inside of it."""
    if not text:
        return None
    path = Path(os.path.normpath(folder / text))
    return path if path != folder and path.is_relative_to(folder) else None


def _last_name(node: ast.AST | None) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _plain_part(node: ast.expr) -> ast.expr:
    """The value that a part of an f-string shows as it is."""
    is_plain = isinstance(node, ast.FormattedValue) and node.conversion == -1 and node.format_spec is None
    return node.value if is_plain else node  # type: ignore[attr-defined]


def _parent(path: str | None) -> str | None:
    return None if path is None else str(PurePosixPath(path).parent)
