"""What a trusted proxy says of a request, looked at before waitress reads it (SPEC 9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyjob.application.reception import Reception
from pyjob.logs.access import WHY
from pyjob.wire.response import error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# What waitress is to believe; all others of their kind it takes away.
BELIEVED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host")
FOR = "HTTP_X_FORWARDED_FOR"
# An address with or without a port, or a word that stands for one ("unix:", "unknown").
ADDRESS = re.compile(r"\[([\w.:%-]{1,100})\](?::\d{1,5})?|((?!:(?!:))[\w.:%-]{1,100})", re.ASCII)
HOST = re.compile(r"(?:[\w.~-]{1,255}|\[[0-9A-Fa-f:.]{2,50}\])(?::\d{1,5})?", re.ASCII)
SCHEME = re.compile(r"https?", re.IGNORECASE)
RULES: Mapping[str, tuple[str, re.Pattern[str]]] = MappingProxyType(
    {
        FOR: ("X-Forwarded-For", ADDRESS),
        "HTTP_X_FORWARDED_PROTO": ("X-Forwarded-Proto", SCHEME),
        "HTTP_X_FORWARDED_HOST": ("X-Forwarded-Host", HOST),
    }
)


class CheckedProxy:
    """Stands before waitress's own reader of these headers in ``application``, which fails at some of them.

    Of each header of the ``proxy`` it leaves the last entry: those before it may be the client's. What makes
    no sense is a 400 of ``reception``.
    """

    def __init__(self, application: WSGIApplication, reception: Reception, proxy: str) -> None:
        self._application = application
        self._reception = reception
        self._proxy = proxy

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REMOTE_ADDR"] == self._proxy:
            for key, (header, pattern) in RULES.items():
                value: str = environ.get(key, "")
                if not value:
                    continue
                found = pattern.fullmatch(value.rpartition(",")[2].strip())
                if found is None:
                    environ[WHY] = message = f"the header {header} cannot be read"
                    answer = error_response(400, message)
                    return self._reception.receive(answer, environ, start_response)
                environ[key] = _unambiguous(found) if key == FOR else found[0]
        return self._application(environ, start_response)


def _unambiguous(address: re.Match[str]) -> str:
    """An address of `ADDRESS`; of IPv6 in brackets and without a port, as waitress expects it."""
    inner, plain = address.groups()
    if inner is None and plain.count(":") < 2:
        return str(plain)
    return f"[{inner or plain}]"
