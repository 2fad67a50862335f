"""The answer that a job makes itself, without a library for that: `pyjob.Response` (SPEC 4.8)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from pyjob.errors import ResultError
from pyjob.method.annotations import shown
from pyjob.method.returns import MEDIA_TYPE
from pyjob.wire.content_type import with_charset
from pyjob.wire.failure import HEADER_NAME, HEADER_VALUE, NOT_THE_JOBS
from pyjob.wire.file import NO_SNIFFING

Fields = tuple[tuple[str, str], ...]

# Answers that end with their head (RFC 9110, 15.3.5, 15.3.6, 15.4.5).
WITHOUT_BODY = frozenset((204, 205, 304))
# Every answer of this kind has it, whatever the job says.
ALWAYS_SENT = NO_SNIFFING[0].lower()
LONGEST_STEM, LONGEST_SUFFIX = 150, 20
NAMELESS = "download"


class Response:
    """``body`` as an answer to a call, which does not change once it is made.

    ``body``: bytes, text, the `pathlib.Path` of a file, a file object, a figure or picture, an iterator of
    bytes or text, None for an empty one; anything else is sent as JSON. ``mimetype``: its content type, else
    that of its name or its kind. ``filename``: browsers save it under that name. Raises `ResultError` for
    what no answer can have.
    """

    __slots__ = ("body", "filename", "headers", "mimetype", "status")

    body: object
    mimetype: str | None
    status: int
    headers: Fields
    filename: str | None

    def __init__(
        self,
        body: object,
        mimetype: str | None = None,
        status: int = 200,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        filename: str | None = None,
    ) -> None:
        fields = _fields(headers)
        lasting = tuple((n, v) for n, v in fields if n.lower() not in ("content-type", ALWAYS_SENT))
        if filename is not None:
            filename = _file_name(filename)
            if any(name.lower() == "content-disposition" for name, _ in lasting):
                raise ResultError("Response: filename: the headers have a Content-Disposition of their own")
            lasting = (*lasting, ("Content-Disposition", _attachment(filename)))
        checked = {
            "body": body,
            "mimetype": _content_type(mimetype, fields),
            "status": _status(status, body),
            "headers": lasting,
            "filename": filename,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        # What it holds has been checked.
        raise AttributeError(f"a Response does not change: make another one with another {name}")


def with_body(response: Response, body: object) -> Response:
    """``response`` with another ``body`` of the same kind."""
    other = object.__new__(Response)
    for name in Response.__slots__:
        object.__setattr__(other, name, body if name == "body" else getattr(response, name))
    return other


def head_of(response: Response, content_type: str, length: int | None) -> list[tuple[str, str]]:
    """All headers of the answer that ``response`` asks for; ``length`` in bytes, where it is known."""
    told = [] if length is None else [("Content-Length", str(length))]
    return [("Content-Type", content_type), *told, *response.headers, NO_SNIFFING]


def _status(status: object, body: object) -> int:
    # `http.HTTPStatus` is an int.
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise _fault("status", "an integer from 200 to 599", status)
    number = int.__int__(status)
    has_body = len(body) > 0 if isinstance(body, (bytes, str)) else body is not None
    if number in WITHOUT_BODY and has_body:
        raise ResultError(f"Response: body: expected None, since an answer of {number} has none")
    return number


def _content_type(mimetype: object, fields: Fields) -> str | None:
    named: list[object] = [value for name, value in fields if name.lower() == "content-type"]
    if mimetype is not None:
        named.append(mimetype)
    if len(named) > 1:
        raise ResultError("Response: mimetype: expected one content type, found several, with the headers")
    if not named:
        return None
    if not isinstance(named[0], str) or not MEDIA_TYPE.match(named[0]):
        raise _fault("mimetype", "a media type such as text/csv", named[0])
    return with_charset(str.__str__(named[0]))


def _fields(headers: Any) -> Fields:
    if headers is None:
        return ()
    # Not everything that has headers by name is a mapping: werkzeug's own are none.
    pairs = headers.items() if callable(getattr(headers, "items", None)) else headers
    if not isinstance(pairs, Iterable) or isinstance(pairs, (str, bytes)):
        raise _fault("headers", "a dict, or pairs of name and value", headers)
    return tuple(map(_field, pairs))


def _field(pair: object) -> tuple[str, str]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise _fault("headers", "pairs of name and value", pair)
    name, value = checked_field(*pair)
    if name.lower() in NOT_THE_JOBS and name.lower() != "content-type":
        raise ResultError(f"Response: headers: {name} is the server's to set")
    return name, value


def checked_field(name: object, value: object) -> tuple[str, str]:
    """A header as a server can send it. Raises `ResultError` for any other."""
    if not isinstance(name, str) or not HEADER_NAME.match(name):
        raise _fault("headers", "the name of a header", name)
    name = str.__str__(name)
    if not isinstance(value, str):
        raise _fault(f"headers: {name}", "text", value)
    if not HEADER_VALUE.match(value):
        # It is not shown: it may be a secret.
        raise ResultError(f"Response: headers: {name}: expected one line of Latin-1, found other characters")
    return name, str.__str__(value)


def _file_name(given: object) -> str:
    """``given`` as a name for a caller's disk: no folder, and nothing that cannot be seen."""
    if not isinstance(given, str):
        raise _fault("filename", "text", given)
    last = str.__str__(given).replace("\\", "/").rpartition("/")[2]
    name = "".join(filter(str.isprintable, last)).strip(" .")
    path = PurePosixPath(name)
    return f"{path.stem[:LONGEST_STEM]}{path.suffix[:LONGEST_SUFFIX]}" or NAMELESS


def _attachment(name: str) -> str:
    """Content-Disposition (RFC 6266): old programs read the ASCII form, all others the one in UTF-8."""
    letters = (c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    plain = "".join(c if c.isascii() and c not in '"\\%' else "_" for c in letters)
    exact = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{exact}'


def _fault(place: str, expected: str, found: object) -> ResultError:
    return ResultError(f"Response: {place}: expected {expected}, found {shown(found)}")
