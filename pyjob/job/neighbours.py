"""Who else lives in this process: other jobs, and modules that the host has loaded (SPEC 10.2).

Nothing is registered: the jobs of a process are the entry modules in ``sys.modules`` that an
`EntryLoader` has loaded.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from pyjob.errors import ConflictError
from pyjob.manifest import Manifest

MOST_FILES = 1000


class EntryLoader(SourceFileLoader):
    """Loads the entry file of the job of ``manifest``, which wants ``variables`` in the environment."""

    def __init__(self, fullname: str, path: str, manifest: Manifest, variables: Mapping[str, str]) -> None:
        super().__init__(fullname, path)
        self.manifest = manifest
        self.variables = variables


def loaded_jobs() -> Iterator[EntryLoader]:
    """The loaders of all entry modules in this process."""
    for module in list(sys.modules.values()):
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if isinstance(loader, EntryLoader):
            yield loader


def refuse_conflicts(manifest: Manifest, entry: Path) -> None:
    """Raise `ConflictError` where this job and what is loaded already cannot live in one process."""
    siblings = imported_siblings(entry, manifest.folder)
    for name, file in siblings.items():
        _refuse_module_from_elsewhere(name, file, manifest, entry)
    for other in loaded_jobs():
        if other.manifest.folder != manifest.folder:
            _refuse_shared_names(manifest, siblings, other)


def imported_siblings(entry: Path, folder: Path) -> dict[str, Path]:
    """Modules of ``folder`` that the code of ``entry`` imports, directly or not: name to file or folder.

    The code is read, not run, so imports inside functions count, and unused files (tests, set-up) don't.
    """
    found: dict[str, Path] = {}
    waiting, seen = [entry], {entry}
    while waiting and len(seen) < MOST_FILES:
        for name in _absolute_imports(waiting.pop()):
            place = _sibling(folder, name)
            if place is None or place == entry or name in found:
                continue
            found[name] = place
            files = {place} if place.is_file() else set(place.rglob("*.py"))
            waiting.extend(files - seen)
            seen |= files
    return found


def is_inside(module: ModuleType, folder: Path) -> bool:
    """Whether ``module`` was loaded from ``folder``."""
    places = [module.__file__] if getattr(module, "__file__", None) else list(getattr(module, "__path__", []))
    return any(Path(place).resolve().is_relative_to(folder) for place in places if place)


def _absolute_imports(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return set()  # running the file will say what is wrong with it
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return names


def _sibling(folder: Path, name: str) -> Path | None:
    """What ``import name`` finds in ``folder``, if anything."""
    package, file = folder / name, folder / f"{name}.py"
    if (package / "__init__.py").is_file():
        return package
    if file.is_file():
        return file
    return package if package.is_dir() and next(package.rglob("*.py"), None) else None


def _refuse_module_from_elsewhere(name: str, file: Path, manifest: Manifest, entry: Path) -> None:
    loaded = sys.modules.get(name)
    if loaded is None or is_inside(loaded, manifest.folder.resolve()):
        return
    for other in loaded_jobs():
        if is_inside(loaded, other.manifest.folder.resolve()):
            raise _same_name(name, manifest, other.manifest)
    origin = getattr(loaded, "__file__", None) or "the interpreter itself"
    raise ConflictError(
        f"job {manifest.name}: {entry.name} imports the module {name!r} from {file}, "
        f"but this process has loaded another one from {origin}: rename the job's module"
    )


def _refuse_shared_names(manifest: Manifest, siblings: dict[str, Path], other: EntryLoader) -> None:
    theirs = imported_siblings(Path(other.path), other.manifest.folder)
    shared = {name for name in siblings if name in theirs or _sibling(other.manifest.folder, name)}
    shared |= {name for name in theirs if _sibling(manifest.folder, name)}
    entries = {Path(other.path).stem, Path(manifest.jobtype_extra.entrypoint_path).stem}
    for name in sorted(shared - entries):
        raise _same_name(name, manifest, other.manifest)


def _same_name(name: str, manifest: Manifest, other: Manifest) -> ConflictError:
    return ConflictError(
        f"jobs {manifest.name} ({manifest.folder}) and {other.name} ({other.folder}) both have a module "
        f"named {name!r}, and one process can hold only one of that name: rename one, "
        "or serve the jobs in processes of their own"
    )


def refuse_contradictions(manifest: Manifest, variables: Mapping[str, str]) -> None:
    """Raise `ConflictError` where another job of this process wants other values of some of ``variables``."""
    entry = manifest.folder / manifest.jobtype_extra.entrypoint_path
    for other in loaded_jobs():
        names = variables.keys() & other.variables.keys() if Path(other.path) != entry else ()
        for name in sorted(names):
            if variables[name] != other.variables[name]:
                one, two = (f"{job.name} ({job.folder})" for job in (manifest, other.manifest))
                raise ConflictError(
                    f"jobs {one} and {two} want different values of {name} in the environment, and a process "
                    "has one: serve the jobs in processes of their own"
                )
