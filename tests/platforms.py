"""Several jobs behind one port, in processes of their own."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import MANIFEST
from tests.servers import Server, ask, started


def write_job(home: Path, folder: str, code: str, *, name: str = "", fields: str = "") -> Path:
    """A job in a folder of ``home``, which names it unless ``name`` does."""
    target = home / folder
    target.mkdir()
    text = MANIFEST.format(name=name or folder, entry="job.py", fields=fields, extra="")
    (target / "job.yaml").write_text(text)
    (target / "job.py").write_text(textwrap.dedent(code))
    return target


def command(*folders: Path | str, options: tuple[str, ...] = ()) -> list[str]:
    """The command line for jobs in ``folders``, on any free port."""
    return [sys.executable, "-m", "pyjob", "run", *map(str, folders), "--port", "0", *options]


@contextmanager
def platform(
    *folders: Path, options: tuple[str, ...] = (), env: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """The platform of these jobs, once none of them is about to start."""
    with started(command(*folders, options=options), env=env) as server:
        settle(server)
        yield server


def settle(server: Server) -> dict[str, Any]:
    """Wait until every job is ready, failed or ended; what the index says then."""

    def is_settled() -> bool:
        states = {job["state"] for job in index(server)["jobs"]}
        return not states & {"starting", "loading"}

    server.repeat(is_settled, True, "every job")
    return index(server)


def index(server: Server) -> dict[str, Any]:
    status, _, body = ask(server, "GET", "/jobs")
    assert status == 200, body
    return dict(body)


def job_of(server: Server, name: str) -> dict[str, Any]:
    """What the index says of the job ``name``."""
    [found] = [job for job in index(server)["jobs"] if job["name"] == name]
    return dict(found)
