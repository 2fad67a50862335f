"""Tokens: how they are made, how they may look, and what is kept of them (SPEC 8.4)."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

KINDS = ("user", "service")
PREFIX = "pyjob_"  # by which a scanner of leaked secrets knows them
LONGEST = 512
_RANDOM_BYTES = 32
_TEXT = re.compile(rf"[!-~]{{20,{LONGEST}}}")


@dataclass(frozen=True, slots=True)
class Token:
    """Whose a token is; ``expires`` in Unix seconds, None where it never does."""

    name: str
    kind: str
    expires: int | None


def new_token() -> str:
    """A token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def is_token(text: str) -> bool:
    """Whether ``text`` may be a token: 20 to 512 printable characters of ASCII, without blanks."""
    return _TEXT.fullmatch(text) is not None


def digest_of(text: str) -> str:
    """What is kept of a token: random as it is, one round of SHA-256 is enough."""
    return hashlib.sha256(text.encode()).hexdigest()
