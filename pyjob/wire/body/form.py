"""Forms: named fields of text, and files, as arguments of a method (SPEC 4.8)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from pyjob.errors import PayloadError
from pyjob.method.annotations import shorten
from pyjob.method.binary import Base64, Binary, Kind, binary_of
from pyjob.method.conversion import converter_of, json_or_text
from pyjob.method.signature import NOTHING, Parameter
from pyjob.wire.body.multipart import Part, boundary_of, parts_of
from pyjob.wire.body.payload import JSON_TYPE, decode_value, media_type
from pyjob.wire.body.spool import PIECE, Spool
from pyjob.wire.body.upload import Uploaded, made_of

MOST_FIELDS = 1000

# What a parameter gets of a file that says nothing of it.
ANY_FILE = Binary(Kind.STORAGE)


class Form:
    """Reads forms for a method with these ``parameters``; none may come twice, but in a list of files."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._parameters = {parameter.name: parameter for parameter in parameters}
        texts = [one for one in self._parameters.values() if binary_of(one) is None]
        # Inside the JSON of a field; what is a file by itself is sent as one.
        self._base64 = Base64(texts, made_of)
        self._converters = {name: converter_of(one) for name, one in self._parameters.items()}
        self._binaries = {name: binary_of(one) for name, one in self._parameters.items()}

    def read_multipart(self, spool: Spool, content_type: str) -> dict[str, Any]:
        """The arguments in a `multipart/form-data` body. Raises `PayloadError` that names the part."""
        arguments = Uploaded(spool)
        try:
            if spool.length:
                for part in parts_of(spool, boundary_of(content_type)):
                    self._add(part, arguments)
            self._base64.decode(arguments)
        except BaseException:
            arguments.close()
            raise
        return arguments.settled()

    def knows_any(self, arguments: Iterable[str]) -> bool:
        """Whether the method has a parameter of any of these names."""
        return any(name in self._parameters for name in arguments)

    def read_urlencoded(self, body: bytes) -> dict[str, Any]:
        """The arguments in an `application/x-www-form-urlencoded` body. Raises `PayloadError`."""
        if body.count(b"&") >= MOST_FIELDS:
            raise PayloadError(f"the form has more than {MOST_FIELDS} fields", status=413)
        arguments: dict[str, Any] = {}
        for field in filter(None, body.split(b"&")):
            name, text = map(_unquoted, field.partition(b"=")[::2])
            if name in arguments:
                raise repeated([name])
            if self._binaries.get(name) is not None:
                raise PayloadError(f"{shorten(name)}: expected a file, got text: send multipart/form-data")
            arguments[name] = self._converters.get(name, json_or_text)(text)
        self._base64.decode(arguments)
        return arguments

    def _add(self, part: Part, arguments: Uploaded) -> None:
        name = part.name
        if part.filename == "" and not part.span:
            return  # what a browser sends where no file was chosen
        binary = self._binaries.get(name)
        if name in arguments and not (binary is not None and binary.is_list):
            raise repeated([name])
        if binary is None:
            arguments[name] = self._value(part, arguments)
            return
        if part.filename is None:
            raise PayloadError(f"{part.shown}: expected a file, got text: curl takes one by -F NAME=@FILE")
        value = arguments.open_part(binary.kind, part)
        if binary.is_list:
            arguments.setdefault(name, []).append(value)
        else:
            arguments[name] = value

    def _value(self, part: Part, arguments: Uploaded) -> object:
        """What a part means to a parameter that does not ask for a file."""
        parameter = self._parameters.get(part.name)
        if part.filename is not None and (parameter is None or _takes_anything(parameter)):
            return arguments.open_part(ANY_FILE.kind, part)
        # Browsers give a file name to whatever they send with a content type.
        if JSON_TYPE.match(media_type(part.headers.get("Content-Type", ""))):
            try:
                return decode_value(arguments.read(part.span))
            except PayloadError as error:
                raise PayloadError(f"{part.shown}: {error.message}") from None
        if part.filename is not None and parameter is not None:
            check = parameter.check()
            expected = "text" if check is None else check.expected
            file = json.dumps(shorten(part.filename), ensure_ascii=False)
            raise PayloadError(f"{part.shown}: expected {expected}, got the file {file}")
        try:
            text = arguments.read(part.span).decode("utf-8")
        except UnicodeDecodeError:
            raise PayloadError(f"{part.shown}: not valid UTF-8") from None
        return self._converters.get(part.name, json_or_text)(text)


def _unquoted(text: bytes) -> str:
    """``text`` as a form in URL encoding means it. Piece by piece: Python makes an object of each escape."""
    whole = bytearray()
    at = 0
    while at < len(text):
        end = at + PIECE
        escape = text.find(b"%", end - 2, end)  # which would be cut in two
        end = end if escape < 0 else escape
        whole += unquote_to_bytes(text[at:end].replace(b"+", b" "))
        at = end
    try:
        return whole.decode()
    except UnicodeDecodeError:
        raise PayloadError("the form is not valid UTF-8") from None


def _takes_anything(parameter: Parameter) -> bool:
    # A text is an annotation that could not be resolved.
    return isinstance(parameter.annotation, str) or any(
        parameter.annotation is one for one in (NOTHING, Any, object)
    )


def repeated(names: list[str]) -> PayloadError:
    """What is said of arguments that come twice."""
    plural = "s" if len(names) > 1 else ""
    return PayloadError(f"repeated argument{plural}: {', '.join(name[:60] for name in names[:10])}")
