"""Asking git about a folder. Git may be missing, slow or hostile: then there is no answer."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PATIENCE = 10.0
# Left by a hook or an alias of git, these would tell of another repository.
_OF_ANOTHER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def run_git(folder: Path, *arguments: str) -> str | None:
    """What ``git ARGUMENTS`` in ``folder`` prints, less its last line break; None where it fails."""
    git = shutil.which("git")
    if git is None:
        return None
    environment = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER}
    try:
        done = subprocess.run(  # noqa: S603  a fixed program; arguments are passed as they are
            # A repository may name a program of its own as its file system monitor.
            [git, "-c", "core.fsmonitor=false", *arguments],
            cwd=folder,
            env={**environment, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=True,
        )
        return done.stdout.decode().removesuffix("\n")
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
