"""What a check of a job finds: a rule that is broken, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is: an error fails the check, a warning fails a strict one, advice never does."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """``rule`` is a name in `pyjob.check.rules.RULES`.

    ``message`` says what is wrong, ``remedy`` what to do, each one line; ``file`` is named relative to the
    job's folder where it is inside, and ``line`` counts from 1.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str = ""
    file: str = ""
    line: int | None = None

    @property
    def place(self) -> str:
        """``file:line``, as far as it is known."""
        return self.file if self.line is None else f"{self.file}:{self.line}"
