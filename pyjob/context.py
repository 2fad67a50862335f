"""The request being served, as a job sees it (SPEC 1.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from werkzeug.datastructures import EnvironHeaders, MultiDict
from werkzeug.wsgi import get_path_info

from pyjob.trace import CURRENT, NONE, TraceHeaders, passed_on

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

logger = logging.getLogger(__name__)


class RequestContext:
    """One request: ``headers``, ``method``, ``path``, ``args`` (of the query), ``remote_addr``.

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
        """The arguments of the query string."""
        query = str(self.environ.get("QUERY_STRING", "")).encode("latin-1").decode("utf-8", "replace")
        return MultiDict(parse_qsl(query, keep_blank_values=True))

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
