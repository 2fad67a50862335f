"""Files that the code names by literals: those of the job's folder, and absolute paths, which lead astray."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import WARNING, note
from pyjob.check.code.reading.literal import constant
from pyjob.check.code.reading.project import Module, Project
from pyjob.check.code.reading.reach import Reach
from pyjob.check.code.reading.scope import is_main_guard
from pyjob.check.finding import Finding

OF_A_MACHINE = re.compile(r"/src/job/|/home/[^/]+/[^/]|/Users/[^/]+/[^/]|[A-Za-z]:\\")
# What they are given are addresses, not files.
ROUTING = frozenset(
    {
        "add_url_rule",
        "delete",
        "get",
        "head",
        "patch",
        "path",
        "post",
        "put",
        "re_path",
        "redirect",
        "request",
    }
    | {"route", "EndpointConfig", "mount"}
)
READERS = re.compile(r"(?:load|read)(?:_\w+|s)?\Z|load[A-Z]|read[A-Z]")
LONGEST = 4096


@dataclass(frozen=True, order=True)
class Reference:
    """A file or folder of the job that its code names, at ``line`` of ``file``."""

    path: Path
    file: str
    line: int


def judge_paths(project: Project, reach: Reach) -> Iterator[Finding]:
    """Absolute paths that are given to a call: they are right on one machine at most."""
    own = f"{project.folder}/"
    for module in reach.modules.values():
        for call in _calls(module):
            if _name_of(call) in ROUTING:
                continue
            for node in (*call.args, *(keyword.value for keyword in call.keywords)):
                text = constant(node)
                if not isinstance(text, str) or not (OF_A_MACHINE.match(text) or text.startswith(own)):
                    continue
                rest = text.removeprefix(own).removeprefix("/src/job/")
                rest = rest if rest != text else re.split(r"[/\\]", text)[-1]
                message = f"the absolute path {text[:200]!r} is right on one machine at most"
                remedy = f'write "./{rest[:200]}", relative to the job\'s folder, and put it there'
                yield note("relative-paths", WARNING, module, node, message, remedy)


def references_in(project: Project, reach: Reach, draft: Draft | None) -> Iterator[Reference]:
    """The files and folders that are there."""
    for module in reach.modules.values():
        for call in _calls(module):
            path = _existing(project.folder, _file_read_by(call))
            if path is not None:
                yield Reference(path, module.source.name, call.lineno)
    method = draft.method("static_endpoints") if draft else None
    for node in ast.walk(method.node) if method else ():
        if method is None or not isinstance(node, ast.Dict):
            continue
        for value in node.values:
            first = value.elts[0] if isinstance(value, (ast.Tuple, ast.List)) and value.elts else value
            path = _existing(project.folder, constant(first))
            if path is not None:
                yield Reference(path, method.module.source.name, first.lineno)


def _calls(module: Module) -> Iterator[ast.Call]:
    """Every call in a module, but for what runs only by hand."""
    guards = [one for one in module.source.tree.body if is_main_guard(one)]
    by_hand = {id(node) for guard in guards for node in ast.walk(guard)}
    return (n for n in module.source.nodes if isinstance(n, ast.Call) and id(n) not in by_hand)


def _name_of(call: ast.Call) -> str:
    """The last part of what is called."""
    return str(getattr(call.func, "attr", getattr(call.func, "id", "")))


def _file_read_by(call: ast.Call) -> object:
    """The path that a call is given to read, if it is written out."""
    name = _name_of(call)
    texts = [constant(node) for node in call.args]
    if name == "join" and len(texts) > 1 and isinstance(call.func, ast.Attribute):
        is_path = getattr(call.func.value, "attr", getattr(call.func.value, "id", "")) == "path"
        is_plain = is_path and all(isinstance(text, str) for text in texts)
        return os.path.join(*map(str, texts)) if is_plain else None  # noqa: PTH118  it is what the code does
    if name == "open" and isinstance(call.func, ast.Name):
        mode = (
            texts[1]
            if len(texts) > 1
            else next((constant(k.value) for k in call.keywords if k.arg == "mode"), "r")
        )
        return texts[0] if texts and isinstance(mode, str) and not set(mode) & set("wax") else None
    return texts[0] if texts and (name == "Path" or READERS.match(name)) else None


def _existing(folder: Path, text: object) -> Path | None:
    """The file or folder of that name inside the job's folder, if there is one."""
    if not isinstance(text, str) or not text or text.startswith("/") or "\0" in text or len(text) > LONGEST:
        return None
    path = Path(os.path.normpath(folder / text))
    try:
        return path if path != folder and path.is_relative_to(folder) and path.exists() else None
    except (OSError, ValueError):
        return None
