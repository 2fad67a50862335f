"""Responses of Starlette, which are those of FastAPI, too, as a job's own; nothing is imported (SPEC 4.5)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pyjob.errors import PyjobError, ResultError, kind_of, message_of
from pyjob.wire.downloads.response import WITHOUT_BODY, Response
from pyjob.wire.failure import NOT_THE_JOBS

MODULE = "starlette.responses"
# Told by the server.
LEFT_OUT = NOT_THE_JOBS - {"content-type"}
# What Starlette says of a file, and what is said of it here in any case: with conditions and ranges.
OF_FILE = frozenset(("accept-ranges",))
OF_STATE = frozenset(("etag", "last-modified"))


def is_starlette(result: object) -> bool:
    """Whether ``result`` is a response of Starlette, or of a class derived from one."""
    kind = type(result)
    # One look at what all of them have, since every result that is no plain JSON comes by here.
    return hasattr(kind, "init_headers") and any(
        cls.__name__ == "Response" and cls.__module__ == MODULE for cls in kind.__mro__
    )


def from_starlette(result: Any) -> Response:
    """``result``, which `is_starlette`, as a response of pyjob: status, headers, cookies and body.

    Length and connection are the server's to tell. Raises `ResultError` for what no answer can have.
    """
    try:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in result.raw_headers]
        status, body = result.status_code, _body_of(result)
    except PyjobError:
        raise
    except Exception as error:  # an attribute that a class of the author's has changed
        kind = type(result).__name__
        raise ResultError(f"result: {kind} cannot be read: {kind_of(error)}: {message_of(error)}") from error
    left_out = LEFT_OUT
    if isinstance(body, Path):
        left_out |= OF_FILE if getattr(result, "stat_result", None) is None else OF_FILE | OF_STATE
    kept = [pair for pair in pairs if pair[0].lower() not in left_out]
    return Response(body, status=status, headers=kept)


def background_of(result: Any) -> Callable[[], Awaitable[object]] | None:
    """What is to be done once ``result``, which `is_starlette`, has been sent."""
    task = getattr(result, "background", None)
    return task if callable(task) else None


def _body_of(result: Any) -> object:
    if hasattr(result, "body_iterator"):  # made asynchronous by Starlette, if it was not
        return result.body_iterator
    if hasattr(result, "path"):
        return Path(result.path)
    # `JSONResponse(None, 204)` holds the text null, which no server of Starlette's would send.
    body = b"" if result.status_code in WITHOUT_BODY else bytes(result.body)
    return body or None
