"""The job's own code: each file read once, and what its names lead to, over files (SPEC 1.1, 1.2)."""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from pathlib import Path

from pyjob.check.code.reading.modules import ModuleFinder, Place, package_of
from pyjob.check.code.reading.scope import Bound, Function, Imported, Scope, handed_out, is_dynamic
from pyjob.check.code.reading.source import Fault, Source, read_source
from pyjob.manifest import Manifest

LONGEST_TRAIL = 20
BUILTINS = frozenset(dir(builtins))


class Absence(Enum):
    """Why a name leads to nothing that can be judged."""

    MISSING = "nothing has this name"
    UNKNOWN = "reading cannot tell"


MISSING, UNKNOWN = Absence.MISSING, Absence.UNKNOWN


@dataclass(frozen=True, eq=False)
class Module:
    """One own module: ``name`` is that of an import, ``is_open``: it may have names that are not seen."""

    name: str
    source: Source
    scope: Scope
    is_open: bool

    @property
    def package(self) -> str:
        """What its relative imports are relative to."""
        return package_of(self.name, self.source.path)

    @cached_property
    def touched(self) -> frozenset[str]:
        """Names of what its code may change: an attribute of it is set, or others get it while importing."""
        names = set(handed_out(self.source.tree.body))
        for node in self.source.nodes:
            if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                names.add(str(getattr(node.value, "id", getattr(node.value, "attr", ""))))
        return frozenset(names)


@dataclass(frozen=True)
class Definition:
    """What a name leads to in the job's own code: a class, a function, an expression, or a whole module."""

    node: ast.expr | ast.ClassDef | Function | ast.Module
    module: Module


@dataclass(frozen=True)
class Outside:
    """Something that is not the job's own, by its full name: `functools.wraps`, `builtins.int`."""

    name: str


Found = Definition | Outside | Absence


class Project:
    """The code of the job of ``manifest``. Files are read when they are asked for, and once."""

    def __init__(self, manifest: Manifest) -> None:
        self.folder = manifest.folder
        self.entry = manifest.folder / manifest.jobtype_extra.entrypoint_path
        self.finder = ModuleFinder(manifest.folder)
        self.source = cache(self._source)
        self._module = cache(self._read_module)

    def module(self, name: str) -> Module | None:
        """The own module of that name, if it is one and can be read."""
        place = self.finder.find(name)
        return self._module(name, place) if isinstance(place, Path) and place.suffix else None

    def entry_module(self) -> Module | None:
        """The module of the entry file."""
        return self._module(self.entry_name, self.entry)

    def may_change(self, name: str, module: Module) -> bool:
        """Whether code beside a class of ``module`` may change it: code of that module, or of the entry's."""
        entry = self.entry_module()
        return name in module.touched or (entry is not None and name in entry.touched)

    @property
    def entry_name(self) -> str:
        """The name of the entry module, as an import in the job's folder would write it."""
        return ".".join(self.entry.relative_to(self.folder).with_suffix("").parts)

    def is_package(self, name: str) -> bool:
        """Whether ``name`` has modules below it, of the job's own."""
        place = self.finder.find(name)
        return isinstance(place, Path) and (place.is_dir() or place.name == "__init__.py")

    def attribute(self, module: Module, name: str, trail: int = 0) -> Found:
        """What ``name`` is in a module, its star imports followed."""
        if name in module.scope.bound:
            return self._bound(module.scope.bound[name], module, trail)
        for star in module.scope.stars:
            found = self._imported(Imported(star.module, name, star.level), module, trail + 1)
            if found is not MISSING:
                return found
        return UNKNOWN if module.is_open else MISSING

    def resolve(self, node: ast.expr, module: Module, trail: int = 0) -> Found:
        """What a name or `a.b.c` in ``module`` leads to; any other expression is itself."""
        if isinstance(node, ast.Name) and node.id in module.scope.changing:
            return UNKNOWN
        if isinstance(node, ast.Name):
            found = self.attribute(module, node.id, trail)
            return Outside(f"builtins.{node.id}") if found is MISSING and node.id in BUILTINS else found
        if isinstance(node, ast.Attribute):
            owner = self.resolve(node.value, module, trail)
            if isinstance(owner, Outside):
                return Outside(f"{owner.name}.{node.attr}")
            if isinstance(owner, Definition) and isinstance(owner.node, ast.Module):
                return self.member(owner.module, node.attr, trail)
            return UNKNOWN
        return Definition(node, module)

    def full_name(self, node: ast.expr, module: Module) -> str:
        """The full name of something outside, or nothing."""
        found = self.resolve(node, module)
        return found.name if isinstance(found, Outside) else ""

    def absolute(self, imported: Imported, module: Module) -> str | None:
        """The full name of the module of an import; None where it is relative to no package."""
        if not imported.level:
            return imported.module
        package = module.package.split(".") if module.package else []
        base = package[: max(0, len(package) - imported.level + 1)]
        return ".".join([*base, imported.module]).strip(".") if base else None

    def _bound(self, bound: Bound, module: Module, trail: int) -> Found:
        if bound is None or trail > LONGEST_TRAIL:
            return UNKNOWN
        if isinstance(bound, Imported):
            return self._imported(bound, module, trail + 1)
        if isinstance(bound, (ast.Name, ast.Attribute)):
            return self.resolve(bound, module, trail + 1)
        return Definition(bound, module)

    def _imported(self, imported: Imported, module: Module, trail: int) -> Found:
        name = self.absolute(imported, module)
        place = Place.ELSEWHERE if name is None else self.finder.find(name)
        if name is None or trail > LONGEST_TRAIL or place is Place.NOWHERE:
            return UNKNOWN
        if place is Place.ELSEWHERE:
            return Outside(name if imported.name is None else f"{name}.{imported.name}")
        own = self.module(name)
        if imported.name is None:
            return UNKNOWN if own is None else Definition(own.source.tree, own)
        if own is not None:
            return self.member(own, imported.name, trail)
        return self.submodule(name, imported.name)

    def member(self, module: Module, name: str, trail: int = 0) -> Found:
        """What an import gets by ``name`` from a module: a submodule, too."""
        found = self.attribute(module, name, trail)
        return self.submodule(module.name, name) if found is MISSING else found

    def submodule(self, package: str, name: str) -> Found:
        """The module ``name`` of a package."""
        if not self.is_package(package):
            return MISSING
        own = self.module(f"{package}.{name}")
        if own is not None:
            return Definition(own.source.tree, own)
        return MISSING if self.finder.find(f"{package}.{name}") is Place.NOWHERE else UNKNOWN

    def _source(self, path: Path) -> Source | Fault:
        return read_source(path, str(path.relative_to(self.folder)))

    def _read_module(self, name: str, path: Path) -> Module | None:
        source = self.source(path)
        if isinstance(source, Fault):
            return None
        scope = Scope(source.tree.body)
        for node in source.nodes:
            if isinstance(node, ast.Global):
                scope.forget(node.names)
        is_open = is_dynamic(source.nodes) or "__getattr__" in scope.bound
        return Module(name, source, scope, is_open)
