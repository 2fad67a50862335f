"""An answer: its head, and its body in whichever way it is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from pyjob.client.call import Call, media_type
from pyjob.client.items import FORMATS, StreamFault, StreamFormatError, fault_of
from pyjob.client.transport.deadline import Deadline
from pyjob.client.transport.transport import Received, TransportError
from pyjob.errors import CallError

# Of the body of an error, so much is read.
LONGEST_ERROR = 64 * 1024


class Answer:
    """What was answered, whatever the status; a context manager, which leaves what has not been read.

    ``headers`` are known by names in any case; ``content_type`` is without its parameters;
    ``request_headers`` is what was sent, with the token replaced. Once it is read to its end, its connection
    serves the next call; left earlier, or forgotten, it is closed, and the job sees its caller leave.
    """

    def __init__(
        self, received: Received, call: Call, deadline: Deadline, request_headers: list[tuple[str, str]]
    ) -> None:
        self.status = received.status
        self.reason = received.reason
        self.headers = received.headers
        self.content_type = media_type(received.headers)
        self.request_headers = request_headers
        self._received = received
        self._call = call
        self._deadline = deadline
        self._content: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.content_type}>"

    def close(self) -> None:
        """Leave what has not been read."""
        self._received.close()

    def read(self) -> bytes:
        """The whole body, now and again. Raises `CallError` where it breaks off, or is late."""
        if self._content is None:
            self._content = b"".join(iter(self._piece, b""))
        return self._content

    def json(self) -> Any:
        """The body as a value. Raises `CallError` where it is no JSON."""
        content = self.read()
        if self._is_packed():
            raise self.unexpected(f"Content-Encoding {self.headers['Content-Encoding'][:40]}, not asked for")
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            kind = self.content_type or "no content type"
            shown = self._call.masked(content[:LONGEST_ERROR].decode(errors="replace"))[:60]
            raise self.unexpected(f"expected JSON, found {kind}: {shown!r}") from None

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes; the time-out is for each piece. Raises `CallError` where it breaks off."""
        if self._content is not None:
            yield from filter(None, (self._content,))
            return
        try:
            self._deadline.restart()
            while piece := self._piece():
                yield piece
                self._deadline.restart()
        finally:
            self.close()

    @property
    def is_stream(self) -> bool:
        """Whether it is one of items: server-sent events, or lines of JSON."""
        return self.content_type in FORMATS

    def items(self) -> Items:
        """The items of a stream as they come; the time-out is for each.

        Raises `CallError` where it is no stream, breaks off, or ends with an error of the job.
        """
        if not self.is_stream:
            raise self.unexpected(f"expected a stream, found {self.content_type or 'no content type'}")
        return Items(self, iter(self._piece, b""), self._deadline)

    def value(self) -> Any:
        """What the job returned: a value of JSON, `Items`, None for an empty answer, else bytes.

        Raises `CallError`: for an error, and for an HTML page, which is seldom a job's.
        """
        self.raise_for_status()
        if self.is_stream and not self._is_packed():
            return self.items()
        content = self.read()
        if not content:
            return None
        if self.content_type == "text/html":
            raise self.unexpected("expected JSON, found an HTML page (`Client.open` reads one)")
        if self.content_type != "application/json" and not self.content_type.endswith("+json"):
            return content
        value = self.json()
        # An array that was written item by item may end with a fault.
        last = value[-1] if isinstance(value, list) and value and "Content-Length" not in self.headers else 0
        if (fault := fault_of(last)) is not None:
            raise self.broken_off(fault)
        return value

    def raise_for_status(self) -> None:
        """Raises `CallError`, of the subclass for its status, unless that is 200 to 299."""
        if not 200 <= self.status < 300:
            raise self._call.answered(self.status, self.headers, self._beginning())

    def broken_off(self, fault: StreamFault) -> CallError:
        """What a stream ends with, as an error."""
        return self._call.broken_off(self.status, str(fault), fault.kind, self.headers)

    def unexpected(self, reason: str) -> CallError:
        """The answer is not what was asked for, for that ``reason``."""
        return self._call.unreadable(self.status, reason, self.headers)

    def _is_packed(self) -> bool:
        return self.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")

    def _beginning(self) -> bytes:
        """The body of an error, or as much of it as is worth while."""
        if self._content is None:
            content = b""
            try:
                while len(content) < LONGEST_ERROR and (piece := self._received.piece()):
                    content += piece
            except TransportError:  # the status is what matters
                pass
            self.close()
            self._content = b"" if self._is_packed() else content[:LONGEST_ERROR]
        return self._content

    def _piece(self) -> bytes:
        try:
            return self._received.piece()
        except TransportError as error:
            raise self._call.unanswered(error, self.status) from error


class Items(Iterator[Any]):
    """The items of a stream; closed, or dropped, it closes the connection, and the job stops."""

    def __init__(self, answer: Answer, pieces: Iterator[bytes], deadline: Deadline) -> None:
        self._answer = answer
        self._deadline = deadline
        self._items = FORMATS[answer.content_type](pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __next__(self) -> Any:
        self._deadline.restart()
        try:
            return next(self._items)
        except StreamFault as fault:
            self.close()
            raise self._answer.broken_off(fault) from None
        except StreamFormatError as error:
            self.close()
            raise self._answer.unexpected(str(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Read no further; any thread may call this."""
        self._items = iter(())
        self._answer.close()
