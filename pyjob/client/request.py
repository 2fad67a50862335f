"""A request as it is sent: where to, its headers, its body."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote_to_bytes, urlencode, urlsplit

from pyjob.client.body import NO_BODY, Body, RequestError, json_of
from pyjob.errors import one_line

USUAL_PORTS = MappingProxyType({"http": 80, "https": 443})
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# RFC 3986, 3.3 and 3.4: what stands for itself in a path, in a query.
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?"


@dataclass(frozen=True)
class Address:
    """Where a server is, and the path below which everything is asked for."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parsed(cls, url: str) -> Address:
        """That of ``url``. Raises `RequestError`, which never shows credentials."""
        if not isinstance(url, str):
            raise RequestError(f"expected a URL, found {type(url).__name__}")
        if "@" in url.partition("?")[0]:
            raise RequestError("the URL holds credentials: give the token apart from it")
        if "?" in url or "#" in url:
            raise RequestError("the URL has a query or a fragment: give it up to its path")
        shown = one_line(url[:200])
        if _CONTROL.search(url) or not url.isascii() or " " in url or "\\" in url:
            raise RequestError(f"characters that no URL has: {shown!r}")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise RequestError(f"not a URL: {shown!r}: {error}") from None
        if parts.scheme not in USUAL_PORTS or not parts.hostname or port == 0:
            raise RequestError(f"expected http://HOST or https://HOST, found {shown!r}")
        path = _quoted_path(parts.path.rstrip("/"))
        return cls(parts.scheme, parts.hostname, port or USUAL_PORTS[parts.scheme], path)

    @property
    def authority(self) -> str:
        """Host and port, as the header `Host` has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == USUAL_PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True)
class Request:
    """One request: ``target`` is path and query, ``headers`` everything but Host and what the body says."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = NO_BODY

    def __post_init__(self) -> None:
        if not _TOKEN.match(self.method):
            raise RequestError(f"not a method of HTTP: {one_line(self.method[:60])!r}")
        for name, value in self.headers.items():
            if not isinstance(name, str) or not _TOKEN.match(name):
                raise RequestError(f"not the name of a header: {one_line(str(name)[:60])!r}")
            if not isinstance(value, str) or not _VALUE.match(value):
                # It may be a token, so it is not shown.
                raise RequestError(f"header {name}: expected one line of Latin-1")

    def sent_headers(self, host: str) -> list[tuple[str, str]]:
        """All of them, in the order in which they are sent."""
        named = {name.lower() for name in self.headers}
        lines = [("Host", host), *self.headers.items()]
        if "accept-encoding" not in named:
            lines.append(("Accept-Encoding", "identity"))
        if self.body.content_type and "content-type" not in named:
            lines.append(("Content-Type", self.body.content_type))
        if self.body.length is None:
            lines.append(("Transfer-Encoding", "chunked"))
        elif self.body is not NO_BODY or self.method in ("POST", "PUT", "PATCH"):
            lines.append(("Content-Length", str(self.body.length)))
        return lines


def joined(prefix: str, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
    """The target of ``path`` below ``prefix``, quoted where it is not yet, with ``query`` added to its own.

    A missing first slash is added. Raises `RequestError` for control characters and for `.` and `..`.
    """
    if not isinstance(path, str):
        raise RequestError(f"path: expected text, found {type(path).__name__}")
    if _CONTROL.search(path):
        raise RequestError(f"path: control characters in {one_line(path[:200])!r}")
    place, mark, rest = path.partition("?")
    target = prefix + _quoted_path(place if place.startswith("/") else f"/{place}")
    texts = [_escaped(rest, _QUERY_SAFE)] if mark and rest else []
    texts += [added] if (added := urlencode(list(query))) else []
    return f"{target}?{'&'.join(texts)}" if texts else target


def segment(text: str, what: str) -> str:
    """``text`` as one part of a path. Raises `RequestError` that names ``what`` it is."""
    if not isinstance(text, str) or not text or text in (".", "..") or _CONTROL.search(text):
        raise RequestError(f"{what}: expected a name, found {one_line(repr(text)[:100])}")
    return quote(text, safe="")


def queried(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """``arguments`` for a query: text as it is, anything else as JSON. Raises `RequestError`."""
    return [
        (str(name), value if isinstance(value, str) else json_of(value, str(name)).decode())
        for name, value in arguments.items()
    ]


def _quoted_path(path: str) -> str:
    if any(unquote_to_bytes(part) in (b".", b"..") for part in path.split("/")):
        raise RequestError(f"path: '.' or '..' in {one_line(path[:200])!r}")
    return _escaped(path, _PATH_SAFE)


def _escaped(text: str, safe: str) -> str:
    return quote(_ESCAPE.sub("%25", text), safe=safe)
