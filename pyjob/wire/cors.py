"""Which pages of other origins may call the job and read its answers (SPEC 4.9; the Fetch standard, 3.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pyjob.manifest.fields import ORIGIN
from pyjob.wire.response import Response, status_line

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Headers = list[tuple[str, str]]

ANY = "*"
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
VARY = ("Vary", "Origin")
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# Browsers ask again after so many seconds.
MAX_AGE = "600"
LONGEST_ORIGIN = 300
LONGEST_NAMES = 4000
# Names of headers with commas between them (RFC 9110, 5.1).
_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
HEADER_NAMES = re.compile(rf"{_NAME}(?:[ \t]*,[ \t]*{_NAME})*")


class Cors:
    """Answers the preflights of pages of ``origins``, and lets them read what they asked for.

    An origin is compared without regard to case, its port as it is written. A listed one may send
    credentials; ``*`` lets in the pages of any other, and never those. ``exposed`` are the headers of answers
    that a script may read beside the usual ones.
    """

    def __init__(self, origins: Iterable[str], exposed: Iterable[str]) -> None:
        expose = ("Access-Control-Expose-Headers", ", ".join(exposed))
        listed = {origin.lower(): origin.lower() for origin in origins}
        self._any: Headers | None = [(ALLOW_ORIGIN, ANY), expose] if listed.pop(ANY, None) else None
        self._listed: dict[str, Headers] = {
            origin: [(ALLOW_ORIGIN, origin), ("Access-Control-Allow-Credentials", "true"), expose]
            for origin in listed
        }

    def granted(self, origin: str | None) -> Headers | None:
        """The headers that let a page of ``origin``, as it came, read an answer; None where it may not."""
        if origin is None or len(origin) > LONGEST_ORIGIN:
            return None
        headers = self._listed.get(origin) or self._listed.get(origin.lower())
        if headers is not None or self._any is None or origin == ANY:
            return headers
        return self._any if ORIGIN.fullmatch(origin.lower()) else None

    def preflight(self, environ: WSGIEnvironment, granted: Headers) -> Response | None:
        """The answer to an OPTIONS by which a browser asks what a page may send; None to any other."""
        if not environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD"):
            return None
        headers = [
            *granted[:-1],  # nothing is to be read in it
            ("Access-Control-Allow-Methods", METHODS),
            ("Access-Control-Max-Age", MAX_AGE),
            ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ]
        names: str = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
        if len(names) <= LONGEST_NAMES and HEADER_NAMES.fullmatch(names):
            headers.append(("Access-Control-Allow-Headers", names))
        return Response(status_line(204), headers, b"")

    def shared(self, headers: Headers, granted: Headers | None) -> Headers:
        """``headers`` of an answer with those that are ``granted``; as they are where it has its own.

        Every answer varies by the origin, so that no cache gives one page what was answered to another.
        """
        vary_at = -1
        for at, (name, _) in enumerate(headers):
            lower = name.lower()
            if lower == "access-control-allow-origin":
                return headers
            if lower == "vary":
                vary_at = at
        if vary_at < 0:
            return [*headers, VARY, *(granted or ())]
        told = headers.copy()
        told[vary_at] = _with_origin(*headers[vary_at])
        return told + (granted or [])


def _with_origin(name: str, value: str) -> tuple[str, str]:
    """A Vary header that names the origin, too."""
    named = {one.strip().lower() for one in value.split(",")}
    return (name, value if named & {"*", "origin"} else f"{value}, Origin")
