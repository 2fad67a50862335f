"""The items of a stream as they come: server-sent events, or lines of JSON (SPEC 4.8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType

from pyjob.wire.results.formats import EVENTS, LINES

# What one item may take in memory, in bytes.
LARGEST_ITEM = 64 * 1024 * 1024
_TOO_LARGE = f"an item of more than {LARGEST_ITEM // 1024**2} MiB"


class StreamFault(Exception):  # noqa: N818  what a stream ends with, read; not raised by us for ourselves
    """The job's error that ends a stream: its message, and its kind."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


class StreamFormatError(Exception):
    """What came is no item."""


def items_of_lines(chunks: Iterable[bytes]) -> Iterator[object]:
    """A value a line.

    Raises `StreamFault` where the last line is a fault, `StreamFormatError` where one is no JSON.
    """
    fault: object = None
    for line in lines_of(chunks):
        if not line.strip():
            continue
        if fault is not None:  # it was an item like others
            yield fault
            fault = None
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise StreamFormatError(f"a line that is no JSON: {line[:60]!r}") from error
        if fault_of(item) is None:
            yield item
        else:
            fault = item
    if (found := fault_of(fault)) is not None:
        raise found


def items_of_events(chunks: Iterable[bytes]) -> Iterator[object]:
    """The data of each event (HTML, 9.2.6), from JSON where it is some, else as text.

    Raises `StreamFault` for an event called ``error``.
    """
    name, data, size, is_first = b"", list[bytes](), 0, True
    for line in lines_of(_with_line_feeds(chunks)):
        field, _, value = (line.removeprefix(b"\xef\xbb\xbf") if is_first else line).partition(b":")
        is_first = False
        value = value.removeprefix(b" ")
        if line:
            name = value if field == b"event" else name
            data += [value] if field == b"data" else []
            size += len(line)
            if size > LARGEST_ITEM:
                raise StreamFormatError(_TOO_LARGE)
            continue
        if data:
            item = _value(b"\n".join(data))
            if name == b"error":
                raise fault_of(item) or StreamFault(str(item), "error")
            yield item
        name, data, size = b"", [], 0


def fault_of(item: object) -> StreamFault | None:
    """The fault that ``item`` tells of, if it does."""
    if isinstance(item, dict) and item.keys() == {"error", "type"}:
        message, kind = item["error"], item["type"]
        if isinstance(message, str) and isinstance(kind, str):
            return StreamFault(message, kind)
    return None


FORMATS: MappingProxyType[str, Callable[[Iterable[bytes]], Iterator[object]]] = MappingProxyType(
    {EVENTS: items_of_events, LINES: items_of_lines, "application/jsonl": items_of_lines}
)


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends; the last one may have none. Raises `StreamFormatError` for an endless one."""
    begun, size = list[bytes](), 0
    for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        begun.append(first)
        size += len(first)
        if size > LARGEST_ITEM:
            raise StreamFormatError(_TOO_LARGE)
        for following in rest:
            yield b"".join(begun)
            begun, size = [following], len(following)
    if last := b"".join(begun):
        yield last


def _with_line_feeds(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """``chunks`` in which every line ends as ours do, whichever of three ways it did."""
    has_ended = False
    for chunk in chunks:
        given = chunk.removeprefix(b"\n") if has_ended else chunk  # of a pair that was cut in two
        has_ended = chunk.endswith(b"\r")
        yield given.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _value(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data.decode(errors="replace")
