"""The process of a test, lent to a job and given back as it was."""

from __future__ import annotations

import logging
import os
import sys
import sysconfig
from contextlib import AbstractContextManager
from pathlib import Path

from pyjob.job.loader import PROCESS_LOCK
from pyjob.job.neighbours import EntryLoader, is_inside
from pyjob.manifest import Manifest

# pytest changes it between tests, and expects to find it as it left it.
NOT_OURS = frozenset({"PYTEST_CURRENT_TEST"})

Logging = list[tuple[logging.Logger, int, list[logging.Handler], bool]]


class LentProcess(AbstractContextManager[None]):
    """The process as `pyjob run` gives it to the job of ``manifest``, for a while: a test.

    On the way out working directory, environment, ``sys.path`` and logging are as before, and the modules of
    the job's folder that came meanwhile are forgotten, so that the next one finds a process like this one's.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def __enter__(self) -> None:
        with PROCESS_LOCK:
            self._folder, self._environment = Path.cwd(), dict(os.environ)
            self._path, self._modules = sys.path.copy(), frozenset(sys.modules)
            self._logging = _logging()
            # First, also where it is on the path already: another job's folder may stand before it.
            sys.path.insert(0, str(self._manifest.folder))
            os.environ.update(JOB_NAME=self._manifest.name, JOB_VERSION=self._manifest.version)

    def __exit__(self, *_: object) -> None:
        with PROCESS_LOCK:
            _forget_modules(self._manifest.folder.resolve(), self._modules)
            sys.path[:] = self._path
            for name in (os.environ.keys() | self._environment.keys()) - NOT_OURS:
                if name in self._environment:
                    os.environ[name] = self._environment[name]
                else:
                    del os.environ[name]
            os.chdir(self._folder)
            _restore(self._logging)


def _logging() -> Logging:
    """Level, handlers and whether it is disabled, of each logger that there is."""
    root = logging.getLogger()
    loggers = [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    return [(one, one.level, [*one.handlers], one.disabled) for one in loggers]


def _restore(known: Logging) -> None:
    for logger, level, handlers, disabled in known:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.disabled = disabled


def _forget_modules(folder: Path, known: frozenset[str]) -> None:
    """Forget entry modules, and modules of ``folder``, that are not ``known``; never a library's.

    A virtual environment inside the folder is none of the job's: C extensions are loaded once in a process.
    """
    packages = {name.partition(".")[0] for name in known}
    places = {
        Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib")
    }
    libraries = [place for place in places if place.is_relative_to(folder)]
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages or any(is_inside(module, place) for place in libraries):
            continue
        loader = getattr(getattr(module, "__spec__", None), "loader", None)
        if isinstance(loader, EntryLoader) or is_inside(module, folder):
            del sys.modules[name]
