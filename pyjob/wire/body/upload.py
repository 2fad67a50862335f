"""Files that came with a request, as a method gets them (SPEC 4.8)."""

from __future__ import annotations

import io
from contextlib import suppress
from typing import IO, Any

from werkzeug.datastructures import FileStorage, Headers

from pyjob.method.binary import Kind
from pyjob.wire.body.multipart import Part
from pyjob.wire.body.spool import Spool


class Uploaded(dict[str, Any]):
    """Arguments some of which are files, open as long as the body is: whoever has them closes them."""

    def __init__(self, spool: Spool) -> None:
        super().__init__()
        # How many bytes of the body were read for values that are no files.
        self.in_memory = 0
        self._spool = spool
        self._sections: list[IO[bytes]] = []
        self._has_files = False

    def read(self, part: range) -> bytes:
        """The bytes of a ``part``, for a value in memory."""
        self.in_memory += len(part)
        return self._spool.read(part)

    def open_part(self, kind: Kind, part: Part) -> object:
        """What a method gets of one ``part`` of the body."""
        if kind is Kind.BYTES or kind is Kind.MEMORY:
            return made_of(kind, self.read(part.span))
        self._has_files = True
        file = self._spool.section(part.span)
        self._sections.append(file)
        return file if kind is Kind.FILE else storage_of(file, part.headers, part.name, part.filename)

    def open_whole(self, kind: Kind, content_type: str) -> object:
        """What a method gets of the body as it is, without a copy."""
        if kind is Kind.BYTES or kind is Kind.MEMORY:
            return made_of(kind, self.read(range(self._spool.length)))
        self._has_files = True
        file = self._spool.file
        file.seek(0)  # its beginning may have been looked at
        return file if kind is Kind.FILE else storage_of(file, Headers({"Content-Type": content_type}))

    def settled(self) -> dict[str, Any]:
        """The arguments: a plain dict where nothing has to be closed."""
        if self._has_files and not self._spool.is_in_memory:
            return self
        if not self._has_files:
            self.close()
        return dict(self)

    def close(self) -> None:
        """Close every file, and remove the body unless it is the server's; as often as one likes."""
        for file in self._sections:
            with suppress(Exception):  # the job may have taken it apart
                file.close()
        with suppress(Exception):
            self._spool.close()


def made_of(kind: Kind, data: bytes) -> object:
    """What a method gets of bytes that are in memory."""
    if kind is Kind.BYTES:
        return data
    file = io.BytesIO(data)
    return storage_of(file, Headers()) if kind is Kind.STORAGE else file


def storage_of(
    file: IO[bytes], headers: Headers, name: str | None = None, filename: str | None = None
) -> FileStorage:
    """A FileStorage; werkzeug would ask a ``file`` without ``filename`` for a name, which may be a number."""
    storage = FileStorage(file, filename or "", name, headers=headers)
    storage.filename = filename
    return storage
