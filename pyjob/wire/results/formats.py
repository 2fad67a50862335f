"""How items of a stream are written: server-sent events, lines of JSON, or a growing array (SPEC 4.8)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Protocol

from pyjob.errors import ResultError
from pyjob.wire.accept import choices

EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
JSON = "application/json"

Encode = Callable[[object], bytes]


class Format(Protocol):
    """Writes one stream; ``pause`` is what may be sent while there is no item, empty if nothing may."""

    content_type: str
    pause: bytes

    def item(self, value: object) -> bytes:
        """The next item. Raises `ResultError` for what cannot be encoded."""

    def error(self, message: str, kind: str) -> bytes:
        """The fault that ends the stream."""

    def end(self) -> bytes:
        """What comes after the last item."""


class JsonArray:
    """``[item,item]``; a fault is the last item: ``{"error": message, "type": kind}``."""

    content_type = JSON
    pause = b""

    def __init__(self, encode: Encode) -> None:
        self._items = _Encoded(encode)
        self._opener = b"["

    def item(self, value: object) -> bytes:
        """The next item, behind its bracket or comma."""
        return self._after_opener(self._items.encode(value))

    def error(self, message: str, kind: str) -> bytes:
        """The fault, as an item."""
        return self._after_opener(_fault(message, kind))

    def end(self) -> bytes:
        """The closing bracket."""
        return b"[]" if self._opener == b"[" else b"]"

    def _after_opener(self, text: bytes) -> bytes:
        opener, self._opener = self._opener, b","
        return opener + text


class JsonLines:
    """A line of JSON an item (https://github.com/ndjson/ndjson-spec); a fault is the last line."""

    content_type = LINES
    pause = b""

    def __init__(self, encode: Encode) -> None:
        self._items = _Encoded(encode)

    def item(self, value: object) -> bytes:
        """The next line."""
        return self._items.encode(value) + b"\n"

    def error(self, message: str, kind: str) -> bytes:
        """The fault, as a line."""
        return _fault(message, kind) + b"\n"

    def end(self) -> bytes:
        """Nothing."""
        return b""


class Events:
    """Server-sent events (HTML, 9.2) with ids from 1; a fault is an event called ``error``.

    Text is sent as it is, bytes as base64, anything else as JSON.
    """

    content_type = EVENTS
    pause = b":\n\n"  # a comment, which readers skip

    def __init__(self, encode: Encode) -> None:
        self._items = _Encoded(encode)
        self._id = 0

    def item(self, value: object) -> bytes:
        """The next event."""
        if isinstance(value, str):
            # Not str(): that of an Enum with text as its mixin is its name.
            data = str.__str__(value).encode("utf-8", "replace")
        elif isinstance(value, (bytes, bytearray, memoryview)):
            data = base64.b64encode(value)
        else:
            data = self._items.encode(value)
        return self._event(data)

    def error(self, message: str, kind: str) -> bytes:
        """The fault, as an event."""
        return b"event: error\n" + self._event(_fault(message, kind))

    def end(self) -> bytes:
        """Nothing: the stream ends."""
        return b""

    def _event(self, data: bytes) -> bytes:
        self._id += 1
        # By replacing, since there may be millions of lines.
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\ndata: ")
        return b"id: %d\ndata: %b\n\n" % (self._id, lines)


class _Encoded:
    """Items as JSON, counted, so that an error says which one it is."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._count = 0

    def encode(self, value: object) -> bytes:
        try:
            return self._encode(value)
        except ResultError as error:
            raise ResultError(f"result[{self._count}]{str(error).removeprefix('result')}") from error
        finally:
            self._count += 1


FORMATS: Mapping[str, Callable[[Encode], Format]] = MappingProxyType(
    {JSON: JsonArray, EVENTS: Events, LINES: JsonLines}
)


def format_by_name(media_type: str, encode: Encode) -> Format | None:
    """The format of that ``media_type``, if it is one of them."""
    make = FORMATS.get(media_type.partition(";")[0].strip().lower())
    return None if make is None else make(encode)


def format_by_accept(accept: str, encode: Encode) -> Format:
    """The format that an ``Accept`` header likes best; a JSON array where it likes none better."""
    liked = {kind: quality for kind, _, quality in choices(accept)}
    events, lines = liked.get(EVENTS, 0.0), liked.get(LINES, 0.0)
    best = max(events, lines)
    # What is named outdoes what is meant by a star.
    if best <= 0 or liked.get(JSON, 0.0) >= best or liked.get("application/*", liked.get("*/*", 0.0)) > best:
        return JsonArray(encode)
    return Events(encode) if events >= lines else JsonLines(encode)


def fault_in(media_type: str, text: bytes) -> tuple[str, str] | None:
    """Message and kind of the fault that ends a stream, read back from its ``text``; None where none does."""
    found: object = None
    with suppress(ValueError, LookupError, TypeError):  # no stream of ours
        if media_type == EVENTS:
            name, _, data = text.rstrip().rpartition(b"\n\n")[2].partition(b"\nid: ")
            found = json.loads(data.partition(b"\ndata: ")[2]) if name == b"event: error" else None
        elif media_type == LINES:
            found = json.loads(text.splitlines()[-1])
        elif media_type == JSON:
            found = json.loads(text)[-1]
    if isinstance(found, dict) and found.keys() == {"error", "type"}:
        return str(found["error"]), str(found["type"])
    return None


def _fault(message: str, kind: str) -> bytes:
    return json.dumps({"error": message, "type": kind}).encode()
