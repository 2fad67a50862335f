"""The request being served, as a job sees it (SPEC 1.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import SplitResult, parse_qsl, quote

from werkzeug.datastructures import EnvironHeaders, MultiDict
from werkzeug.sansio.http import parse_cookie
from werkzeug.wsgi import get_path_info

from pyjob.trace import CURRENT, NONE, TraceHeaders, passed_on

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger(__name__)


# What may stand in a path as it is (RFC 3986, 3.3).
IN_PATH = "/:@!$&'()*+,;=~-._"


class Url(SplitResult):
    """A URL by its parts: ``scheme``, ``hostname``, ``port``, ``path``, ``query``; `str` is the whole."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.geturl()


class Address(NamedTuple):
    """Where a client is."""

    host: str
    port: int


class QueryParams(Mapping[str, str]):
    """The query as a mapping: of a name that stands there several times, the last value.

    `getlist` has all of one, `multi_items` has everything, in order.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def getlist(self, name: str) -> list[str]:
        """All values of ``name``."""
        return [value for key, value in self._pairs if key == name]

    def multi_items(self) -> list[tuple[str, str]]:
        """All names with all their values."""
        return self._pairs.copy()


class RequestContext:
    """One request: ``headers``, ``method``, ``path``, ``args`` (of the query), ``remote_addr``.

    ``url``, ``query_params``, ``cookies`` and ``client`` are what jobs know from Starlette's requests.
    ``tracing_id`` and ``caller_name`` are those of the log, and `trace_headers` passes them on. Everything is
    read from the WSGI environ when asked for, since most jobs never ask. ``holds_slot`` tells whether it is a
    call that runs; a page of the web view is none.
    """

    __slots__ = ("_names", "_trace", "environ", "holds_slot")

    def __init__(self, environ: WSGIEnvironment, holds_slot: Callable[[], bool], names: TraceHeaders) -> None:
        self.environ = environ
        self.holds_slot = holds_slot
        self._trace = CURRENT.get() or NONE
        self._names = names

    @property
    def headers(self) -> EnvironHeaders:
        """The request headers; names in any case."""
        return EnvironHeaders(self.environ)

    @property
    def method(self) -> str:
        """The HTTP method."""
        return str(self.environ.get("REQUEST_METHOD", "GET"))

    @property
    def path(self) -> str:
        """The decoded path, below where the application is mounted."""
        return get_path_info(self.environ)

    @property
    def args(self) -> MultiDict[str, str]:
        """The arguments of the query string; of one that is there several times, the first value."""
        return MultiDict(self._query())

    @property
    def query_params(self) -> QueryParams:
        """The same; of one that is there several times, the last value."""
        return QueryParams(self._query())

    @property
    def url(self) -> Url:
        """The URL that the client asked for, as far as the server knows it, its path percent-encoded.

        Scheme and host are the client's word, unless a proxy in front checks them.
        """
        environ = self.environ
        server = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
        host = str(environ.get("HTTP_HOST") or server)
        # WSGI has each byte of the path as a character (PEP 3333).
        path = f"{environ.get('SCRIPT_NAME', '')}{environ.get('PATH_INFO', '')}".encode("latin-1")
        scheme = str(environ.get("wsgi.url_scheme", "http"))
        return Url(scheme, host, quote(path, safe=IN_PATH) or "/", str(environ.get("QUERY_STRING", "")), "")

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the request; of a name that is there several times, the last one."""
        sent = str(self.environ.get("HTTP_COOKIE", "")).encode("latin-1").decode("utf-8", "replace")
        return dict(parse_cookie(sent).items(multi=True))

    @property
    def client(self) -> Address | None:
        """The client's address and port, as the server knows them; None where it is no network's."""
        host, port = self.environ.get("REMOTE_ADDR"), str(self.environ.get("REMOTE_PORT", ""))
        return Address(host, int(port) if port.isdecimal() else 0) if host else None

    @property
    def remote_addr(self) -> str | None:
        """The client's address, as the server knows it."""
        return self.environ.get("REMOTE_ADDR")

    @property
    def tracing_id(self) -> str:
        """The id of the request in log, answer and metrics: the caller's own, or a new one."""
        return self._trace.tracing_id

    @property
    def caller_name(self) -> str:
        """Who the request is from; empty where nobody says."""
        return self._trace.caller

    @property
    def trace_headers(self) -> dict[str, str]:
        """Headers for requests that the job makes in turn: tracing id and caller, W3C's trace context."""
        return passed_on(self._trace, self.environ, self._names)

    def _query(self) -> list[tuple[str, str]]:
        query = str(self.environ.get("QUERY_STRING", "")).encode("latin-1").decode("utf-8", "replace")
        return parse_qsl(query, keep_blank_values=True)


class JobContext:
    """The two context variables of one job; each application has its own, so that jobs never mix.

    ``names`` are the headers by which requests are traced.
    """

    def __init__(self, names: TraceHeaders) -> None:
        self._names = names
        self.request: ContextVar[RequestContext] = ContextVar("request_context")
        self.extra: ContextVar[dict[str, Any]] = ContextVar("request_extra")

    def is_serving(self) -> bool:
        """Whether the code that asks runs inside a call of this job."""
        request = self.request.get(None)
        # Threads of the job may have kept the context of a call that is over.
        return request is not None and request.holds_slot()

    def serving(self, environ: WSGIEnvironment, holds_slot: Callable[[], bool]) -> Serving:
        """A context manager: the request of ``environ`` is the current one, and has a dict of its own."""
        return Serving(self, RequestContext(environ, holds_slot, self._names))

    def attach(self, instance: object) -> None:
        """Set ``request_context`` and ``request_extra`` on the job's instance, if it lets us."""
        for name, variable in (("request_context", self.request), ("request_extra", self.extra)):
            try:
                setattr(instance, name, variable)
            except Exception:  # noqa: BLE001  __slots__, frozen, pydantic: each refuses in its own way
                logger.debug("%s takes no attribute %s", type(instance).__name__, name)


class Serving:
    """A class, since a generator would cost each call more."""

    __slots__ = ("_context", "_extra", "_request", "_served")

    def __init__(self, context: JobContext, served: RequestContext) -> None:
        self._context = context
        self._served = served

    def __enter__(self) -> None:
        self._request: Token[RequestContext] = self._context.request.set(self._served)
        self._extra: Token[dict[str, Any]] = self._context.extra.set({})

    def __exit__(self, *_: object) -> None:
        # Threads of a pool keep their context, so it is put back, not left.
        self._context.extra.reset(self._extra)
        self._context.request.reset(self._request)
