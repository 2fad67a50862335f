"""Parameters that take bytes or a file: how they are annotated, and base64 for them in JSON (SPEC 4.8)."""

from __future__ import annotations

import base64
import enum
import io
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pyjob.errors import PayloadError
from pyjob.method.annotations import mismatch, plain_type, shorten, shown
from pyjob.method.signature import Parameter

STRANGE = re.compile(r"[^A-Za-z0-9+/]")


class Kind(enum.Enum):
    """What a method gets of a file."""

    BYTES = enum.auto()
    MEMORY = enum.auto()  # io.BytesIO
    FILE = enum.auto()  # a binary file, to go back and forth in
    STORAGE = enum.auto()  # werkzeug's FileStorage, which also has name and headers


@dataclass(frozen=True)
class Binary:
    """That a parameter takes a file of this ``kind``, or a list of them."""

    kind: Kind
    is_list: bool = False


FILES = (
    *(typing.BinaryIO, typing.IO[bytes]),
    *(io.IOBase, io.RawIOBase, io.BufferedIOBase, io.BufferedReader),
)
# Classes that look as if they would take a file, by name: nothing here imports them.
MISTAKEN = frozenset(("UploadFile", "TextIO", "TextIOBase", "TextIOWrapper", "bytearray", "memoryview"))
# Makes what a method gets of bytes.
Make = Callable[[Kind, bytes], object]


def kind_of(annotation: Any) -> Kind | None:
    """The kind of file that an ``annotation`` by itself stands for, if any."""
    if annotation is bytes:
        return Kind.BYTES
    if annotation is io.BytesIO:
        return Kind.MEMORY
    if any(annotation is one or annotation == one for one in FILES):
        return Kind.FILE
    # Known by its name: nothing here needs werkzeug.
    is_storage = isinstance(annotation, type) and annotation.__qualname__ == "FileStorage"
    return Kind.STORAGE if is_storage and annotation.__module__.startswith("werkzeug.") else None


def without_none(annotation: Any) -> Any:
    """``T`` of an ``Optional[T]``, without `Annotated` and `NewType` around either."""
    annotation = plain_type(annotation)
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation
    members = [member for member in typing.get_args(annotation) if member is not types.NoneType]
    return plain_type(members[0]) if len(members) == 1 else annotation


def binary_of(parameter: Parameter) -> Binary | None:
    """The file, or list of files, that ``parameter`` takes; None where it takes something else."""
    try:
        annotation = without_none(parameter.annotation)
        kind = kind_of(annotation)
        if kind is not None:
            return Binary(kind)
        if typing.get_origin(annotation) is list:
            kind = kind_of(without_none(typing.get_args(annotation)[0]))
            return None if kind is None else Binary(kind, is_list=True)
    except Exception:  # noqa: BLE001  the author's objects
        return None
    return None


def is_mistaken(annotation: Any) -> bool:
    """Whether the author means a file by ``annotation``, which stands for none."""
    try:
        inner = without_none(annotation)
        return inner == typing.IO[str] or getattr(inner, "__name__", "") in MISTAKEN
    except Exception:  # noqa: BLE001  the author's objects
        return False


class Base64:
    """Base64 in the arguments of a method, at any depth; ``make`` gives what it gets of the bytes."""

    def __init__(self, parameters: Iterable[Parameter], make: Make) -> None:
        self._make = make
        self._readers: dict[str, _Reader] = {}
        for parameter in parameters:
            reader = _reader_of(parameter)
            if reader is not None:
                self._readers[parameter.name] = reader

    def __bool__(self) -> bool:
        return bool(self._readers)

    def decode(self, arguments: dict[str, Any]) -> None:
        """Put what the method gets in place of base64. Raises `PayloadError` that names what is none."""
        for name, reader in self._readers.items():
            if name in arguments:
                arguments[name] = reader.read(arguments[name], name, self._make)


def check_base64(parameters: Iterable[Parameter], arguments: Mapping[str, Any]) -> None:
    """Raise `PayloadError` where something in ``arguments`` should be base64, and is none."""
    Base64(parameters, lambda _, data: data).decode(dict(arguments))


class _Reader(Protocol):
    """What reads base64 inside the value at ``path``."""

    def read(self, value: object, path: str, make: Make) -> object: ...


class _Text:
    def __init__(self, kind: Kind) -> None:
        self._kind = kind

    def read(self, value: object, path: str, make: Make) -> object:
        if not isinstance(value, str):
            raise PayloadError(mismatch(path, "a string of base64", value))
        try:
            data = base64.b64decode(value, validate=True)
        except ValueError:
            raise PayloadError(f"{path}: not base64: {_fault(value)}") from None
        # Python 3.11 does not mind padding behind a group that is complete.
        if len(value) % 4 or value.endswith("==="):
            raise PayloadError(f"{path}: not base64: {_fault(value)}")
        return make(self._kind, data)


class _Optional:
    def __init__(self, inner: _Reader) -> None:
        self._inner = inner

    def read(self, value: object, path: str, make: Make) -> object:
        return None if value is None else self._inner.read(value, path, make)


class _List:
    def __init__(self, item: _Reader) -> None:
        self._item = item

    def read(self, value: object, path: str, make: Make) -> object:
        if not isinstance(value, list):
            return value  # left to the check of types
        return [self._item.read(item, f"{path}[{index}]", make) for index, item in enumerate(value)]


class _Dict:
    def __init__(self, item: _Reader) -> None:
        self._item = item

    def read(self, value: object, path: str, make: Make) -> object:
        if not isinstance(value, dict):
            return value
        return {key: self._item.read(item, f"{path}.{shorten(key)}", make) for key, item in value.items()}


def _reader_of(parameter: Parameter) -> _Reader | None:
    try:
        reader = _compiled(parameter.annotation)
    except Exception:  # noqa: BLE001  the author's objects
        return None
    return _Optional(reader) if reader is not None and parameter.default is None else reader


def _compiled(annotation: Any, open_aliases: tuple[object, ...] = ()) -> _Reader | None:
    """What reads values of ``annotation``: None where there is no base64 in them, or no telling it from text.

    ``open_aliases`` are being expanded: a recursive one holds none where it recurs.
    """
    annotation = plain_type(annotation)
    if hasattr(annotation, "__value__"):  # `type X = ...` of Python 3.12
        if annotation in open_aliases:
            return None
        return _compiled(annotation.__value__, (*open_aliases, annotation))
    kind = kind_of(annotation)
    if kind is not None:
        return _Text(kind)
    inner = without_none(annotation)
    if inner is not annotation:
        reader = _compiled(inner, open_aliases)
        return None if reader is None else _Optional(reader)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        reader = _compiled(arguments[0], open_aliases)
        return None if reader is None else _List(reader)
    if origin is dict:
        reader = _compiled(arguments[1], open_aliases)
        return None if reader is None else _Dict(reader)
    return None


def _fault(text: str) -> str:
    if text.startswith("data:"):
        return "of a data URL, only what follows the comma"
    strange = STRANGE.search(text.rstrip("="))
    if strange is not None:
        return f"character {strange.start() + 1} is {shown(strange[0])}"
    return f"{len(text)} characters, with padding, are no multiple of 4" if len(text) % 4 else "wrong padding"
