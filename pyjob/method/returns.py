"""What a method returns that is sent as it is, not as JSON: its annotation, and its classes (SPEC 4.5, 4.8).

Figures of matplotlib and pictures of Pillow are known by the names of their classes: nothing is imported.
"""

from __future__ import annotations

import dataclasses
import enum
import io
import pathlib
import re
import types
import typing
from collections import abc
from typing import Any, Literal

from pyjob.method.annotations import plain_type
from pyjob.method.binary import kind_of

Picture = Literal["figure", "image"]

# The top-level types that are registered (RFC 6838, 4.2).
TOP_LEVEL = frozenset(
    (
        *("application", "audio", "example", "font", "haptics", "image"),
        *("message", "model", "multipart", "text", "video"),
    )
)
WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
MEDIA_TYPE = re.compile(
    rf"([A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*)/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
    rf"(?:[ \t]*;[ \t]*{WORD}=(?:{WORD}|\"[\x20\x21\x23-\x5b\x5d-\x7e]*\"))*\Z"
)
# What stands for a picture: the module and the name of a class that it is, or is derived from.
PICTURES: abc.Mapping[tuple[str, str], Picture] = types.MappingProxyType(
    {("matplotlib.figure", "Figure"): "figure", ("PIL.Image", "Image"): "image"}
)
UNKNOWN = "application/octet-stream"
PICTURE_NAMES = frozenset(name for _, name in PICTURES)
TEXT_FILES = (typing.TextIO, typing.IO[str])
OPAQUE = (bytes, bytearray, memoryview)
# A class that has one of these says itself how it is JSON.
JSON_METHODS = ("__json__", "__to_json__", "model_dump")


def is_media_type(text: str) -> bool:
    """Whether ``text`` is a type and a subtype, perhaps with parameters, the type a registered one."""
    found = MEDIA_TYPE.match(text)
    return found is not None and found[1].lower() in TOP_LEVEL


def declared_type(annotation: Any) -> str | None:
    """The media type that a return annotation names, as in ``Annotated[bytes, "image/png"]``, if any."""
    try:
        return _declared(annotation)
    except Exception:  # noqa: BLE001  the author's objects, and aliases that hold themselves
        return None


def _declared(annotation: Any) -> str | None:
    if hasattr(annotation, "__value__"):  # `type X = ...` of Python 3.12
        return _declared(annotation.__value__)
    if isinstance(annotation, typing.NewType):
        return _declared(annotation.__supertype__)
    if typing.get_origin(annotation) is typing.Annotated:
        named = (one for one in annotation.__metadata__ if isinstance(one, str) and is_media_type(one))
        return next(named, None) or _declared(annotation.__origin__)
    found = {_declared(member) for member in members_of(annotation)} - {None}
    return found.pop() if len(found) == 1 else None


def members_of(annotation: Any) -> tuple[Any, ...]:
    """The members of a union; nothing of anything else."""
    try:
        annotation = _plain(annotation)
    except Exception:  # noqa: BLE001  the author's objects, and aliases that hold themselves
        return ()
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if is_union else ()


def picture_of(cls: type) -> Picture | None:
    """Which kind of picture the objects of ``cls`` are, if any."""
    for one in cls.__mro__:
        if one.__name__ in PICTURE_NAMES and (kind := PICTURES.get((str(one.__module__), one.__name__))):
            return kind
    return None


def is_file(value: object) -> bool:
    """Whether ``value`` is a file object: one that can be read, and that has no form in JSON."""
    if not _can_read(value) or isinstance(value, type):
        return False
    return isinstance(value, io.IOBase) or not _has_json(type(value))


def is_body(value: object) -> bool:
    """Whether ``value`` is something that is sent as it is, under a content type that somebody names."""
    return isinstance(value, (*OPAQUE, str, pathlib.PurePath)) or is_file(value) or is_picture(value)


def is_picture(value: object) -> bool:
    """Whether ``value`` is drawn."""
    return picture_of(type(value)) is not None


def type_by_annotation(annotation: Any, named: str | None) -> str | None:
    """The content type of what is annotated so and sent as it is; None where that is JSON.

    ``named``, if any, is the media type that its endpoint declares; ``*/*`` where only the answer tells.
    """
    try:
        return _type(named, _plain(annotation))
    except Exception:  # noqa: BLE001  the author's objects
        return None


def is_text(annotation: Any) -> bool:
    """Whether what is annotated so is text, and no bytes."""
    try:
        annotation = _plain(annotation)
        if any(annotation == one for one in TEXT_FILES):
            return True
        return isinstance(annotation, type) and issubclass(annotation, (str, io.TextIOBase))
    except Exception:  # noqa: BLE001  the author's objects
        return False


def _type(named: str | None, annotation: Any) -> str | None:
    if kind_of(annotation) is not None:
        return named or UNKNOWN
    if annotation is Any or annotation is object:
        return named
    cls = typing.get_origin(annotation) or annotation
    if not isinstance(cls, type):
        return None
    if named is not None and issubclass(cls, (str, pathlib.PurePath)):
        return named
    if picture_of(cls) is not None:
        return named or "image/png"
    if issubclass(cls, (*OPAQUE, io.IOBase)) or (_can_read(cls) and not _has_json(cls)):
        return named or UNKNOWN
    return "*/*" if any(map(_is_response, cls.__mro__)) else None


def _plain(annotation: Any) -> Any:
    annotation = plain_type(annotation)
    return _plain(annotation.__value__) if hasattr(annotation, "__value__") else annotation


def _is_response(cls: type) -> bool:
    module = str(cls.__module__)
    return cls.__name__ == "Response" and module.partition(".")[0] in ("pyjob", "starlette", "werkzeug")


def _can_read(value: object) -> bool:
    try:
        return callable(getattr(value, "read", None))
    except Exception:  # noqa: BLE001  the author's __getattr__
        return False


def _has_json(cls: type) -> bool:
    if dataclasses.is_dataclass(cls) or any(hasattr(cls, name) for name in JSON_METHODS):
        return True
    return issubclass(cls, (abc.Mapping, abc.Set, abc.Sequence, enum.Enum))
