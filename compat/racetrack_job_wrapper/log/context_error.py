"""Errors that say what was being done when another one happened."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("racetrack").getChild(__name__)


class ContextError(RuntimeError):
    """``context_message``, followed by what its cause says."""

    def __init__(self, context_message: str, cause: BaseException | None = None) -> None:
        super().__init__(context_message)
        self.context_message = context_message
        if cause is not None:
            self.__cause__ = cause

    def __str__(self) -> str:
        return self.context_message if self.__cause__ is None else f"{self.context_message}: {self.__cause__}"


@contextmanager
def wrap_context(context_name: str, log_debug: bool = False) -> Iterator[None]:
    """Raise `ContextError` with ``context_name`` in place of errors of the block."""
    if log_debug:
        logger.debug(context_name)
    try:
        yield
    except Exception as error:
        raise ContextError(context_name) from error


def unwrap(e: BaseException) -> BaseException:
    """The first cause of ``e``."""
    while e.__cause__ is not None:
        e = e.__cause__
    return e
