"""Git repositories made on the spot, with nothing of this machine's or user's configuration."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
UNCONFIGURED = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


def git(folder: Path, *arguments: str) -> str:
    """Run git in ``folder``; what it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    ended = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env=environment | UNCONFIGURED,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ended.stdout


def repository(folder: Path, remote: str = "") -> Path:
    """Make ``folder`` a repository that tracks what is in it and is not ignored."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    git(folder, "add", "--all")
    return folder


def committed(folder: Path) -> Path:
    """Commit what is tracked."""
    git(folder, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message=a")
    return folder
