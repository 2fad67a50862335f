"""What the two ways to an answer have in common."""

from __future__ import annotations

from http.client import HTTPMessage
from typing import Protocol

from pyjob.client.request import Request
from pyjob.client.transport.deadline import Deadline


class TransportError(Exception):
    """No answer, or not all of one, and why; ``is_late``: because the time was over."""

    def __init__(self, text: str, *, is_late: bool = False) -> None:
        super().__init__(text)
        self.is_late = is_late


class Received(Protocol):
    """The head of an answer, and its body as it comes."""

    status: int
    reason: str
    headers: HTTPMessage

    def piece(self) -> bytes:
        """The next bytes of the body, as they come; none at its end. Raises `TransportError`."""

    def close(self) -> None:
        """Leave what has not been read: the other side sees its caller leave."""


class Transport(Protocol):
    """Carries requests to one place, whose name is ``host``."""

    host: str

    def exchange(self, request: Request, deadline: Deadline) -> Received:
        """Send ``request``, and wait for the head of its answer. Raises `TransportError`."""

    def close(self) -> None:
        """Close what is kept for further requests."""
