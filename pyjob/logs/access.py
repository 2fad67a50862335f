"""Access lines: what was asked, what became of it, and how long it took (SPEC 7)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from pyjob.errors import one_line
from pyjob.logs.handler import say

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# In the environ of a request that has an access line, or will have one.
TOLD = "pyjob.access_told"
# In the environ of one that is refused, why.
WHY = "pyjob.access_why"
# Of the reason why something was refused, so many characters are logged.
LONGEST_REMARK = 200

logger = logging.getLogger("pyjob.access")


def note_why(environ: WSGIEnvironment, reason: str) -> None:
    """Note for its line why a request is not let in (``reason`` has _ for blanks), and where it is from."""
    environ[WHY] = f"{reason.replace('_', ' ')}, from {environ.get('REMOTE_ADDR') or 'nowhere'}"


class Timed(Protocol):
    """A call or a page that has had its slot, or has waited for one; times in seconds."""

    @property
    def ran(self) -> float: ...
    @property
    def waited(self) -> float: ...


class AccessLog:
    """A line for each request that is told of; for none, where it is not ``wanted``.

    ``path`` is the short one, and the caller's text in it must have been made one line.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted

    def ended(
        self, method: str, path: str, status: str | None, call: Timed, size: int | None, *, has_left: bool
    ) -> None:
        """``call`` has run; ``status`` is None where there was no answer to it.

        Who has left before the answer is told of even where no lines are wanted.
        """
        if has_left:
            remark, level = "the caller left before the answer", logging.WARNING
        elif self._wanted:
            remark, level = "", logging.INFO
        else:
            return
        log_access(method, path, status, call.ran, call.waited, size, remark, level)

    def refused(
        self, method: str, path: str, status: str, why: str = "", waited: float | None = None
    ) -> None:
        """It was answered without having run, after having ``waited``, if it came to the line at all."""
        if self._wanted:
            remark = one_line(why[:LONGEST_REMARK])[:LONGEST_REMARK]
            log_access(method, path, status, None, waited, None, remark)

    def left(self, method: str, path: str, call: Timed) -> None:
        """The caller has left the line: nothing ran, and nothing was answered."""
        if self._wanted:
            log_access(method, path, None, None, call.waited, None, "the caller has left the line")


def log_access(
    method: str,
    path: str,
    status: str | None,
    ran: float | None,
    waited: float | None,
    size: int | None,
    remark: str = "",
    level: int = logging.INFO,
) -> None:
    """One line: ``POST /perform 200, ran 1.2 ms, waited 0.0 ms, 14 bytes``.

    ``status`` is None where nothing was answered. ``ran`` and ``waited`` are seconds; None: it did not run,
    or never came to the line. ``size``: bytes of the body, None where nobody has counted them.
    ``remark`` says why it was refused, or what else is to be said. JSON lines have all of these as
    ``method``, ``path``, ``status``, ``running_ms``, ``waiting_ms``, ``bytes`` and ``remark``.
    """
    if not logger.isEnabledFor(level):
        return
    extra: dict[str, object] = {"method": method, "path": path}
    text = f"{method} {path} {'-' if status is None else status[:3]}"
    if status is not None and status[:3].isdecimal():
        extra["status"] = int(status[:3])
    if ran is not None:
        extra["running_ms"] = round(ran * 1000, 3)
        text = f"{text}, ran {ran * 1000:.1f} ms"
    if waited is not None:
        extra["waiting_ms"] = round(waited * 1000, 3)
        text = f"{text}, waited {waited * 1000:.1f} ms"
    if size is not None:
        extra["bytes"] = size
        text = f"{text}, {size} bytes"
    if remark:
        extra["remark"] = remark
        text = f"{text}: {remark}"
    # `Logger.log` would look through the stack for who has called it.
    try:
        record = logger.makeRecord(logger.name, level, __file__, 0, text, (), None)
        record.__dict__.update(extra)  # `extra` itself would not take what a factory of records has set
        logger.handle(record)
    except Exception as error:  # noqa: BLE001  somebody's factory or filter must cost nobody an answer
        say(f"an access line cannot be logged: {type(error).__name__}")
