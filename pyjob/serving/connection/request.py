"""A request as it comes, and the head that a connection had before (SPEC 5.3)."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import Error

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# More of them in one head are refused.
BLANKS = b" " * 100
# What a request target may hold.
TARGET = re.compile(r"[!-~]+")
# Of longer requests, bodies included, the heads are not remembered: each open connection would keep one, and
# a long body seldom comes in one piece.
LONGEST_REMEMBERED = 4096
# What waitress reads out of a head, beside the headers.
READ = (
    *("command", "connection_close", "content_length", "first_line", "fragment", "path", "proxy_netloc"),
    *("proxy_scheme", "query", "request_uri", "url_scheme", "version"),
)


class RequestTimeout(Error):  # type: ignore[misc]  # noqa: N818  waitress names its own so
    """The request took too long to come (RFC 9110, 15.5.9)."""

    code = 408
    reason = "Request Timeout"


class Head:
    """One head, and what it says: callers that keep their connection send the same one again and again.

    ``environ`` is what the first request that had it became, before anybody changed that, without its body.
    """

    __slots__ = ("_headers", "_said", "environ", "length", "text")

    def __init__(self, text: bytes, request: Request) -> None:
        self.text = text
        # Of the whole request.
        self.length = len(text) + request.content_length
        self._said = {name: getattr(request, name) for name in READ}
        self._headers: dict[str, str] = request.headers.copy()
        self.environ: WSGIEnvironment | None = None

    def repeat(self, request: Request) -> None:
        """Let ``request`` say the same."""
        request.__dict__.update(self._said)
        request.headers = self._headers.copy()
        request.head = self


class Memory:
    """The head of the latest request on a connection, if it is one to be remembered."""

    __slots__ = ("head",)

    def __init__(self) -> None:
        self.head: Head | None = None

    def request(self, adj: Any) -> Request:
        """A request that is about to come; ``adj``: the options of the server."""
        return Request(adj, self)


class Request(HTTPRequestParser):  # type: ignore[misc]
    """A request as it comes; waitress names the path even of one that has none, in its log.

    ``head`` is what it shares with others of its connection.
    """

    path = ""
    headers: dict[str, str]
    content_length: int
    headers_finished: bool
    head: Head | None = None
    _text = b""
    _body: bytes | None = None

    def __init__(self, adj: Any, memory: Memory) -> None:
        super().__init__(adj)
        self._memory = memory

    def received(self, data: bytes) -> int:
        """Take in bytes; how many of them are of this request."""
        head = self._memory.head
        if (
            head is None
            or self.headers_finished
            or self.header_plus
            or len(data) < head.length
            or not data.startswith(head.text)
        ):
            was_finished = self.headers_finished
            taken: int = super().received(data)
            if self.headers_finished and not was_finished:
                self._remember()
            return taken
        # The same head as before, and its whole body with it: there is nothing to find out.
        head.repeat(self)
        self._body = data[len(head.text) : head.length]
        self.body_bytes_received = len(self._body)
        self.headers_finished = self.completed = True
        return head.length

    def get_body_stream(self) -> Any:
        """The body, to be read from its start."""
        return super().get_body_stream() if self._body is None else BytesIO(self._body)

    def _remember(self) -> None:
        # With chunks, more than the head decides how the body is read.
        is_plain = self.error is None and not self.chunked and not self.empty
        if is_plain and len(self._text) + self.content_length <= LONGEST_REMEMBERED:
            self.head = self._memory.head = Head(self._text, self)

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress does it. Raises ParsingError for a target that others may read in another way.

        And for more blanks in a row than anybody has a use for: waitress would read them again and again,
        in the one thread that looks after all connections.
        """
        self._text = header_plus
        if BLANKS in header_plus.replace(b"\t", b" "):
            raise ParsingError("Too many blanks in a row")
        try:
            super().parse_header(header_plus)
        except ValueError:  # brackets that are no address
            raise ParsingError("Bad URI") from None
        if not TARGET.fullmatch(self.request_uri):  # a tab would be taken out
            raise ParsingError("Bad URI")
