"""One request of waitress and its answer: a seat in the environ, and heads that are put together quickly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from waitress.task import ErrorTask, WSGITask
from waitress.utilities import RequestEntityTooLarge, build_http_date

from pyjob.errors import one_line
from pyjob.gate.door import SEAT
from pyjob.wire.response import error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Headers that waitress adds, and treats in its own way where the application has sent them.
ADDED_HEADERS = frozenset(("date", "server", "via"))
# Head and body of an answer that is no longer are copied together, to be sent with one call of the system.
LARGEST_PIECE = 64 * 1024


class HttpDate:
    """The time as a Date header has it (RFC 9110, 5.6.7), written once a second."""

    __slots__ = ("_latest",)

    def __init__(self) -> None:
        self._latest = (0, "")

    def at(self, time: float) -> str:
        """That of ``time``, in seconds of Unix time."""
        second, text = self._latest
        if second != int(time):
            text = build_http_date(time)
            # Both at once: threads may ask about different seconds.
            self._latest = int(time), text
        return text


DATE = HttpDate()


class Refusal(ErrorTask):  # type: ignore[misc]
    """The answer of waitress itself to what the application never sees: too long, malformed, too late."""

    def execute(self) -> None:
        """Answer in JSON as the application does (SPEC 4.4), and have it tell of that."""
        server, error = self.channel.server, self.request.error
        reception = getattr(server, "reception", None)  # of a server of ours
        message = one_line(str(error.body))
        if isinstance(error, RequestEntityTooLarge):
            most = server.adj.max_request_body_size - 1
            message = f"the body is longer than {most} bytes"
            message += (
                ", the max_body_size of this job" if reception is not None else ", the most that is read"
            )
        answer = error_response(error.code, message, error.reason)
        self.status = f"{error.code} {error.reason}"
        headers = answer.headers
        if reception is not None:
            headers = reception.shared(headers, self.request.headers.get("ORIGIN"))
        self.response_headers.extend(headers)
        self.set_close_on_finish()
        self.content_length = len(answer.body)
        self.write(answer.body)
        if reception is not None:
            method, path = getattr(self.request, "command", ""), getattr(self.request, "path", "")
            reception.tell_refused(method or "-", path or "-", self.status, error.reason)


class Task(WSGITask):  # type: ignore[misc]
    """One request; the application finds its seat in the environ."""

    wrote_header: bool
    chunked_response: bool

    def get_environment(self) -> WSGIEnvironment:
        """The WSGI environ."""
        head = self.request.head
        if head is not None and head.environ is not None:
            repeated: WSGIEnvironment = head.environ.copy()
            repeated["wsgi.input"] = self.request.get_body_stream()
            return repeated
        environ: WSGIEnvironment = super().get_environment()
        environ[SEAT] = self.channel.seat
        path = self.request.path
        if path.startswith("//"):  # waitress takes all but one slash away, so that nobody could refuse it
            environ["PATH_INFO"] = path
        if head is not None:
            head.environ = {name: value for name, value in environ.items() if name != "wsgi.input"}
        return environ

    def build_response_header(self) -> bytes:
        """The head, which says so if this answer is the connection's last.

        The usual one, of a whole answer by HTTP/1.1, is put together here: waitress rewrites every header.
        """
        if self.channel.seat.hangs_up:
            self.request.headers["CONNECTION"] = "close"
        if self.version != "1.1" or self.status.startswith("1"):
            return self._any_head()
        if self.request.headers.get("CONNECTION", "").lower() == "close":
            self.set_close_on_finish()
        lines = [f"HTTP/1.1 {self.status}"]
        has_body = self.has_body
        # 204 and 304 end with their head, and need not end the connection (RFC 9112, 6.3).
        has_length = not has_body
        for name, value in self.response_headers:
            lower = name.lower()
            if lower in ADDED_HEADERS:
                return self._any_head()
            if lower == "content-length":
                if not has_body:
                    continue
                has_length = True
            lines.append(f"{name}: {value}")
        if not has_length:
            return self._any_head()
        ident = self.channel.server.adj.ident
        if ident:
            lines.append(f"Server: {ident}")
        lines.append(f"Date: {DATE.at(self.start_time)}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")

    def write(self, data: bytes) -> None:
        """Send ``data``; a small answer that comes in one piece goes out in one, with its head."""
        length = self.content_length
        if self.wrote_header or not self.complete or length != len(data) or not 0 < length <= LARGEST_PIECE:
            super().write(data)
            return
        head = self.build_response_header()
        self.channel.write_soon(head + data if self.has_body else head)
        self.wrote_header = True
        self.content_bytes_written = length

    def finish(self) -> None:
        """The answer is made. Who has asked on without reading loses the connection, and holds no thread."""
        if self.request.command == "HEAD":
            if not self.wrote_header:
                self.write(b"")
            self.chunked_response = False  # its last chunk would be a body
        super().finish()
        channel = self.channel
        if channel.total_outbufs_len > channel.adj.outbuf_high_watermark and len(channel.requests) > 1:
            self.close_on_finish = True

    def _any_head(self) -> bytes:
        head: bytes = super().build_response_header()
        return head
