"""Loading the entry file: the one place that touches what belongs to the process.

Working directory, ``os.environ`` and ``sys.path`` are changed here, under one lock, and nowhere else.
"""

from __future__ import annotations

import difflib
import importlib.machinery
import importlib.util
import inspect
import os
import re
import shlex
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Literal

from pyjob.environment.mask import Mask
from pyjob.errors import EntryPointError, PyjobError, kind_of, message_of, one_line
from pyjob.job.entry import find_entry_class
from pyjob.job.neighbours import EntryLoader, loaded_jobs, refuse_conflicts, refuse_contradictions
from pyjob.manifest import Manifest

# One for the process, because what it guards is the process's. Re-entrant: a job may load another one.
PROCESS_LOCK = threading.RLock()
# Whether this thread holds it: then it must not wait for a job that another thread is loading.
IS_LOADING: ContextVar[bool] = ContextVar("pyjob_is_loading", default=False)
Chdir = Literal["load"] | bool
# What jobs of Racetrack's job runner import, and the line that does the same here.
REFERENCE = "racetrack_job_wrapper"
INSTEAD = MappingProxyType(
    {
        "call": "from pyjob import call_job",
        "endpoint_config": "from pyjob import EndpointConfig",
        "entrypoint": "nothing, since a job needs no base class",
        "log.errors": "from pyjob import JobError, as in JobError(404, 'no such model')",
        "log.logs": "import logging, and logging.getLogger(__name__)",
        "standalone": "import pyjob, and pyjob.serve(Job)",
    }
)
# What pickle says where a class was in the script that made the file.
_OF_A_SCRIPT = re.compile(r"Can't get attribute .* on <module '__main__'")


@dataclass(frozen=True)
class Surroundings:
    """How a job lives in its process.

    ``chdir``: the working directory is the job's folder while it loads, for good (True) or never.
    ``own_process``: nobody else lives here, so that the job's folder comes first on ``sys.path``.
    ``environment``: variables that are set before the entry file is imported.
    """

    chdir: Chdir = "load"
    own_process: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def entered(manifest: Manifest, surroundings: Surroundings) -> Iterator[None]:
    """The process as the job expects it while its code loads (SPEC 1.2, 10.1).

    On the way out the working directory is as before, unless it is to stay; path and environment stay.
    """
    with PROCESS_LOCK:
        refuse_contradictions(manifest, surroundings.environment)
        loading = IS_LOADING.set(True)
        before = Path.cwd() if surroundings.chdir == "load" else None
        os.environ.update(surroundings.environment)
        _put_on_path(str(manifest.folder), first=surroundings.own_process)
        if surroundings.chdir:
            os.chdir(manifest.folder)
        try:
            yield
        finally:
            IS_LOADING.reset(loading)
            if before is not None:
                os.chdir(before)


def load_entry_class(manifest: Manifest, variables: Mapping[str, str]) -> type:
    """Import the entry file and find the job's class in it; to be called inside `entered`.

    ``variables`` are those that are set for it.
    Raises `EntryPointError`, `ConflictError`, and whatever the file itself raises.
    """
    path = manifest.jobtype_extra.entrypoint_path
    entry = manifest.folder / path
    if not entry.is_file():
        raise EntryPointError(
            f"{manifest.source}: jobtype_extra.entrypoint_path: expected a file inside {manifest.folder}, "
            f"found no file {path!r}{_near(entry)}"
        )
    module = _import_entry(entry, manifest, variables)
    return find_entry_class(module, manifest.jobtype_extra.entrypoint_class, path)


def make_instance(cls: type) -> object:
    """An instance of the job's class. Raises `EntryPointError` where that needs arguments."""
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise EntryPointError(
            f"class {cls.__name__}: the job is made without arguments, but __init__ asks for more: {error}"
        ) from None
    except ValueError:  # no signature to read: making it will tell
        pass
    return cls()


def reason_of(error: BaseException, manifest: Manifest, mask: Mask) -> str:
    """Why loading failed, as `/live` and the log tell it: one line, without what ``mask`` hides."""
    try:
        return one_line(mask(_described(error, manifest)))
    except BaseException:  # noqa: BLE001  an error of the author's making; loading must end all the same
        return one_line(mask(f"{message_of(error)}, cause={kind_of(error)}"))


def _described(error: BaseException, manifest: Manifest) -> str:
    """One line for `/live` (SPEC 4.2): ``message, cause=Type, traceback=file:line, ...``."""
    message = " ".join(message_of(error).split())
    requirements = manifest.jobtype_extra.requirements_path
    if isinstance(error, ImportError) and str(error.name).partition(".")[0] == REFERENCE:
        message = _of_reference(error)
    elif isinstance(error, ImportError) and requirements:
        file = os.path.normpath(manifest.folder / requirements)
        command = f"pip install -r {shlex.quote(file)}"
        message = f"{message}; install what the job requires: {command}"
    if isinstance(error, AttributeError) and _OF_A_SCRIPT.search(message):
        message += (
            "; it was pickled by a script that ran itself: put the class into a module of its own, import it "
            "in script and job, and pickle again"
        )
    places = _places(error, manifest.folder)
    traced = f", traceback={', '.join(places)}" if places else ""
    return f"{message}, cause={kind_of(error)}{traced}"


def _of_reference(error: ImportError) -> str:
    """What to do about an import of Racetrack's job runner, or of a part of it that compat has not."""
    lines = [frame.line or "" for frame in traceback.extract_tb(error.__traceback__)]
    written = next((line.strip() for line in reversed(lines) if REFERENCE in line), f"import {error.name}")
    module = re.search(rf"{REFERENCE}\.([\w.]+)", written)
    instead = INSTEAD.get(module[1] if module else "")
    change = f"change the line `{written}` to: {instead}" if instead else f"do without `{written}`"
    if error.name == REFERENCE:
        return (
            f"the job imports {REFERENCE}: install pyjob's compat distribution "
            f"(pip install --no-deps ./compat, from pyjob's folder), or {change}"
        )
    what = error.name if isinstance(error, ModuleNotFoundError) else "a name of it"
    return f"{what} is not in pyjob's compat distribution: {change} (docs/from_racetrack.md has more)"


def _import_entry(entry: Path, manifest: Manifest, variables: Mapping[str, str]) -> ModuleType:
    for other in loaded_jobs():
        if Path(other.path) == entry:  # two applications of one job share its module, as any import does
            return sys.modules[other.name]
    refuse_conflicts(manifest, entry)
    name = _module_name(entry, manifest)
    loader = EntryLoader(name, str(entry), manifest, variables)
    spec = importlib.util.spec_from_file_location(name, entry, loader=loader)
    if spec is None:
        raise EntryPointError(f"{entry.name}: cannot be imported as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _module_name(entry: Path, manifest: Manifest) -> str:
    """The name that an ``import`` in the job's folder would use, where it is free (SPEC 1.2).

    Pickles and multiprocessing need that one; where another module has it, a stable one of its own.
    """
    parts = entry.relative_to(manifest.folder).with_suffix("").parts
    plain = ".".join(parts)
    if all(part.isidentifier() for part in parts) and not any(loaded_jobs()) and _is_free(parts[0], manifest):
        return plain
    return f"pyjob_job_{manifest.name}_{plain}".replace(".", "_").replace("-", "_")


def _is_free(name: str, manifest: Manifest) -> bool:
    if name in sys.modules or name in sys.stdlib_module_names:
        return False
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec is None:
        return True
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return all(Path(place).resolve().is_relative_to(manifest.folder.resolve()) for place in places)


def _near(entry: Path) -> str:
    names = [file.name for file in entry.parent.glob("*.py")] if entry.parent.is_dir() else []
    near = difflib.get_close_matches(entry.name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _put_on_path(folder: str, *, first: bool) -> None:
    if folder not in sys.path:
        sys.path.insert(0 if first else len(sys.path), folder)


def _places(error: BaseException, folder: Path) -> list[str]:
    """Where it happened: the lines in the job's own files, or the innermost line if there is none."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and isinstance(error.filename, str):
        frames.append((error.filename, error.lineno))
    own = [(name, line) for name, line in frames if Path(name).is_relative_to(folder)]
    if isinstance(error, PyjobError) and not own:
        return []  # its message names the place
    return [f"{_relative(name, folder)}:{line}" for name, line in (own[-5:] or frames[-1:])]


def _relative(name: str, folder: Path) -> str:
    return str(Path(name).relative_to(folder)) if Path(name).is_relative_to(folder) else name
