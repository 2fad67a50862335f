"""Whether every import leads somewhere; nothing is imported to find out (SPEC 1.2, 4.2)."""

from __future__ import annotations

import ast
import difflib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pyjob.check.code.note import ERROR, WARNING, note
from pyjob.check.code.reading.modules import Place, is_shadowed
from pyjob.check.code.reading.project import MISSING, Project
from pyjob.check.code.reading.reach import Edge, Reach
from pyjob.check.finding import Finding, quoted
from pyjob.job.loader import REFERENCE
from pyjob.manifest import Manifest

RULE = "imports"
NEAR = 0.75
# Packages that are not called like the module that they bring.
CALLED_OTHERWISE = {
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def judge_imports(project: Project, reach: Reach, manifest: Manifest, cwd: Path) -> Iterator[Finding]:
    """Findings of all imports of the job's own code; ``cwd`` is where the commands of the remedies work."""
    set_names = _names_set_from_outside(reach)
    changes_path = reach.changes_path
    for edge in reach.edges:
        yield from _judge_shadow(project, edge)
        if not edge.is_certain:
            continue
        if edge.target is None:
            yield _relative(edge)
        elif project.finder.find(edge.target) is Place.NOWHERE:
            if not changes_path:
                yield _nowhere(project, edge, edge.target, manifest, cwd)
        elif edge.names and not changes_path:
            yield from _judge_names(project, edge, edge.target, set_names)
    for path, (edge, fault) in reach.faults.items():
        if not fault.may_run:
            severity = ERROR if edge.is_certain else WARNING
            message = f"{fault.message}, so {edge.importer.source.name} cannot import it"
            remedy = f"the line: {fault.text}" if fault.text else "mend that file"
            yield Finding(RULE, severity, message, remedy, str(path.relative_to(project.folder)), fault.line)


def _relative(edge: Edge) -> Finding:
    written = ast.unparse(edge.node)
    module = getattr(edge.node, "module", None)
    remedy = written.replace(f"from {'.' * getattr(edge.node, 'level', 1)}", "from ", 1)
    message = f"`{written}` is relative to a package that {edge.importer.source.name} is not in"
    names = ", ".join(edge.names)
    return note(
        RULE,
        ERROR,
        edge.importer,
        edge.node,
        message,
        f"write `{remedy if module else f'import {names}'}`",
    )


def _nowhere(project: Project, edge: Edge, target: str, manifest: Manifest, cwd: Path) -> Finding:
    parts = target.split(".")
    ends = range(1, len(parts) + 1)
    end = next((e for e in ends if project.finder.find(".".join(parts[:e])) is Place.NOWHERE), len(parts))
    missing, parent = ".".join(parts[:end]), ".".join(parts[: end - 1])
    requirements = manifest.jobtype_extra.requirements_path
    names = project.finder.names_in(parent)
    near = difflib.get_close_matches(parts[end - 1], names, n=1, cutoff=NEAR)
    if near:
        remedy = f"did you mean {'.'.join([*parts[: end - 1], near[0]])!r}?"
    elif parent:
        remedy = f"{parent} has {', '.join(names) or 'no modules'}"
    else:
        command = f"pip install -r {quoted(manifest.folder / requirements, cwd)}" if requirements else ""
        remedy = _package(missing, command)
    # What the requirements name may be installed elsewhere.
    severity = WARNING if requirements and not parent and not near else ERROR
    return note(RULE, severity, edge.importer, edge.node, f"there is no module {missing!r}", remedy)


def _package(module: str, command: str) -> str:
    """What to do about a module that is none of the job's; ``command`` installs what it requires."""
    if module == REFERENCE:
        return "install pyjob's compat distribution; docs/from_racetrack.md has the lines that do without"
    if module in CALLED_OTHERWISE:
        name = CALLED_OTHERWISE[module]
        install = command or f"pip install {name}, and name it in the file of jobtype_extra.requirements_path"
        return f"the package is called {name}: {install}"
    near = difflib.get_close_matches(module, [*sys.stdlib_module_names, *_installed()], n=1, cutoff=NEAR)
    if near:
        return f"did you mean {near[0]!r}?" + (f" Or {command}" if command else "")
    return command or "a misspelling, a file of the job that is missing, or a package that is not installed"


def _installed() -> list[str]:
    """The names of the modules that packages have brought."""
    places = [path for path in sys.path if path.endswith("-packages")]
    return [found.name for found in pkgutil.iter_modules(places) if not found.name.startswith("_")]


def _judge_names(project: Project, edge: Edge, target: str, set_names: set[str]) -> Iterator[Finding]:
    module = project.module(target)
    if module is None and (not project.is_package(target) or isinstance(project.finder.find(target), Place)):
        return
    for name in edge.names:
        if name == "*" or name.startswith("__") or name in set_names:
            continue
        found = project.member(module, name) if module else project.submodule(target, name)
        if found is MISSING:
            names = list(module.scope.bound) if module else project.finder.names_in(target)
            near = difflib.get_close_matches(name, names, n=1)
            message = f"{target} has no name {name!r}"
            remedy = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names[:10]) or 'none'}"
            yield note(RULE, ERROR, edge.importer, edge.node, message, remedy)


def _judge_shadow(project: Project, edge: Edge) -> Iterator[Finding]:
    """A module that is named like one which every server has loaded already (SPEC 10.2)."""
    top = (edge.target or "").partition(".")[0]
    level = getattr(edge.node, "level", 0)
    if top and not level and top != project.entry_name.partition(".")[0] and is_shadowed(top, project.folder):
        whose = "Python" if top in sys.stdlib_module_names else "pyjob"
        message = f"{top} is a module of this folder and of {whose}, which has loaded its own"
        yield note(RULE, ERROR, edge.importer, edge.node, message, f"rename the job's {top}")


def _names_set_from_outside(reach: Reach) -> set[str]:
    """Names that code sets on objects, and so perhaps on modules: `config.LIMIT = 3`."""
    return {
        node.attr
        for module in reach.modules.values()
        for node in module.source.nodes
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    }
