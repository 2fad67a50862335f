"""Logins that are written out in URLs: whoever gets the job has them."""

from __future__ import annotations

import re

from pyjob.errors import Problem
from pyjob.manifest import Manifest
from pyjob.requirements.requirement import VARIABLE

_LOGIN = re.compile(r"://([^/?#\s\"'\\]*)@")
# A user without a password is a token where it is as long as those are; names of users have no digits then.
_SHORTEST_TOKEN = 20
_BY_VARIABLE = "a login by ${NAME}, with its value in the file that secret_build_env_file names"
_WITHOUT = "a URL without a login (git can ask a credential helper for it)"
_WRITTEN_OUT = "one that is written out"


def login_in_line(text: str, source: str, number: int) -> list[Problem]:
    """What is wrong with the line ``number`` of a requirements file that has a login."""
    return [Problem("", _BY_VARIABLE, _WRITTEN_OUT, number, source)] if _has_login(text) else []


def login_in_remote(manifest: Manifest) -> list[Problem]:
    """What is wrong with a `git.remote` that has a login."""
    if not _has_login(manifest.git.remote):
        return []
    return [manifest.located(Problem("git.remote", _WITHOUT, _WRITTEN_OUT))]


def _has_login(text: str) -> bool:
    """Whether a URL in ``text`` has a password or a token, other than by a variable such as ``${TOKEN}``."""
    return any(map(_is_secret, _LOGIN.findall(text)))


def _is_secret(login: str) -> bool:
    user, _, password = VARIABLE.sub("", login).partition(":")
    return bool(password) or (len(user) >= _SHORTEST_TOKEN and any(map(str.isdigit, user)))
