"""Where the modules are that the job's code imports; looked for without importing anything."""

from __future__ import annotations

import importlib.machinery
import sys
from enum import Enum
from functools import cache
from pathlib import Path

from pyjob.job.neighbours import is_inside

# What every process that serves a job has loaded.
OF_PYJOB = frozenset({"pyjob", "prometheus_client", "waitress", "werkzeug", "yaml"})


class Place(Enum):
    """Where a module is that is no file of the job's own which we can read."""

    ELSEWHERE = "elsewhere, or reading cannot tell"
    NOWHERE = "nowhere"


class ModuleFinder:
    """Finds modules as an import in the job of ``folder`` would."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.find = cache(self._find)

    def _find(self, dotted: str) -> Path | Place:
        """The file of the module, or the folder of a package without `__init__.py`: the job's own ones.

        What the job and Python both have is found ELSEWHERE: which one it is depends on how the job is run.
        """
        top, *rest = dotted.split(".")
        own = _in_folder(self._folder, top)
        if own is Place.NOWHERE:
            return Place.ELSEWHERE if _is_elsewhere(top, self._folder) else Place.NOWHERE
        if own is Place.ELSEWHERE or _is_elsewhere(top, self._folder):
            return Place.ELSEWHERE
        for name in rest:
            if not isinstance(own, Path):
                return own
            package = _package_of(own)
            own = Place.NOWHERE if package is None else _in_folder(package, name)
        return own

    def names_in(self, package: str) -> list[str]:
        """The names of the modules beside each other in ``package``, or in the job's folder."""
        place = self.find(package) if package else self._folder
        folder = _package_of(place) if isinstance(place, Path) else None
        try:
            entries = list(folder.iterdir()) if folder is not None else []
        except OSError:
            return []
        stems = {entry.stem if entry.suffix == ".py" else entry.name for entry in entries}
        return sorted(stem for stem in stems if stem.isidentifier())


def is_shadowed(name: str, folder: Path) -> bool:
    """Whether a module of Python or of pyjob is loaded under the name of a module in ``folder``."""
    loaded = sys.modules.get(name)
    if loaded is None or name not in sys.stdlib_module_names | OF_PYJOB or is_inside(loaded, folder):
        return False
    own = _in_folder(folder, name)
    return isinstance(own, Path) and (own.is_file() or next(own.rglob("*.py"), None) is not None)


def package_of(dotted: str, file: Path) -> str:
    """What relative imports in the module are relative to; empty where there is no package."""
    is_package = file.name == "__init__.py" and not dotted.endswith("__init__")
    return dotted if is_package else dotted.rpartition(".")[0]


def _package_of(place: Path) -> Path | None:
    if place.name == "__init__.py":
        return place.parent
    return place if place.is_dir() else None


def _in_folder(folder: Path, name: str) -> Path | Place:
    try:
        package = folder / name
        if (package / "__init__.py").is_file():
            return package / "__init__.py"
        if (folder / f"{name}.py").is_file() and not _has_binary(package / "__init__"):
            return Place.ELSEWHERE if _has_binary(package) else folder / f"{name}.py"
        if _has_binary(package) or _has_binary(package / "__init__"):
            return Place.ELSEWHERE
        return package if package.is_dir() else Place.NOWHERE
    except (OSError, ValueError):
        return Place.ELSEWHERE


def _has_binary(stem: Path) -> bool:
    """Whether there is a compiled module, which cannot be read."""
    suffixes = (suffix for suffix in importlib.machinery.all_suffixes() if suffix != ".py")
    return any(stem.with_name(stem.name + suffix).is_file() for suffix in suffixes)


def _is_elsewhere(name: str, folder: Path) -> bool:
    """Whether this Python has a module ``name`` outside of ``folder``."""
    if name in sys.stdlib_module_names or name in sys.builtin_module_names or name == "__main__":
        return True
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, None)
        except Exception:  # noqa: BLE001  finders of other people: then nothing is known
            return True
        if spec is not None:
            places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
            return not (places and all(_is_place_inside(place, folder) for place in places))
    return False


def _is_place_inside(place: str | None, folder: Path) -> bool:
    return place is not None and Path(place).resolve().is_relative_to(folder)
