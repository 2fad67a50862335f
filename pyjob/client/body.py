"""The body of a request: JSON, a form with files, or a file as it is; what is on a disk is not collected."""

from __future__ import annotations

import io
import mimetypes
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from pyjob.errors import ResultError, one_line
from pyjob.wire.results.encoding import encode

PIECE = 64 * 1024
BINARY = "application/octet-stream"


class RequestError(ValueError):
    """What cannot be sent, and why."""


class Body(Protocol):
    """What is sent: ``length`` in bytes, None where nobody knows before the end."""

    content_type: str
    length: int | None
    is_repeatable: bool

    def pieces(self) -> Iterator[bytes]:
        """The bytes. Raises OSError, and `RequestError` where a file is not what it was."""


class Bytes:
    """Bytes at hand."""

    is_repeatable = True

    def __init__(self, content: bytes, content_type: str) -> None:
        self._content = content
        self.content_type = content_type
        self.length: int | None = len(content)

    def pieces(self) -> Iterator[bytes]:
        """All of them, in one."""
        if self._content:
            yield self._content


NO_BODY = Bytes(b"", "")


class File:
    """A path, an open binary file from where it stands, or bytes; ``name`` for the one who gets it.

    Raises `RequestError` where it is no file that can be read.
    """

    def __init__(self, source: object, shown: str) -> None:
        self._source: Any = source
        self._start = 0
        self.is_repeatable = True
        self.length: int | None
        self.name = _file_name(source)
        self.content_type = mimetypes.guess_type(self.name)[0] or BINARY
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._source = bytes(source)
            self.length = len(self._source)
        elif isinstance(source, Path):
            if not source.is_file():
                raise RequestError(f"{shown}: no such file: {one_line(str(source))}")
            self.length = source.stat().st_size
        else:
            self._measure(source, shown)

    def _measure(self, source: Any, shown: str) -> None:
        if isinstance(source, io.TextIOBase) or "b" not in str(getattr(source, "mode", "b")):
            raise RequestError(f"{shown}: the file is open for text: open it with 'rb'")
        seekable = getattr(source, "seekable", None)
        self.is_repeatable = bool(seekable is not None and seekable())
        self.length = None
        if self.is_repeatable:
            self._start = source.tell()
            self.length = max(0, source.seek(0, os.SEEK_END) - self._start)
            source.seek(self._start)

    def pieces(self) -> Iterator[bytes]:
        """Its bytes, as many as there were when it was named."""
        if isinstance(self._source, bytes):
            yield from (self._source[at : at + PIECE] for at in range(0, len(self._source), PIECE))
        elif isinstance(self._source, Path):
            with self._source.open("rb") as file:
                yield from self._read(file)
        else:
            if self.is_repeatable:
                self._source.seek(self._start)
            yield from self._read(self._source)

    def _read(self, file: IO[bytes]) -> Iterator[bytes]:
        left = self.length
        while left != 0:
            piece = file.read(PIECE if left is None else min(PIECE, left))
            if not piece:
                if left is None:
                    return
                raise RequestError(f"the file {one_line(self.name)!r} has become shorter while it was sent")
            left = None if left is None else left - len(piece)
            yield piece


class Multipart:
    """A form (RFC 7578) of text ``fields``, JSON each, and ``files``, which may share a name."""

    def __init__(self, fields: Mapping[str, bytes], files: list[tuple[str, File]]) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.is_repeatable = all(file.is_repeatable for _, file in files)
        opener = f"--{boundary}\r\nContent-Disposition: form-data; name="
        self._parts: list[bytes | File] = []
        for name, text in fields.items():
            head = f"{opener}{_quoted(name)}\r\nContent-Type: application/json\r\n\r\n"
            self._parts += (head.encode(), text, b"\r\n")
        for name, file in files:
            head = f"{opener}{_quoted(name)}; filename={_quoted(file.name)}\r\n"
            self._parts += (f"{head}Content-Type: {file.content_type}\r\n\r\n".encode(), file, b"\r\n")
        self._parts.append(f"--{boundary}--\r\n".encode())
        lengths = [len(part) if isinstance(part, bytes) else part.length for part in self._parts]
        known = [length for length in lengths if length is not None]
        self.length: int | None = sum(known) if len(known) == len(lengths) else None

    def pieces(self) -> Iterator[bytes]:
        """The form, part by part."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part.pieces()


def body_of_arguments(arguments: object) -> Body:
    """``arguments`` as JSON, as results are written (SPEC 4.5); as a form where one is a file, or bytes.

    A list of files is sent as several of one name. Raises `RequestError` that names what cannot be sent.
    """
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, Mapping):
        return Bytes(json_of(arguments, "payload"), "application/json")
    files: list[tuple[str, File]] = []
    fields: dict[str, object] = {}
    for name, value in arguments.items():
        several = value if isinstance(value, (list, tuple)) and value else [value]
        if isinstance(name, str) and all(map(is_file, several)):
            files += ((name, File(one, one_line(name))) for one in several)
        else:
            fields[name] = value
    if not files:
        return Bytes(json_of(fields, "payload"), "application/json")
    texts = {str(name): json_of(value, one_line(str(name))) for name, value in fields.items()}
    return Multipart(texts, files)


def is_file(value: object) -> bool:
    """Whether it is sent as a file: bytes, a path, or what can be read."""
    return isinstance(value, (bytes, bytearray, memoryview, Path)) or callable(getattr(value, "read", None))


def json_of(value: object, name: str) -> bytes:
    """``value``, called ``name``, as JSON. Raises `RequestError`."""
    try:
        return encode(value)
    except ResultError as error:
        raise RequestError(f"{name}{str(error).removeprefix('result')}") from None


def _file_name(source: object) -> str:
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) and name else "file"


def _quoted(text: str) -> str:
    """A parameter as browsers write it (HTML, multipart/form-data encoding algorithm)."""
    return '"' + text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22") + '"'
