"""The room of `/openapi.json` (SPEC 4.1)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyjob.access.decision import Verdict, judge
from pyjob.openapi.security import with_open
from pyjob.routing.links import PREFIX, quoted
from pyjob.wire.compression import compressed
from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class OpenApiRoom:
    """Serves ``document`` with `servers` as the caller reached it.

    Where it tells of tokens, ``open_paths`` are the canonical paths that need none now.
    """

    def __init__(
        self, document: Mapping[str, Any], open_paths: Callable[[], frozenset[str]] | None = None
    ) -> None:
        self._document = document
        self._open_paths = open_paths
        # What is open, and the document that says so: one value, since threads change it.
        self._latest = self._encoded(None if open_paths is None else open_paths())

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        of, encoded = self._latest
        if self._open_paths is not None:
            open_paths = self._open_paths()
            if open_paths != of:
                self._latest = _, encoded = self._encoded(open_paths)
        servers = json.dumps([{"url": quoted(environ[PREFIX]) or "/"}]).encode()
        body = b'%s, "servers": %s}' % (encoded, servers)
        answer = compressed(bytes_response(200, "application/json", body), environ)
        return answer(environ, start_response)

    def _encoded(self, open_paths: frozenset[str] | None) -> tuple[frozenset[str] | None, bytes]:
        """The document, left open for the one member that depends on the request."""
        document = self._document
        if open_paths is not None:
            document = with_open(document, lambda path: judge(path, "GET", None, open_paths) is Verdict.OPEN)
        return open_paths, json.dumps(document).encode().removesuffix(b"}")
