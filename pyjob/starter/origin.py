"""Where a new job belongs, as far as git knows: repository, branch, place in it, and who its owner is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pyjob.git.command import GitError, run_git

_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9][-.A-Za-z0-9]{0,250}")
_HOST, _PATH = r"(?P<host>[A-Za-z0-9][-.A-Za-z0-9]+)", r"/*(?P<path>[^\s/@?#\\][^\s@?#\\]*)"
_URL = re.compile(rf"(?P<scheme>https?|ssh|git|git\+ssh)://(?:[^/\s]*@)?{_HOST}(?P<port>:[0-9]+)?/{_PATH}")
# `git@host:team/job.git`. A host of one letter is a drive of Windows.
_SSH = re.compile(rf"(?:[^/\s:@]+@)?{_HOST}:(?!//){_PATH}")


@dataclass(frozen=True)
class Origin:
    """What git says of a folder; empty where it says nothing that a manifest can use.

    ``remote`` is an https URL without user and password.
    """

    remote: str = ""
    branch: str = ""
    directory: str = ""
    email: str = ""


def origin_of(folder: Path) -> Origin:
    """The origin of ``folder``, which need not exist yet."""
    target = folder.resolve()
    place = next(parent for parent in (target, *target.parents) if parent.is_dir())
    email = _told(place, "config", "user.email") or ""
    valid = email if _EMAIL.fullmatch(email) else ""
    top = _told(place, "rev-parse", "--show-toplevel")
    if not top or not target.is_relative_to(Path(top).resolve()):
        return Origin(email=valid)
    branch = _told(place, "symbolic-ref", "--short", "HEAD") or ""
    return Origin(
        remote=https_url(_told(place, "remote", "get-url", "origin") or ""),
        branch=branch if branch.isprintable() else "",
        directory=target.relative_to(Path(top).resolve()).as_posix(),
        email=valid,
    )


def https_url(remote: str) -> str:
    """The https URL of a repository that is reached at ``remote``; empty where there is none.

    Ports are those of the other protocol, so they are left out.
    """
    match = _URL.fullmatch(remote) or _SSH.fullmatch(remote)
    if match is None or not remote.isprintable():
        return ""
    groups = match.groupdict()
    port = groups.get("port") or "" if groups.get("scheme") == "https" else ""
    return f"https://{groups['host']}{port}/{groups['path']}"


def _told(folder: Path, *arguments: str) -> str | None:
    """The one line that git says, if it says one."""
    try:
        ended = run_git(folder, *arguments)
        return ended.stdout.decode().removesuffix("\n") if ended.returncode == 0 else None
    except (GitError, UnicodeDecodeError):
        return None
