"""What a built file tells of itself: written when it is built, read when it runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

# The folder inside the file, whose name no job's module has.
FOLDER = "pyjob_packed_job"
ARCHIVE = "job.tar"
DESCRIPTION = "job.json"


@dataclass(frozen=True)
class Contents:
    """Which job is inside.

    ``path`` leads to what `pyjob run` is given, inside the archive. ``commit`` is that of git, empty outside
    of it, with ``-dirty`` behind it where files differ from it. ``pyjob``: the version that is packed.
    """

    name: str
    version: str
    path: str
    commit: str
    pyjob: str

    def to_json(self) -> str:
        """Its text, the same for the same contents."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Contents:
        """What :meth:`to_json` has written."""
        return cls(**json.loads(text))

    def __str__(self) -> str:
        commit = f", commit {self.commit}" if self.commit else ""
        return f"{self.name} {self.version}{commit} (pyjob {self.pyjob})"
