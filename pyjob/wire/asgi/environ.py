"""Requests as a2wsgi can read them."""

from __future__ import annotations

import string
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

from pyjob.errors import BodyError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# The length of a body that ends by itself.
ENDLESS = str(sys.maxsize)


def readable(environ: WSGIEnvironment) -> WSGIEnvironment:
    """A copy that suits a2wsgi, which fails at some of what servers may say, and knows no chunked bodies."""
    is_announced = bool(environ.get("CONTENT_LENGTH"))
    copy = {**environ, "wsgi.input": _Body(environ, is_announced=is_announced)}
    if environ.get("HTTP_TRANSFER_ENCODING") and not is_announced:
        if not environ.get("wsgi.input_terminated"):
            raise BodyError("this server reads no chunked bodies: send a Content-Length", status=411)
        copy["CONTENT_LENGTH"] = ENDLESS
    for name in ("SCRIPT_NAME", "PATH_INFO"):
        path = environ.get(name, "")
        if not path.isascii():
            copy[name] = path.encode("latin-1").decode("utf-8", "replace").encode().decode("latin-1")
    query = environ.get("QUERY_STRING", "")
    if not query.isascii():
        copy["QUERY_STRING"] = quote(query, safe=string.punctuation, encoding="latin-1")
    if not environ["SERVER_PORT"].isdecimal():  # gunicorn on a Unix socket
        copy["SERVER_PORT"] = "443" if environ["wsgi.url_scheme"] == "https" else "80"
    if not environ.get("REMOTE_PORT"):  # without one, a2wsgi leaves the address out too
        copy["REMOTE_PORT"] = "0"
    return copy


class _Body:
    """The body of a request, whose end before its announced length is an error: a2wsgi would never end."""

    def __init__(self, environ: WSGIEnvironment, *, is_announced: bool) -> None:
        self._input = environ["wsgi.input"]
        self._is_announced = is_announced

    def read(self, size: int) -> bytes:
        try:
            body: bytes = self._input.read(size)
        except OSError as error:
            raise BodyError("the connection ended before the body was complete") from error
        if not body and self._is_announced:
            raise BodyError("the body ended before its announced length")
        return body
