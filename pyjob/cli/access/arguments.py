"""Values of options of `pyjob access`, and what is wrong with them in the words of a usage error."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

from pyjob.access.decision import canonical
from pyjob.manifest import fields
from pyjob.manifest.document import found
from pyjob.manifest.manifest import PATH_SEGMENT

LONGEST_NAME = 100
LONGEST_NOTE = 1000
MOST_DAYS = 36_500
SECONDS_A_DAY = 86_400
_DAYS = re.compile(r"([0-9]{1,5})d")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def token_name(text: str) -> str:
    """Whose a token is."""
    if not 0 < len(text) <= LONGEST_NAME or not text.isprintable() or text != text.strip():
        expected = f"expected 1 to {LONGEST_NAME} printable characters, without blanks around them"
        raise argparse.ArgumentTypeError(f"{expected}, found {found(text)}")
    return text


def note(text: str) -> str:
    """What an administrator wants to remember."""
    if len(text) > LONGEST_NOTE or not text.isprintable():
        expected = f"expected at most {LONGEST_NOTE} printable characters on one line"
        raise argparse.ArgumentTypeError(f"{expected}, found {found(text)}")
    return text


def expiry(text: str) -> int:
    """When a token ends, in Unix seconds: in so many days, or as soon as a day begins (UTC)."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        if not 0 < int(days[1]) <= MOST_DAYS:
            raise argparse.ArgumentTypeError(f"expected 1d to {MOST_DAYS}d, found {text!r}")
        return int(time.time()) + int(days[1]) * SECONDS_A_DAY
    try:
        day = (
            date.fromisoformat(text) if _DATE.fullmatch(text) else None
        )  # not weeks, though ISO 8601 has them
    except ValueError:
        day = None
    if day is None:
        expected = "expected a number of days (30d) or a date (2026-12-31)"
        raise argparse.ArgumentTypeError(f"{expected}, found {found(text)}")
    at = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    if at <= time.time():
        raise argparse.ArgumentTypeError(f"expected a day to come, found {text!r}")
    return at


def job_name(text: str) -> str:
    """A job's name: one that a manifest may have, or JOB_NAME."""
    return _identity(text, fields.name)


def job_version(text: str) -> str:
    """A job's exact version: one that a manifest may have, or JOB_VERSION."""
    return _identity(text, fields.version)


def is_of_manifest(name: str, version: str) -> bool:
    """Whether a manifest can have both; else they can only come from the environment."""
    return fields.NAME.fullmatch(name) is not None and fields.VERSION.fullmatch(version) is not None


def endpoint(text: str) -> str:
    """A path as `public_endpoints` has them, in the form in which it is judged."""
    try:
        return canonical(*fields.endpoints([text]))
    except fields.FieldError as error:
        raise argparse.ArgumentTypeError(_told(error)) from None


def _identity(text: str, read: Callable[[object], str]) -> str:
    if PATH_SEGMENT.fullmatch(text):
        return text
    try:
        return read(text)
    except fields.FieldError as error:
        raise argparse.ArgumentTypeError(_told(error)) from None


def _told(error: fields.FieldError) -> str:
    problem = error.problems[0]
    return f"expected {problem.expected}, found {problem.found}"
