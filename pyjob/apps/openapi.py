"""The room of `/openapi.json` (SPEC 4.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pyjob.routing.links import PREFIX, quoted
from pyjob.wire.compression import compressed
from pyjob.wire.response import bytes_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class OpenApiRoom:
    """Serves ``document`` with `servers` as the caller reached it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        # Encoded once, and left open for the one member that depends on the request.
        self._open = json.dumps(document).encode().removesuffix(b"}")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        servers = json.dumps([{"url": quoted(environ[PREFIX]) or "/"}]).encode()
        body = b'%s, "servers": %s}' % (self._open, servers)
        answer = compressed(bytes_response(200, "application/json", body), environ)
        return answer(environ, start_response)
