"""Every error that pyjob raises on purpose.

PyjobError
├── ManifestError       the manifest has problems; holds all of them
├── EntryPointError     the entry file or its class breaks a rule of the job's contract
├── ConflictError       two jobs, or a job and its host, cannot live in one process
└── JobError            an answer with an HTTP status; jobs raise it too
    └── PayloadError    the caller's payload is wrong
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


class PyjobError(Exception):
    """Base of all errors raised by pyjob itself."""


@dataclass(frozen=True)
class Problem:
    """One fault of a manifest: where it is, what was expected, what was found."""

    path: str
    expected: str
    found: str

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{place}expected {self.expected}, found {self.found}"


class ManifestError(PyjobError):
    """A manifest that cannot be used. ``source`` names it, ``problems`` holds every fault found."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


class EntryPointError(PyjobError):
    """The entry file or its class breaks a rule (SPEC 1.1); the message names file, class and method."""


class ConflictError(PyjobError):
    """Two jobs, or a job and its host, want different things of one process (SPEC 10.2)."""


class JobError(PyjobError):
    """An error answered with ``status`` (400 to 599) and ``message``; a job may raise it (SPEC 4.4)."""

    def __init__(
        self, status: int, message: str, *, kind: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind or type(self).__name__
        self.headers = dict(headers or {})


class PayloadError(JobError):
    """The caller's payload does not fit the endpoint (SPEC 4.3)."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(status, message)
