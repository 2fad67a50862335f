"""Which of the job's own modules its code imports, directly or not, and which of them for certain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pyjob.check.code.reading.modules import Place
from pyjob.check.code.reading.project import MISSING, Module, Project
from pyjob.check.code.reading.scope import Imported, is_attribute, is_main_guard
from pyjob.check.code.reading.source import Fault
from pyjob.job.neighbours import MOST_FILES

ImportNode = ast.Import | ast.ImportFrom


@dataclass(frozen=True, eq=False)
class Edge:
    """One import of one module: ``target`` is its full name, None where it is relative to no package.

    ``names`` are asked of it. ``is_certain``: it runs whenever the job is loaded, and its failure ends that.
    """

    importer: Module
    node: ImportNode
    target: str | None
    names: tuple[str, ...]
    is_certain: bool


@dataclass
class Reach:
    """The modules that can be read, the entry file's first; ``faults`` are those that cannot."""

    modules: dict[Path, Module] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    faults: dict[Path, tuple[Edge, Fault]] = field(default_factory=dict)

    def certain(self, project: Project) -> list[Module]:
        """The modules that are imported whenever the job is loaded: the entry file's, and what it imports."""
        targets = {edge.target for edge in self.edges if edge.is_certain and edge.target}
        imported = {module.source.path for name in targets if (module := project.module(name)) is not None}
        return [one for path, one in self.modules.items() if path == project.entry or path in imported]

    @property
    def changes_path(self) -> bool:
        """Whether the code changes where modules are looked for."""
        return any(
            is_attribute(node, "sys", "path")
            or is_attribute(node, "sys", "modules")
            or is_attribute(node, "sys", "meta_path")
            or (isinstance(node, ast.Attribute) and node.attr in PATH_NAMES)
            or (isinstance(node, ast.Name) and node.id in PATH_NAMES)
            or (isinstance(node, ast.ImportFrom) and node.module == "sys")
            for module in self.modules.values()
            for node in module.source.nodes
        )


PATH_NAMES = frozenset({"addsitedir", "extend_path", "__path__", "path_hooks"})


def reach_of(project: Project) -> Reach:
    """Follow the imports of the entry file: those that run for certain before all others."""
    reach = Reach()
    entry = project.entry_module()
    certain, perhaps = [entry] if entry is not None else [], list[Module]()
    while (certain or perhaps) and len(reach.modules) < MOST_FILES:
        is_certain = bool(certain)
        module = (certain or perhaps).pop()
        if module.source.path in reach.modules:
            continue
        reach.modules[module.source.path] = module
        for edge in _edges(module, project, is_certain=is_certain):
            reach.edges.append(edge)
            (certain if edge.is_certain else perhaps).extend(_targets(edge, project, reach))
    return reach


def _edges(module: Module, project: Project, *, is_certain: bool) -> Iterator[Edge]:
    direct = {id(node) for node in module.source.tree.body if is_certain}
    guards = [node for node in module.source.tree.body if is_main_guard(node)]
    skipped = {id(inner) for guard in guards for inner in ast.walk(guard)}
    for node in module.source.nodes:
        if id(node) in skipped or not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.ImportFrom):
            target = project.absolute(Imported(node.module or "", None, node.level), module)
            names = tuple(alias.name for alias in node.names)
            yield Edge(module, node, target, names, id(node) in direct)
        else:
            for alias in node.names:
                yield Edge(module, node, alias.name, (), id(node) in direct)


def _targets(edge: Edge, project: Project, reach: Reach) -> Iterator[Module]:
    """The own modules that an import loads."""
    parts = edge.target.split(".") if edge.target else []
    wanted = [".".join(parts[: end + 1]) for end in range(len(parts))]
    # `from package import name` loads a submodule where the package has nothing of that name.
    package = project.module(edge.target) if edge.target else None
    wanted += [
        f"{edge.target}.{name}"
        for name in edge.names
        if edge.target and (package is None or project.attribute(package, name) is MISSING)
    ]
    for name in wanted:
        place = project.finder.find(name)
        if isinstance(place, Place) or not place.suffix:
            continue
        fault = project.source(place)
        if isinstance(fault, Fault):
            if edge.is_certain or place not in reach.faults:
                reach.faults[place] = (edge, fault)
        elif (own := project.module(name)) is not None:
            yield own
