"""What a job gives as the body of an answer, sent as it is: text, files, pictures, pieces (SPEC 4.5, 4.8)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from contextvars import copy_context
from itertools import chain
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from werkzeug.http import parse_options_header

from pyjob.errors import PyjobError, ResultError, exact_str, message_of
from pyjob.method.returns import OPAQUE, UNKNOWN, is_file, is_picture
from pyjob.wire.compression import compressed
from pyjob.wire.content_type import guess_content_type
from pyjob.wire.downloads.picture import PNG, drawn
from pyjob.wire.downloads.response import WITHOUT_BODY, head_of
from pyjob.wire.downloads.response import Response as JobResponse
from pyjob.wire.downloads.sent_file import path_answer, section_answer, section_of
from pyjob.wire.file import BLOCK, FileResponse
from pyjob.wire.response import JSON_HEADER, Response, status_line
from pyjob.wire.stream import StreamedResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# A value as JSON in UTF-8. Raises `ResultError`.
Encode = Callable[[object], bytes]
Answer = Response | StreamedResponse | FileResponse

TEXT = "text/plain; charset=utf-8"
# nginx would collect the pieces of a stream before it passes them on.
UNHELD = (("X-Accel-Buffering", "no"),)


class Downloads:
    """Makes answers of the responses of a job, whose files are named relative to ``folder``."""

    def __init__(self, encode: Encode, folder: Path) -> None:
        self._encode = encode
        self._folder = folder

    def answer(self, response: JobResponse, environ: WSGIEnvironment) -> Answer:
        """The answer that ``response`` asks for. Raises `ResultError` for what cannot be sent."""
        body = response.body
        if response.status in WITHOUT_BODY:
            length = [("Content-Length", "0")] if response.status == 205 else []
            return Response(status_line(response.status), [*length, *response.headers], b"")
        if isinstance(body, PurePath):
            content_type = _content_type(response, body.name)
            return path_answer(body, self._folder, response, content_type, environ)
        if is_file(body):
            return _file_answer(body, response, environ)
        if isinstance(body, Iterator):
            return _streamed(body, body, response, headers=UNHELD)
        data, content_type = self._whole(response)
        return _whole_answer(data, response, content_type, environ)

    def _whole(self, response: JobResponse) -> tuple[bytes, str]:
        """A body that is there already, or made at once, and its content type."""
        body = response.body
        if body is None:
            return b"", _content_type(response, default=TEXT)
        if isinstance(body, str):
            return as_bytes(body), _text_type(_content_type(response, default=TEXT))
        if isinstance(body, OPAQUE):
            return bytes(body), _content_type(response)
        if is_picture(body):
            content_type = _content_type(response, default=PNG)
            return drawn(body, content_type), content_type
        return self._encode(body), _content_type(response, default=JSON_HEADER[1])


def as_bytes(piece: object) -> bytes:
    """A piece of a body; text in UTF-8. Raises `ResultError` where it is neither text nor bytes."""
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, OPAQUE):
        return bytes(piece)
    if not isinstance(piece, str):
        raise ResultError(f"result: expected bytes or text as its body, found {type(piece).__name__}")
    try:
        return exact_str(piece).encode()
    except UnicodeEncodeError as error:
        # As an error of its own: the caller is not to blame for this ValueError.
        raise ResultError(f"result: character {error.start} of the text is none that UTF-8 has") from None


def _content_type(response: JobResponse, *names: object, default: str = UNKNOWN) -> str:
    """That of ``response``, else by its file name, else by the first of ``names`` that tells."""
    if response.mimetype is not None:
        return response.mimetype
    for name in (response.filename, *names):
        if isinstance(name, str) and (guessed := guess_content_type(name)) != UNKNOWN:
            return guessed
    return default


def _text_type(content_type: str) -> str:
    """``content_type``, if text under it is UTF-8."""
    charset = parse_options_header(content_type)[1].get("charset", "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise ResultError(f"result: text is sent in UTF-8, not in {charset}: encode it, or name no charset")
    return content_type


def _whole_answer(
    data: bytes, response: JobResponse, content_type: str, environ: WSGIEnvironment
) -> Response:
    fields = head_of(response, content_type, len(data))
    return compressed(Response(status_line(response.status), fields, data), environ)


def _file_answer(file: Any, response: JobResponse, environ: WSGIEnvironment) -> Answer:
    """What is left of ``file``, which is closed at once where that can be, else when it has been sent."""
    name, is_text = getattr(file, "name", None), isinstance(file, io.TextIOBase)
    content_type = _content_type(response, name, default=TEXT if is_text else UNKNOWN)
    if isinstance(file, (io.BytesIO, io.StringIO)):
        with closing(file):
            return _whole_answer(as_bytes(_read(file, -1)), response, content_type, environ)
    try:
        section = section_of(file)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            file.close()
        raise _unreadable(file, error) from error
    if section is None:
        return _streamed(_blocks(file), file, response, content_type)
    with suppress(OSError):  # such as: its author has removed it already
        file.close()
    return section_answer(section, response, content_type)


def _blocks(file: Any) -> Iterator[bytes | str]:
    is_text: bool | None = None
    while block := _read(file, BLOCK):
        if is_text not in (None, isinstance(block, str)):
            raise ResultError(f"result: {type(file).__name__} gives text here and bytes there")
        is_text = isinstance(block, str)
        yield block


def _read(file: Any, size: int) -> bytes | str:
    try:
        block = file.read(size)
    except PyjobError:
        raise
    except Exception as error:
        raise _unreadable(file, error) from error
    return block if isinstance(block, str) else as_bytes(block)


def _unreadable(file: object, error: Exception) -> ResultError:
    return ResultError(f"result: {type(file).__name__} cannot be read: {message_of(error)}")


def _streamed(
    pieces: Iterator[object],
    owner: object,
    response: JobResponse,
    content_type: str | None = None,
    *,
    headers: Iterable[tuple[str, str]] = (),
) -> StreamedResponse:
    """The answer made of ``pieces``, the first of them here and now; then ``owner`` is closed."""
    # One for all: what a generator sets at its beginning, it may take back at its end.
    context = copy_context()
    try:
        first = context.run(next, pieces, b"")
        if content_type is None:
            content_type = _content_type(response, default=TEXT if isinstance(first, str) else UNKNOWN)
        if isinstance(first, str):
            _text_type(content_type)
        body = _Body(chain((as_bytes(first),), map(as_bytes, pieces)), owner)
    except BaseException:
        context.run(_close, owner)
        raise
    fields = [*head_of(response, content_type, None), *headers]
    return StreamedResponse(status_line(response.status), fields, body, context)


class _Body:
    """``pieces``, less the empty ones; closed by closing the ``owner`` that they are from."""

    def __init__(self, pieces: Iterator[bytes], owner: object) -> None:
        self._pieces = pieces
        self._owner = owner

    def __iter__(self) -> Iterator[bytes]:
        return filter(None, self._pieces)

    def close(self) -> None:
        _close(self._owner)


def _close(owner: Any) -> None:
    close = getattr(owner, "close", None)
    if close is not None:
        close()
