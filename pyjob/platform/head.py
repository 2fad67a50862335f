"""The head of a request: read with limits, checked strictly, and rewritten for the process of a job.

What could be read in two ways is refused here (RFC 9112), and each connection carries one request: so nobody
can make the front see one request and the job another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyjob.errors import JobError

LARGEST = 64 * 1024  # bytes, as `pyjob run` has it
END = b"\r\n\r\n"
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}) ([\x21-\x7e\x80-\xff]+) HTTP/1\.[01]")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t\x20-\x7e\x80-\xff]*")
ORIGIN = re.compile(rb"https?://[^/?#]+", re.IGNORECASE)
# Of this connection alone; and what says who the caller is, which nobody may say of himself.
DROPPED = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"http2-settings", b"forwarded")
)
DROPPED_BEGINNING = b"x-forwarded-"


@dataclass(frozen=True)
class Head:
    """The head of one request: its request line and its fields, as they came, less those in `DROPPED`."""

    method: str
    target: bytes
    request_line: bytes
    fields: tuple[bytes, ...]

    @property
    def path(self) -> str:
        """The path of the target, not decoded; empty where it has none (``*``)."""
        target = self.target
        if not target.startswith(b"/"):
            origin = ORIGIN.match(target)
            if origin is None:
                return ""
            target = target[origin.end() :]
        return target.partition(b"?")[0].decode("latin-1")

    def forwarded(self, address: str) -> bytes:
        """The head as a job gets it, with the ``address`` that it came from."""
        own = (b"Connection: close", b"X-Forwarded-For: " + address.encode("ascii"))
        return b"\r\n".join((self.request_line, *self.fields, *own)) + END


def head_of(data: bytes) -> Head:
    """The head that ``data`` is, without its end. Raises `JobError`, 400."""
    request_line, *fields = data.split(b"\r\n")
    found = REQUEST_LINE.fullmatch(request_line)
    if found is None:
        raise _wrong("the request line cannot be read")
    names: list[bytes] = []
    kept: list[bytes] = []
    for field in fields:
        match = FIELD.fullmatch(field)
        if match is None:
            raise _wrong("a header cannot be read")
        name = match[1].lower()
        names.append(name)
        if name not in DROPPED and not name.startswith(DROPPED_BEGINNING):
            kept.append(field)
    lengths = names.count(b"content-length"), names.count(b"transfer-encoding")
    if sum(lengths) > 1:
        raise _wrong("the length of the body is told more than once (Content-Length, Transfer-Encoding)")
    if names.count(b"host") > 1:
        raise _wrong("more than one Host")
    return Head(found[1].decode("ascii"), found[2], request_line, tuple(kept))


def _wrong(message: str) -> JobError:
    return JobError(400, message, kind="Bad Request")
