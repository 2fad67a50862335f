"""Longer text packed by gzip, for callers who ask for that."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyjob.wire.accept import wants_gzip
from pyjob.wire.response import Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# What is no longer, in bytes, fits into a packet or two as it is.
SMALLEST = 1024
# Of JSON it leaves 28 % in a third of the time in which level 6 leaves 24 %, the highest 24 % in an eighth
# (rows of 100 kB and 5 MB; floats: 49, 46 and 45 %; a call waits for it).
LEVEL = 1
# For what is packed once, while nobody waits.
PREPARED_LEVEL = 6
WORTH_IT = re.compile(
    r"text/|application/(?:json|xml|javascript|jsonl|x-ndjson|yaml|toml|rtf|sql|graphql|x-sh)\b"
    r"|[a-z]+/[^;]*\+(?:json|xml|yaml)\b|application/x-javascript\b",
    re.IGNORECASE,
)
# Who says one of these of a body means the bytes as they are.
OF_THESE_BYTES = frozenset(
    (
        *("content-encoding", "content-range", "etag"),
        *("content-digest", "repr-digest", "digest", "content-md5"),
    )
)
VARY = ("Vary", "Accept-Encoding")


def compressed(answer: Response, environ: WSGIEnvironment) -> Response:
    """``answer``, packed where that is worth it and the caller asks; what may be packed says so (Vary)."""
    if len(answer.body) <= SMALLEST or not _may_be(answer):
        return answer
    headers = _with_vary(answer.headers)
    # HEAD, too: it is told the length that GET would be told (RFC 9110, 8.6).
    if not wants_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
        return Response(answer.status, headers, answer.body)
    return _packed(answer, headers, LEVEL)


class Prepared:
    """``answer``, which is given many times and says nothing of a caller, packed once."""

    def __init__(self, answer: Response) -> None:
        self._plain = self._packed = answer
        if len(answer.body) > SMALLEST and _may_be(answer):
            headers = _with_vary(answer.headers)
            self._plain = Response(answer.status, headers, answer.body)
            self._packed = _packed(answer, headers, PREPARED_LEVEL)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        asked = wants_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        return (self._packed if asked else self._plain)(environ, start_response)


def _may_be(answer: Response) -> bool:
    content_type = ""
    for name, value in answer.headers:
        lower = name.lower()
        if lower in OF_THESE_BYTES:
            return False
        if lower == "content-type":
            content_type = value
    return WORTH_IT.match(content_type) is not None and not answer.status.startswith("206")


def _with_vary(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    told = ",".join(value for name, value in headers if name.lower() == "vary").lower()
    names = {name.strip() for name in told.split(",")}
    return [*headers] if names & {"*", "accept-encoding"} else [*headers, VARY]


def _packed(answer: Response, headers: list[tuple[str, str]], level: int) -> Response:
    body = gzip.compress(answer.body, level, mtime=0)
    lasting = [field for field in headers if field[0].lower() != "content-length"]
    length = ("Content-Length", str(len(body)))
    return Response(answer.status, [*lasting, length, ("Content-Encoding", "gzip")], body)
