"""`pyjob run --reload`: werkzeug's reloader around a server of ours.

Two processes: the outer one holds the listening socket and starts the inner one again whenever that ends with
the reloader's own status; the inner one serves in a thread and looks at files in the main one. So a caller
never meets a closed port.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

# Without a public name: `run_simple` brings it together with a server of werkzeug's own.
from werkzeug._reloader import run_with_reloader
from werkzeug.serving import is_running_from_reloader

from pyjob.cli.run.listening import listening
from pyjob.errors import ManifestError, PyjobError
from pyjob.manifest import Manifest
from pyjob.manifest.source import FILE_NAME, OLD_FILE_NAME

DESCRIPTORS = "PYJOB_RELOAD_SOCKETS"
# Files that are no Python and are made by people, not by the job itself.
FOLDERS = ("templates", "static")
PAGES = (".html", ".htm", ".css", ".js", ".j2", ".jinja", ".txt", ".xml", ".svg")


def is_inner() -> bool:
    """Whether this process is the one that serves, and is started again."""
    return bool(is_running_from_reloader())


def run_outer(address: tuple[str, int] | None) -> None:
    """Listen at ``address``, if any, and run this command again until that ends for good; exits."""
    with ExitStack() as opened:
        sockets = [] if address is None else [opened.enter_context(one) for one in listening(*address)]
        for one in sockets:
            one.set_inheritable(True)
        os.environ[DESCRIPTORS] = " ".join(str(one.fileno()) for one in sockets)
        run_with_reloader(_nothing)


def run_inner(serve: Callable[[Sequence[socket.socket]], object], files: Iterable[Path]) -> None:
    """Serve in a thread until one of ``files``, or a Python file below one that is a folder, changes."""
    descriptors = os.environ.pop(DESCRIPTORS, "").split()
    inherited = [socket.socket(fileno=int(descriptor)) for descriptor in descriptors]
    for one in inherited:
        one.set_inheritable(False)  # a process that the job starts must not keep the port
    threading.Thread(target=_end_with, args=(os.getppid(),), name="pyjob-reload", daemon=True).start()

    def main() -> None:
        os.environ.pop("WERKZEUG_RUN_MAIN", None)  # none of the job's business
        try:
            serve(inherited)
        except Exception as error:  # noqa: BLE001  the next change may mend it, so the process stays
            sys.stderr.write(f"pyjob: error: {error}\n")

    status: object = 0
    try:
        run_with_reloader(main, extra_files=[str(file) for file in files])
    except SystemExit as ended:
        status = ended.code
    # A thread of the job's that does not end must not keep the next version from starting.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


def files_of(manifest: Manifest) -> Iterator[Path]:
    """What to look at: the job's folder for Python files, what the manifest names, pages and their parts."""
    yield manifest.folder
    yield from manifest.files
    if manifest.jobtype_extra.requirements_path:
        yield manifest.folder / manifest.jobtype_extra.requirements_path
    for name in FOLDERS:
        for folder, _, files in os.walk(manifest.folder / name):
            yield from (Path(folder, file) for file in files if file.endswith(PAGES))


def files_told_of(error: PyjobError, folder: Path) -> Iterator[Path]:
    """Where a fault of the manifest may be mended: its usual places, and the files that ``error`` names."""
    yield from (folder / name for name in (FILE_NAME, OLD_FILE_NAME))
    if isinstance(error, ManifestError):
        for source in {error.source, *(one.source for one in error.problems)} - {""}:
            yield folder / source
            yield Path.cwd() / source


def _end_with(parent: int) -> None:
    """End when the outer process has gone: nobody would start this one again."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _nothing() -> None:
    """What the outer process does itself."""
