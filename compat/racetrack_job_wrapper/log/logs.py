"""Loggers below `racetrack`, whose debug lines are shown unless ``LOG_LEVEL`` says otherwise."""

from __future__ import annotations

import logging
import os

from pyjob.logs.setting_up import LEVELS, RACETRACK, LogSettings, set_up_logging

logger = logging.getLogger(RACETRACK)


def get_logger(_logger_name: str) -> logging.Logger:
    """The logger ``_logger_name`` below `racetrack`."""
    return logger.getChild(_logger_name)


def configure_logs(log_level: str | None = None) -> None:
    """Set up logging as `pyjob run` does, where nobody has yet; the least level of `racetrack` in any case.

    Raises ValueError for a level that there is not.
    """
    level = (log_level or os.environ.get("LOG_LEVEL") or "debug").lower()
    if level not in LEVELS:
        raise ValueError(f"log_level: expected one of {', '.join(LEVELS)}, found {level[:60]!r}")
    if not logging.getLogger().handlers:
        set_up_logging(LogSettings.from_environment(os.environ))
    logger.setLevel(LEVELS[level])


def set_logging_formatter(formatter: logging.Formatter) -> None:
    """Let all handlers of the root logger write by ``formatter``."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
