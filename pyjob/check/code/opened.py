"""Files that the start of a job opens for certain, and that are not there (SPEC 1.2)."""

from __future__ import annotations

import ast
import difflib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.note import WARNING, note
from pyjob.check.code.paths import PathReader, file_of, inside, is_write, name_of
from pyjob.check.code.reading.project import Definition, Module, Project
from pyjob.check.code.reading.reach import Reach
from pyjob.check.code.reading.scope import Function
from pyjob.check.finding import Finding
from pyjob.manifest import Manifest

# Code with a call of such a name anywhere may make the file, look whether it is there, or go elsewhere.
MAY_MAKE_IT = re.compile(
    r"(write|save|dump|to_|mk|make|touch|rename|replace|copy|move|extract|unpack|symlink|link|create|generate)"
    r"|(prepare|ensure|build|train|fetch|get_file|pull|sync|clone|run|call|check_|Popen|popen|spawn|system|exec)"
    r"|(exists|lexists|is_file|isfile|is_dir|isdir|access|stat|glob|chdir|fchdir|setUp|mount)"
    r"|.*(download|retrieve|_to_file)"
)


def judge_opened(
    project: Project, reach: Reach, draft: Draft | None, manifest: Manifest
) -> Iterator[Finding]:
    """Findings of modules that are imported for certain, and of the job's `__init__`."""
    modules = reach.modules.values()
    calls = [node for module in modules for node in module.source.nodes if isinstance(node, ast.Call)]
    if any(
        MAY_MAKE_IT.match(name_of(call)) or (name_of(call) == "open" and is_write(call)) for call in calls
    ):
        return
    bodies = [(module, module.source.tree.body) for module in reach.certain(project)]
    init = draft.blueprint.find("__init__") if draft and not draft.blueprint.is_opaque else None
    if isinstance(init, Definition) and isinstance(init.node, Function):
        bodies.append((init.module, init.node.body))
    secret = {
        manifest.folder / manifest.secret_build_env_file,
        manifest.folder / manifest.secret_runtime_env_file,
    }
    for module, body in bodies:
        reader = PathReader(module)
        for call in _certain_calls(body):
            path = inside(project.folder, _opened_by(call, reader))
            if path is not None and path not in secret and not os.path.lexists(path):
                yield _missing(project, module, call, path)


def _missing(project: Project, module: Module, call: ast.Call, path: Path) -> Finding:
    shown = str(path.relative_to(project.folder))
    names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    remedy = f"did you mean {near[0]!r}?" if near else "put it there, or correct the path"
    message = f"{module.source.name} opens {shown!r}, and there is no such file"
    return note("files-in-git", WARNING, module, call, message, remedy)


def _opened_by(call: ast.Call, reader: PathReader) -> str | None:
    """The path of a file that a call opens for reading."""
    name, owner = name_of(call), getattr(call.func, "value", None)
    if name == "open" and owner is None:
        return None if is_write(call) else reader.read(file_of(call))
    if name in ("open", "read_text", "read_bytes") and owner is not None and reader.is_built(owner):
        return reader.read(owner)
    return None


def _certain_calls(statements: Iterable[ast.stmt]) -> Iterator[ast.Call]:
    """Calls that are made whenever the statements run, and of which no failure is caught."""
    for statement in statements:
        if isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign)) and statement.value is not None:
            yield from _calls_in(statement.value)
        elif isinstance(statement, ast.With):
            contexts = [item.context_expr for item in statement.items]
            yield from (call for context in contexts for call in _calls_in(context))
            if all(isinstance(one, ast.Call) and name_of(one) == "open" for one in contexts):
                yield from _certain_calls(statement.body)


def _calls_in(expression: ast.expr) -> Iterator[ast.Call]:
    waiting: list[ast.AST] = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Call):
            yield node
        if not isinstance(node, (ast.Lambda, ast.IfExp, ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp)):
            waiting.extend([] if isinstance(node, ast.GeneratorExp) else ast.iter_child_nodes(node))
