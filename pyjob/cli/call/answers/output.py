"""The result where it is wanted: on a terminal for people, in a pipe or a file as it came."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO

from pyjob.cli.call.answers.terminal import harmless, has_colours, json_shown
from pyjob.errors import PyjobError
from pyjob.manifest.file import shown
from pyjob.wire.results.formats import JSON, LINES, fault_in

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# Longer JSON is shown as it came, as is a longer line: nobody reads it, and a stream may have no end.
LONGEST_INDENTED = 4 * 1024 * 1024
# What is kept of the end of a stream, to see whether a fault ends it.
LONGEST_FAULT = 64 * 1024
_TEXTS = ("application/xml", "application/javascript", "application/yaml", "application/x-yaml")


class OutputError(PyjobError):
    """The result could not be written, or not shown; the message has the remedy."""


class MediaType:
    """A ``Content-Type``, as far as it decides how an answer is shown."""

    def __init__(self, content_type: str) -> None:
        name, _, rest = content_type.partition(";")
        self.name = name.strip().lower()
        parameters = dict(one.strip().partition("=")[::2] for one in rest.split(";"))
        self._charset = {key.lower(): value.strip('"') for key, value in parameters.items()}.get("charset")
        self.is_json = self.name == JSON or self.name.endswith("+json")
        self.is_lines = self.name in (LINES, "application/jsonl", "application/json-seq")
        is_text = self.name.startswith("text/") or self.name.endswith(("+xml", "+yaml"))
        self.is_text = is_text or self.is_json or self.is_lines or self.name in _TEXTS

    def decoder(self) -> io.IncrementalNewlineDecoder:
        """What makes text of it; its lines end in a line feed."""
        try:
            charset = self._charset or "utf-8"
            b"x".decode(charset, "replace")  # codecs that are no charset would fail later, in their own ways
            decoder: codecs.IncrementalDecoder = _Lenient(codecs.getincrementaldecoder(charset)("replace"))
        except (LookupError, ValueError):
            decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return io.IncrementalNewlineDecoder(decoder, translate=True)

    def decode(self, data: bytes) -> str:
        """``data`` as text, whatever is wrong with it."""
        return self.decoder().decode(data, final=True)


class _Lenient(codecs.IncrementalDecoder):
    """The ``decoder`` of a charset; from where that gives up (UTF-16 without its mark), UTF-8."""

    def __init__(self, decoder: codecs.IncrementalDecoder) -> None:
        super().__init__("replace")
        self._decoder = decoder

    def decode(self, data: ReadableBuffer, final: bool = False) -> str:
        try:
            return self._decoder.decode(data, final)
        except ValueError:
            self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
            return self._decoder.decode(data, final)


class Ending:
    """The end of a stream of ``media``, in which pyjob tells the fault that ended it."""

    def __init__(self, media: MediaType) -> None:
        self._media = media
        self._kept = b""

    def kept_of(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """``pieces``, while their end is kept. A fault among lines, which is no item, does not pass."""
        if self._media.name == LINES:
            return self._items_of(pieces)
        return self._all_of(pieces)

    def fault(self) -> tuple[str, str] | None:
        """Message and kind of the fault, if there was one."""
        text = self._kept
        if self._media.is_json:  # the beginning of the array may be gone
            text = b"[" + text[max(0, text.rfind(b'{"error": ')) :].removeprefix(b"[")
        return fault_in(self._media.name, text)

    def _all_of(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._kept = (self._kept + piece)[-LONGEST_FAULT:]
            yield piece

    def _items_of(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """All but the last line, while it is, or may yet become, a fault: what follows makes it an item."""
        try:
            for piece in pieces:
                text = self._kept + piece
                start = text.rfind(b"\n", 0, -1) + 1
                self._kept = text[start:] if _may_be_fault(text[start:]) else b""
                if passing := text.removesuffix(self._kept):
                    yield passing
        except Exception:  # what had come of an item is not lost
            yield self._kept
            raise
        if self._kept and self.fault() is None:
            yield self._kept


def _may_be_fault(line: bytes) -> bool:
    """Whether ``line``, of which the end may be missing, is the fault of a stream."""
    if not line.startswith(b"{") or len(line) > LONGEST_FAULT:
        return False
    return not line.endswith(b"\n") or fault_in(LINES, line) is not None


class Output:
    """Where the result goes: ``stream``, or the ``file`` that is named."""

    def __init__(self, stream: TextIO | None, file: Path | None = None) -> None:
        self._stream = stream
        self._file = file

    @property
    def is_terminal(self) -> bool:
        """Whether people read it as it comes."""
        return self._file is None and self._stream is not None and self._stream.isatty()

    def refusal(self, media: MediaType) -> str | None:
        """Why an answer of ``media`` cannot be shown, and what to do; None where it can."""
        if self._file is None and self._stream is None:
            return "standard output is closed: name a file by -o FILE"
        if self.is_terminal and not media.is_text:
            kind = harmless(media.name) or "of no known type"
            return f"the answer is {kind}, which no terminal can show: write it by -o FILE, or pipe it"
        return None

    def write(self, media: MediaType, pieces: Iterable[bytes]) -> None:
        """Write ``pieces`` as they come.

        Raises `OutputError`, BrokenPipeError where nobody reads any more, and what ``pieces`` raise.
        """
        if self._file is not None:
            self._write_file(self._file, pieces)
        elif self._stream is None or self._stream.closed:
            raise OutputError("standard output is closed: name a file by -o FILE")
        elif self.is_terminal:
            show(media, pieces, self._stream)
        else:
            self._stream.flush()
            # Unbuffered, so that nothing is left that would fail once more at the end.
            target = getattr(self._stream.buffer, "raw", self._stream.buffer)
            for piece in pieces:
                with _told("the result"):
                    _write_all(target, piece)

    def _write_file(self, file: Path, pieces: Iterable[bytes]) -> None:
        what = shown(file)
        with _told(what):
            target = file.open("wb", buffering=0)
        with target:
            for piece in pieces:
                with _told(what):
                    _write_all(target, piece)


def show(media: MediaType, pieces: Iterable[bytes], stream: TextIO) -> None:
    """Write ``pieces`` for people: JSON indented or line by line, other text harmless, each as it comes."""
    write = _Writer(stream)
    coloured = has_colours(stream)
    if media.is_json:
        _show_json(media, iter(pieces), write, coloured)
    elif media.is_lines:
        for line in _lines(pieces):
            _show_line(media.decode(line), write, coloured)
    else:
        _show_text(media, pieces, write)
    write.end()


def _show_json(media: MediaType, pieces: Iterator[bytes], write: _Writer, coloured: bool) -> None:
    data = b""
    for piece in pieces:
        data += piece
        if len(data) > LONGEST_INDENTED:
            _show_text(media, chain([data], pieces), write)
            return
    try:
        write.as_is(json_shown(media.decode(data), coloured=coloured))
    except ValueError:
        write(media.decode(data))


def _show_line(text: str, write: _Writer, coloured: bool) -> None:
    try:
        write.as_is(f"{json_shown(text, coloured=coloured, indented=False)}\n")
    except ValueError:
        write(text)


def _show_text(media: MediaType, pieces: Iterable[bytes], write: _Writer) -> None:
    decoder = media.decoder()
    for piece in pieces:
        write(decoder.decode(piece))
    write(decoder.decode(b"", final=True))


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines; of one that is too long, what has come."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in lines)
        if len(rest) > LONGEST_INDENTED:
            yield rest
            rest = b""
    if rest:
        yield rest


def _write_all(target: IO[bytes], piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[target.write(left) :]


@contextmanager
def _told(what: str) -> Iterator[None]:
    """A failure to write ``what``, as our own error; that nobody reads any more is none."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"{what} cannot be written: {error.strerror or error}") from error


class _Writer:
    """Writes harmless text to a terminal at once, and ends its last line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = "\n"

    def __call__(self, text: str) -> None:
        self.as_is(harmless(text))

    def as_is(self, text: str) -> None:
        """Text that is harmless already."""
        if text:
            with _told("the result"):
                self._stream.write(text.encode("utf-8", "backslashreplace").decode())
                self._stream.flush()
            self._last = text[-1]

    def end(self) -> None:
        """What comes after it begins a line."""
        if self._last != "\n":
            self.as_is("\n")
