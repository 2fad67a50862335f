"""The body of a request in memory, and as JSON (SPEC 4.3)."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from pyjob.errors import PayloadError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON_TYPE = re.compile(r"application/(?:[\w.+-]+\+)?json\Z|text/json\Z")
ALIKE = bytes.maketrans(b"123456789E", b"000000000e")


def read_body(environ: WSGIEnvironment, most: int) -> bytes:
    """The whole body, whose length is known beforehand or marked by the server as ending by itself.

    Raises `PayloadError`: 413 where it is longer than ``most`` bytes, 400 where it is shorter than announced.
    """
    announced = announced_length(environ, most)
    stream = get_input_stream(environ) if announced is None else environ["wsgi.input"]
    try:
        body: bytes = stream.read(most + 1 if announced is None else announced)
    except OSError as error:
        raise broken_off() from error
    if announced is None:
        if len(body) > most:
            raise too_long(most)
    elif len(body) < announced:
        raise ended_early(len(body), announced)
    return body


def announced_length(environ: WSGIEnvironment, most: int) -> int | None:
    """The length of the body, as its head says; None where the server marks the end.

    Raises `PayloadError`: 413 for more than ``most`` bytes.
    """
    length = environ.get("CONTENT_LENGTH")
    if not length:
        # Without a length, werkzeug reads only from servers that promise `wsgi.input_terminated`.
        if environ.get("HTTP_TRANSFER_ENCODING") and not environ.get("wsgi.input_terminated"):
            raise PayloadError("this server reads no chunked bodies: send a Content-Length", status=411)
        return None
    if not (length.isascii() and length.isdigit()):
        raise PayloadError("Content-Length is not a number")
    announced = int(length.lstrip("0")[:20] or "0")
    if announced > most:
        raise too_long(most)
    return announced


class BoundedBody(io.RawIOBase):
    """A body of unknown length: reading more than ``most`` bytes of ``stream`` raises a 413 of werkzeug's.

    werkzeug's own LimitedStream cuts it off where somebody reads all at once.
    """

    def __init__(self, stream: Any, most: int) -> None:
        self._stream = stream
        self._left = most

    def readable(self) -> bool:
        """As files tell."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As files do."""
        data: bytes = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        buffer[: len(data)] = data
        return len(data)


def too_long(most: int) -> PayloadError:
    """What is said of a body of more than ``most`` bytes."""
    return PayloadError(f"the body is longer than {most} bytes, the max_body_size of this job", status=413)


def media_type(content_type: str) -> str:
    """A content type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def broken_off() -> PayloadError:
    """What is said of a body that could not be read to its end."""
    return PayloadError("the connection ended before the body was complete")


def ended_early(length: int, announced: int) -> PayloadError:
    """What is said of a body of ``length`` bytes."""
    return PayloadError(f"the body ended after {length} of {announced} bytes")


def not_an_object(value: object) -> PayloadError:
    """What is said of a payload that is another JSON value."""
    return PayloadError(f"the payload must be a JSON object of named arguments, not {_kind(value)}")


def decode_value(body: bytes) -> Any:
    """A JSON value (RFC 8259): UTF-8, no NaN, no infinity, no name twice. Raises `PayloadError`."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PayloadError(f"the payload is not valid UTF-8 at byte {error.start}") from None
    try:
        return (CAREFUL_DECODER if _perhaps_infinite(body) else DECODER).decode(text)
    except json.JSONDecodeError as error:
        fault = f"{error.msg.removesuffix(' at')} at line {error.lineno}, column {error.colno}"
        raise PayloadError(f"the payload is not valid JSON: {fault}") from None
    except RecursionError:
        raise PayloadError("the payload is nested too deeply") from None
    except ValueError:  # Python's bound on the digits of an integer
        raise PayloadError("the payload holds a number with too many digits") from None


def _perhaps_infinite(body: bytes) -> bool:
    """Whether a number may be too large for a float: rare, and only then is the slower decoder used.

    A translation and three searches, since a regular expression is slow on long runs of digits.
    """
    alike = body.translate(ALIKE)
    return b"e000" in alike or b"e+000" in alike or b"0" * 200 in alike


def _kind(value: object) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = sorted(name[:60] for name, count in counts.items() if count > 1)[:10]
        raise PayloadError(f"repeated argument{'s' if len(repeated) > 1 else ''}: {', '.join(repeated)}")
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise PayloadError(f"the payload holds {name}, which is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise PayloadError("the payload holds a number that is too large for a float")
    return number


# Kept, because `json.loads` with these arguments would build a decoder for every call.
DECODER = json.JSONDecoder(object_pairs_hook=_unique_names, parse_constant=_refuse_constant)
CAREFUL_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique_names, parse_constant=_refuse_constant, parse_float=_finite
)
