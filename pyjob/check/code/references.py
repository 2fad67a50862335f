"""Files that the code names by literals: those of the job's folder, and absolute paths, which lead astray."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import WARNING, note
from pyjob.check.code.paths import LONGEST, PathReader, file_of, inside, is_write, name_of
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
# What makes, changes or removes the files that it is given.
WRITERS = re.compile(
    r"(write|save|dump|to_|mk|make|touch|unlink|remove|rm|rename|replace|copy|move|extract|unpack|symlink)"
    r"|.*(download|retrieve)"
)


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
            if name_of(call) in ROUTING:
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
    """The files and folders that are there, but for those that the job writes itself."""
    found = [*_named_in_calls(project, reach), *_served(project, draft)]
    written = {place for path in _written(project, reach) for place in (path, *path.parents)}
    yield from (one for one in found if one.path not in written)


def _named_in_calls(project: Project, reach: Reach) -> Iterator[Reference]:
    for module in reach.modules.values():
        reader, parts = PathReader(module), set[int]()
        for node in _nodes(module):
            text = _file_read_by(node, reader) if isinstance(node, ast.Call) else None
            if text is None and reader.is_built(node) and id(node) not in parts:
                text = reader.read(node)  # type: ignore[arg-type]
                parts |= {id(part) for part in ast.walk(node)} if text else set()
            path = _existing(project.folder, text)
            if path is not None and path not in reach.modules:
                yield Reference(path, module.source.name, getattr(node, "lineno", 1))


def _served(project: Project, draft: Draft | None) -> Iterator[Reference]:
    """What `static_endpoints` names."""
    method = draft.method("static_endpoints") if draft else None
    for node in ast.walk(method.node) if method else ():
        if method is None or not isinstance(node, ast.Dict):
            continue
        for value in node.values:
            first = value.elts[0] if isinstance(value, (ast.Tuple, ast.List)) and value.elts else value
            text = constant(first)
            path = _existing(project.folder, text if isinstance(text, str) else None)
            if path is not None:
                yield Reference(path, method.module.source.name, first.lineno)


def _written(project: Project, reach: Reach) -> Iterator[Path]:
    """Files and folders that the code makes, changes or removes."""
    for module in reach.modules.values():
        reader = PathReader(module)
        for call in _calls(module):
            name = name_of(call)
            if WRITERS.match(name) or (name == "open" and is_write(call)):
                owner = [call.func.value] if isinstance(call.func, ast.Attribute) else []
                for node in (*owner, *call.args, *(keyword.value for keyword in call.keywords)):
                    path = inside(project.folder, reader.read(node))
                    if path is not None:
                        yield path


def _nodes(module: Module) -> Iterator[ast.AST]:
    """Everything in a module, but for what runs only by hand."""
    guards = [one for one in module.source.tree.body if is_main_guard(one)]
    by_hand = {id(node) for guard in guards for node in ast.walk(guard)}
    return (node for node in module.source.nodes if id(node) not in by_hand)


def _calls(module: Module) -> Iterator[ast.Call]:
    return (node for node in _nodes(module) if isinstance(node, ast.Call))


def _file_read_by(call: ast.Call, reader: PathReader) -> str | None:
    """The path that a call is given to read, if it is written out."""
    name, first = name_of(call), file_of(call)
    is_open = name == "open" and isinstance(call.func, ast.Name) and not is_write(call)
    return reader.read(first) if is_open or READERS.match(name) else None


def _existing(folder: Path, text: str | None) -> Path | None:
    """The file or folder of that name inside the job's folder, if there is one."""
    path = None if text is None or len(text) > LONGEST or "\0" in text else inside(folder, text)
    try:
        return path if path is not None and path.exists() else None
    except (OSError, ValueError):
        return None
