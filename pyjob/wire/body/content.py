"""What a body means, by its content type: JSON, a form, or one file (SPEC 4.3, 4.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyjob.errors import PayloadError
from pyjob.method.binary import Base64, binary_of
from pyjob.method.signature import Parameter
from pyjob.wire.body.form import Form
from pyjob.wire.body.payload import JSON_TYPE, decode_value, media_type, not_an_object, read_body
from pyjob.wire.body.spool import Spool
from pyjob.wire.body.upload import Uploaded, made_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
# What is said to those who send a file and say that it is something else, or nothing.
BY_ITSELF = "a file by itself needs a header such as Content-Type: application/octet-stream"


class Content:
    """Reads the bodies that are sent to a method with these ``parameters``."""

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self._base64 = Base64(parameters, made_of)
        self._form = Form(parameters)
        binaries = {p.name: binary for p in parameters if (binary := binary_of(p)) is not None}
        single = [(name, binary.kind) for name, binary in binaries.items() if not binary.is_list]
        # The parameter that a body of any other content type is the value of.
        self._whole = single[0] if len(single) == len(binaries) == 1 else None
        self._takes_files = bool(binaries)
        self._decodes = bool(self._base64)

    def read_arguments(self, environ: WSGIEnvironment, most: int) -> dict[str, Any]:
        """The arguments in a body of at most ``most`` bytes; an `Uploaded` where some are open files.

        Raises `PayloadError`: 400 where it means none, 413 where it is too long, 415 where it is of a content
        type that the method does not take.
        """
        value = self.read(environ, most)
        if not isinstance(value, dict):
            raise not_an_object(value)
        return value

    def read(self, environ: WSGIEnvironment, most: int) -> Any:
        """As `read_arguments`, but for a body that may be any JSON value; an empty one means ``{}``."""
        content_type = environ.get("CONTENT_TYPE")
        if content_type and content_type != JSON:
            return self._read_other(environ, content_type, most)
        try:
            return self._json(read_body(environ, most))
        except PayloadError as error:
            if content_type or self._whole is None or error.status != 400:
                raise
            raise PayloadError(f"{error.message}; {BY_ITSELF}") from None

    def _json(self, body: bytes) -> Any:
        if not body:
            return {}
        value = decode_value(body)
        if self._decodes and isinstance(value, dict):
            self._base64.decode(value)
        return value

    def _read_other(self, environ: WSGIEnvironment, content_type: str, most: int) -> Any:
        kind = media_type(content_type)
        if JSON_TYPE.match(kind):
            return self._json(read_body(environ, most))
        if kind == MULTIPART:
            return self._form.read_multipart(Spool(environ, most), content_type)
        # wsgiref says text/plain where the caller said nothing.
        unsaid = kind == "text/plain" and str(environ.get("SERVER_SOFTWARE")).startswith("WSGIServer/")
        if self._whole is not None and kind != FORM:
            return self._read_whole(Spool(environ, most), content_type, unsaid=unsaid)
        body = read_body(environ, most)
        # `curl -d` announces a form whatever it sends; an object starts as nothing else does.
        if not body or ((kind == FORM or unsaid) and body.lstrip()[:1] == b"{"):
            return self._json(body)
        if kind != FORM:
            raise self._unsupported(kind)
        try:
            arguments = self._form.read_urlencoded(body)
        except PayloadError as error:
            if self._whole is None:
                raise
            raise PayloadError(f"{error.message}; {BY_ITSELF}", status=error.status) from None
        if self._whole is not None and not self._form.knows_any(arguments):
            # What curl says of any body, and this one names no argument.
            raise PayloadError(f"the body is announced as a form, and names no argument; {BY_ITSELF}")
        return arguments

    def _read_whole(self, spool: Spool, content_type: str, *, unsaid: bool) -> Any:
        arguments = Uploaded(spool)
        try:
            if unsaid and (not spool.length or spool.read(range(100)).lstrip()[:1] == b"{"):
                value = self._json(spool.read(range(spool.length)))
                arguments.close()
                return value
            if self._whole is not None:
                name, kind = self._whole
                arguments[name] = arguments.open_whole(kind, content_type)
        except BaseException:
            arguments.close()
            raise
        return arguments.settled()

    def _unsupported(self, kind: str) -> PayloadError:
        files = f"{MULTIPART}, which may hold its files, or " if self._takes_files else ""
        message = f"content type {kind[:100]!r} is not supported: send {files}JSON with the header"
        return PayloadError(f"{message} Content-Type: {JSON}", status=415)
