"""A repository from elsewhere, as of one commit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pyjob.git.command import GitError, run_git

PATIENCE = 600.0
PROTOCOLS = "https:http:ssh:git:file"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://.+", re.IGNORECASE)
_SCP = re.compile(r"[^/:\s]+@[^/:\s]+:[^\s]+")


def is_repository_url(text: str) -> bool:
    """Whether ``text`` names a repository elsewhere, as git has it: a URL, or ``user@host:path``."""
    return bool(_URL.fullmatch(text) or _SCP.fullmatch(text))


def clone(url: str, branch: str, folder: Path, variables: Mapping[str, str] | None = None) -> None:
    """Clone the last commit of ``branch``, by default the remote's own, into ``folder``.

    ``variables`` are added to git's environment, such as where it finds a login. Raises `GitError`.
    """
    chosen = ("--branch", branch) if branch else ()
    ended = run_git(
        folder.parent,
        *("clone", "--quiet", "--depth=1", "--single-branch", "--no-tags", *chosen, "--", url, str(folder)),
        protocols=PROTOCOLS,
        patience=PATIENCE,
        variables=variables,
    )
    if ended.returncode:
        lines = ended.stderr.decode(errors="replace").strip().splitlines()
        # The last word of git is often advice; what went wrong has a mark.
        told = [line for line in lines if line.startswith(("fatal: ", "error: "))] or lines or ["no reason"]
        reason = told[0].removeprefix("fatal: ").removeprefix("error: ")
        raise GitError(f"git clone failed: {reason[:300]}")
