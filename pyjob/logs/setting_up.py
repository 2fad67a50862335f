"""Logging of a process that is the job's own: one line a record on stdout (SPEC 7)."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TextIO

from pyjob.environment.mask import Mask
from pyjob.logs.context_filter import ContextFilter, TraceFilter
from pyjob.logs.handler import MaskingHandler
from pyjob.logs.structured import JsonFormatter
from pyjob.logs.text import TextFormatter

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "warn": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
SWITCHES = {
    **dict.fromkeys(("true", "1", "yes", "on"), True),
    **dict.fromkeys(("false", "0", "no", "off", ""), False),
}
# Loggers of what the jobs of the reference are run by, and of what runs them here.
RACETRACK = "racetrack"
NEVER_DISABLED = ("pyjob", "waitress", "py.warnings", "asyncio", RACETRACK)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LogSettings:
    """How to log: the least ``level`` (None: info), ``structured`` as JSON, with ``caller`` names or not.

    ``remarks`` is what is wrong with the variables that it was read from.
    """

    level: str | None = None
    structured: bool = False
    caller: bool = False
    remarks: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], level: str | None = None) -> LogSettings:
        """As ``LOG_LEVEL`` (where ``level`` is not given), ``LOG_STRUCTURED`` and ``LOG_CALLER_NAME`` say."""
        remarks: list[str] = []

        def choice(variable: str, known: Mapping[str, object], used: str) -> str:
            value = environ.get(variable) or ""
            text = value.strip().lower()
            if text in known or not text:
                return text
            expected = ", ".join(name for name in known if name)
            remarks.append(f"{variable}: expected one of {expected}, found {value[:60]!r}: using {used}")
            return ""

        return cls(
            level=level or choice("LOG_LEVEL", LEVELS, "info") or None,
            structured=SWITCHES[choice("LOG_STRUCTURED", SWITCHES, "false")],
            caller=SWITCHES[choice("LOG_CALLER_NAME", SWITCHES, "false")],
            remarks=tuple(remarks),
        )


def set_up_logging(settings: LogSettings, stream: TextIO | None = None, *, mask: Mask | None = None) -> None:
    """Send the root logger to ``stream`` (stdout), unless somebody has configured it already.

    What ``mask`` hides is never written. A bare `logging.basicConfig()` handler, such as waitress-serve adds,
    does not count as configured.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if _is_basic_config(handler):
            root.removeHandler(handler)
    if root.handlers:
        return
    target = stream or sys.stdout
    ours = MaskingHandler(target)
    ours.hide(mask or Mask())
    ours.addFilter(TraceFilter(caller=settings.caller))
    ours.setFormatter(JsonFormatter() if settings.structured else TextFormatter(colours=has_colours(target)))
    root.addHandler(ours)
    root.setLevel(LEVELS[settings.level or "info"])
    if settings.level is None:
        logging.getLogger(RACETRACK).setLevel(logging.DEBUG)
    for remark in settings.remarks:
        logger.warning("%s", remark)


def hide_in_logs(mask: Mask) -> None:
    """Let the handlers of `set_up_logging` hide what ``mask`` does; those of a host are left alone."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if isinstance(handler, MaskingHandler):
            handler.hide(mask)


class LogKeeper:
    """Looks after logging in the job's own process, where the job may set it up as it likes.

    Handlers of its own get ids, callers and the ``mask`` like ours. Loggers of ours that `dictConfig` has
    disabled, as it does with all that it does not name, log again.
    """

    def __init__(self, settings: LogSettings, mask: Mask) -> None:
        self._settings = settings
        self._mask = mask
        self._has_told = False

    def look_after(self) -> None:
        """To be called when code of the job has run that may have done so."""
        root = logging.getLogger()
        loggers = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
        for one in loggers:
            if one.name in NEVER_DISABLED or one.name.partition(".")[0] in NEVER_DISABLED:
                one.disabled = False
        for handler in _handlers(root, *loggers):
            if isinstance(handler, MaskingHandler):
                continue
            filters = [one for one in handler.filters if isinstance(one, ContextFilter)]
            if not filters:
                filters = [ContextFilter(caller=self._settings.caller)]
                handler.addFilter(filters[0])
            filters[0].hide(self._mask)
        if not any(isinstance(handler, MaskingHandler) for handler in root.handlers):
            self._tell_of_others()

    def _tell_of_others(self) -> None:
        if self._settings.structured and not self._has_told:
            self._has_told = True
            logger.warning(
                "the job has replaced the handler of the log: LOG_STRUCTURED has no effect on its own"
            )


def _handlers(*loggers: logging.Logger) -> Iterator[logging.Handler]:
    for one in loggers:
        yield from one.handlers


def has_colours(stream: TextIO | None) -> bool:
    """Whether ``stream`` is a terminal whose user has not asked for none (https://no-color.org)."""
    is_terminal = stream is not None and stream.isatty()
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _is_basic_config(handler: logging.Handler) -> bool:
    formatter = handler.formatter
    return (
        type(handler) is logging.StreamHandler
        and handler.stream is sys.stderr
        and (formatter is None or formatter._fmt == logging.BASIC_FORMAT)
    )
