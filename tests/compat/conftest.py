"""The compat distribution on the path, as if it were installed; nothing of it is left to other tests."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

COMPAT = Path(__file__).parents[2] / "compat"


@pytest.fixture
def compat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Its folder, on ``sys.path``."""
    monkeypatch.syspath_prepend(str(COMPAT))
    racetrack = logging.getLogger("racetrack")
    before = racetrack.level, racetrack.handlers.copy(), racetrack.filters.copy()
    yield COMPAT
    racetrack.level, racetrack.handlers, racetrack.filters = before
    racetrack.manager._clear_cache()  # type: ignore[attr-defined]  # of who is enabled for what
    for name in [name for name in sys.modules if name.partition(".")[0] == "racetrack_job_wrapper"]:
        del sys.modules[name]
