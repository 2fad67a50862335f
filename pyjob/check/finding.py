"""What a check of a job finds: a rule that is broken, where, and what to do."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from enum import Enum
from pathlib import Path


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


def quoted(path: Path, cwd: Path) -> str:
    """``path`` in a command that is given in ``cwd``."""
    plain = os.path.normpath(path)
    return shlex.quote(os.path.relpath(plain, cwd) if Path(plain).is_relative_to(cwd) else plain)
