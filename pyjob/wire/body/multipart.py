"""The parts of a `multipart/form-data` body (RFC 7578, RFC 2046), found in a file and left there.

Line ends are CRLF, as they have to be. werkzeug's own decoder gives bytes, not places: each file would be
written a second time. And it may leave a CR at the end of one (so does 3.1.9).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.datastructures import Headers
from werkzeug.http import parse_options_header

from pyjob.errors import PayloadError
from pyjob.method.annotations import shorten
from pyjob.wire.body.spool import PIECE, Spool

MOST_PARTS = 1000
LONGEST_HEAD = 4096
LONGEST_BOUNDARY = 200
# A boundary may be followed by blanks (RFC 2046, 5.1.1).
LONGEST_PADDING = 1000
FOLD = re.compile(r"\r\n[ \t]+")
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True)
class Part:
    """One part: ``span`` is where its content stands; without a ``filename`` it is a field of text."""

    name: str
    filename: str | None
    headers: Headers
    span: range

    @property
    def shown(self) -> str:
        """As messages call it."""
        return _named(self.name)


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts. Raises `PayloadError` where the header does not say it."""
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY or not boundary.isascii():
        raise PayloadError(
            "multipart/form-data needs a boundary in the header Content-Type, "
            f"of ASCII and at most {LONGEST_BOUNDARY} characters"
        )
    return boundary.encode()


def parts_of(spool: Spool, boundary: bytes) -> Iterator[Part]:
    """Every part of the body, in order. Raises `PayloadError` where it is broken, naming the part."""
    return _Parts(spool, boundary).read()


class _Parts:
    def __init__(self, spool: Spool, boundary: bytes) -> None:
        self._spool = spool
        self._mark = b"\r\n--" + boundary
        self._at = 0

    def read(self) -> Iterator[Part]:
        # What stands before the first boundary has no meaning. At the very beginning it has no line end.
        first = self._mark[2:]
        start = -2 if self._spool.read(range(len(first))) == first else self._find(self._mark, 0)
        if start == -1:
            raise PayloadError("the boundary of the header Content-Type is nowhere in the body")
        self._at = start + len(self._mark)
        count, label = 0, "the first boundary"
        while not self._is_last(label):
            count += 1
            if count > MOST_PARTS:
                raise PayloadError(f"the body has more than {MOST_PARTS} parts", status=413)
            name, filename, headers = self._head(f"part {count}")
            label = _named(name)
            end = self._find(self._mark, self._at)
            if end < 0:
                raise PayloadError(f"the body ends inside {label}")
            # Before an empty content, the line end may be the one that ends the head.
            yield Part(name, filename, headers, range(self._at + 2, end))
            self._at = end + len(self._mark)
            label = f"the boundary after {label}"

    def _is_last(self, label: str) -> bool:
        """Whether the boundary that ends here closes the body; if not, go on to the end of its line."""
        rest = self._spool.read(range(self._at, self._at + LONGEST_PADDING))
        if rest.startswith(b"--"):
            return True
        padding, line_end, _ = rest.partition(b"\r\n")
        if not line_end and self._at + len(rest) == self._spool.length:
            raise PayloadError(f"the body ends inside {label}")
        if padding.strip(b" \t") or not line_end:
            raise PayloadError(f"{label} does not end its line")
        self._at += len(padding)
        return False

    def _head(self, label: str) -> tuple[str, str | None, Headers]:
        """Name, file name and headers of a part, whose head begins at the end of the boundary's line."""
        head = self._spool.read(range(self._at, self._at + LONGEST_HEAD))
        end = head.find(b"\r\n\r\n")
        if end < 0 and len(head) < LONGEST_HEAD:
            raise PayloadError(f"the body ends inside the head of {label}")
        if end < 0:
            raise PayloadError(f"the head of {label} is longer than {LONGEST_HEAD} bytes")
        if self._mark in head[:end]:
            raise PayloadError(f"a boundary stands inside the head of {label}")
        self._at += end + 2
        try:
            headers = _headers(head[:end].decode())
        except UnicodeDecodeError:
            raise PayloadError(f"the head of {label} is not valid UTF-8") from None
        kind, options = parse_options_header(headers.get("Content-Disposition"))
        if kind.lower() != "form-data" or "name" not in options:
            raise PayloadError(f"{label} has no header Content-Disposition: form-data; name=...")
        return options["name"], options.get("filename"), headers

    def _find(self, mark: bytes, start: int) -> int:
        """Where ``mark`` stands next, from ``start`` on; -1 where it does not."""
        file = self._spool.file
        file.seek(start)
        kept, size = b"", 4096  # small at first: there may be a thousand small parts
        while piece := file.read(size):
            data = kept + piece
            found = data.find(mark)
            if found >= 0:
                return start - len(kept) + found
            start += len(piece)
            kept = data[-(len(mark) - 1) :]
            size = min(2 * size, PIECE)
        return -1


def _headers(text: str) -> Headers:
    headers = Headers()
    for line in FOLD.sub(" ", text).split("\r\n"):
        name, colon, value = line.partition(":")
        # A line end of another kind would forge a header, where somebody sends it on.
        if colon and not CONTROL.search(line):
            headers.add(name.strip(), value.strip())
    return headers


def _named(name: str) -> str:
    return f"part {json.dumps(shorten(name), ensure_ascii=False)}"
