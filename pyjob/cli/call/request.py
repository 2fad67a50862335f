"""What is sent: items, `--json` or a sample as the request that they make together."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from pyjob.cli.call.answers.progress import Upload
from pyjob.cli.call.example import Example
from pyjob.cli.call.items import OF_FILES, STDIN, Item, Kind, UsageError, value_of
from pyjob.errors import PyjobError
from pyjob.manifest.file import shown
from pyjob.wire.results.formats import JSON, LINES

# A stream comes by lines of JSON, so that each can be shown at once; anything else as the server likes.
ACCEPT = f"{LINES}, {JSON};q=0.9, */*;q=0.5"
TOKEN_VARIABLE = "PYJOB_TOKEN"  # nosec B105 # the name of a variable
_TOKEN = re.compile(r"[!-~]+")
LONGEST_TOKEN = 8192


class SourceError(PyjobError):
    """What is to be sent cannot be read."""


@dataclass(frozen=True)
class Request:
    """A request that can be sent: ``body`` is JSON as it stands, ``arguments`` are for a form with files.

    ``query`` is quoted. Neither of the two: the endpoint gets no arguments.
    """

    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    arguments: dict[str, Any] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing would be lost if it had no body."""
        return self.body is None and self.arguments is None

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def close(self) -> None:
        """Close its files: it has been sent."""
        for value in (self.arguments or {}).values():
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, Upload):
                    one.close()

    def following(self, example: Example) -> Request:
        """The sample, with what is given already in place of what it has."""
        query = "&".join(filter(None, (self.query, urlencode(example.query))))
        if example.arguments is None:
            return replace(self, path=example.path, query=query)
        if self.is_empty:
            return replace(self, path=example.path, query=query, body=_json(example.arguments))
        if not isinstance(example.arguments, dict):
            raise UsageError("the sample is no object, so that no items can be put in place of its own")
        given = self.arguments if self.arguments is not None else json.loads(self.body or b"{}")
        arguments = {**example.arguments, **given}
        if self.arguments is not None:
            return replace(self, path=example.path, query=query, arguments=arguments)
        return replace(self, path=example.path, query=query, body=_json(arguments))


def request_of(path: str, query: str, items: Sequence[Item], whole: str | None) -> Request:
    """The request of ``items``, or with ``whole`` as its body: text of JSON, ``@FILE``, or ``-`` for stdin.

    Raises `UsageError` and `SourceError`.
    """
    headers = {"Accept": ACCEPT}
    pairs = [(item.name, item.value) for item in items if item.kind is Kind.QUERY]
    query = "&".join(filter(None, (query, urlencode(pairs))))
    for item in items:
        if item.kind is Kind.HEADER:
            headers = {name: text for name, text in headers.items() if name.lower() != item.name.lower()}
            headers[item.name] = item.value
    inside = [item for item in items if item.is_in_body]
    if whole is not None:
        if inside:
            raise UsageError(f"--json is the whole body: {inside[0].shown} cannot go beside it")
        return Request(path, query, headers, body=_whole(whole))
    if any(item.kind is Kind.FILE for item in inside):
        return Request(path, query, headers, arguments=_arguments(inside))
    return Request(path, query, headers, body=_json(_arguments(inside)) if inside else None)


def token_of(file: Path | None, environ_token: str | None) -> str | None:
    """The token in ``file``, else that of the environment; no error repeats it. Raises `SourceError`."""
    if file is None:
        text, source = environ_token, TOKEN_VARIABLE
    else:
        with _opened(file) as stream:
            text, source = stream.read(LONGEST_TOKEN + 1).decode("latin-1").strip(), shown(file)
    if text is None or (not text and file is None):
        return None
    if not _TOKEN.fullmatch(text) or len(text) > LONGEST_TOKEN:
        raise SourceError(f"{source}: expected a token and nothing else, in printable ASCII without blanks")
    return text


def _arguments(items: Iterable[Item]) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for item in items:
        if item.kind is Kind.FILE:
            file = _upload(item)
            if item.name in arguments:
                others = arguments[item.name]
                arguments[item.name] = [*(others if isinstance(others, list) else [others]), file]
            else:
                arguments[item.name] = file
        else:
            arguments[item.name] = value_of(item, _text(item))
    return arguments


def _upload(item: Item) -> Upload:
    # Opened here, so that what is wrong with it is told before anything is sent.
    if item.reads_stdin:
        return Upload(_stdin(), "stdin", sys.stderr)
    file = Path(item.value)
    return Upload(_opened(file), file.name, sys.stderr)


def _text(item: Item) -> str:
    if item.kind not in OF_FILES:
        return item.value
    data = _read(item.value)
    try:
        return data.decode("utf-8-sig" if item.kind is Kind.JSON_FILE else "utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{item.shown}: expected a file in UTF-8 (byte {error.start} is wrong)") from None


def _whole(text: str) -> bytes:
    if text == STDIN:
        return _stdin().read()
    if text.startswith("@"):
        return _read(text.removeprefix("@"))
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise UsageError("--json: expected UTF-8") from None


def _read(name: str) -> bytes:
    if name == STDIN:
        return _stdin().read()
    file = Path(name)
    with _opened(file) as stream:
        return stream.read()


def _opened(file: Path) -> IO[bytes]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise SourceError(f"{shown(file)} cannot be read: {error.strerror}") from None
    return stream


def _stdin() -> IO[bytes]:
    if sys.stdin is None:
        raise SourceError("standard input is closed")
    return sys.stdin.buffer


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
