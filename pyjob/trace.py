"""Whose request is being served, and by which id it is known everywhere (SPEC 7)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from pyjob.environment.mask import Mask

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

TRACING_HEADER = "X-Request-Tracing-Id"
CALLER_HEADER = "X-Caller-Name"
# What proxies call the same thing.
REQUEST_ID = "X-Request-ID"
# Of an id or a name, so many characters are told: they stand in every line.
LONGEST = 100
# What needs no second look: visible ASCII but for the comma, by which servers join headers of one name.
PLAIN = re.compile(rf"[!-+\--~]{{1,{LONGEST}}}\Z")
# By what these say, an answer is read: no id can stand there.
OF_THE_ANSWER = frozenset(
    (
        *("connection", "content-encoding", "content-length", "content-type", "date", "location"),
        *("set-cookie", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
# https://www.w3.org/TR/trace-context/#traceparent-header; later versions may have more at the end.
_IDS = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
TRACEPARENT = re.compile(rf"(?:00-{_IDS}|(?!00|ff)[0-9a-f]{{2}}-{_IDS}(?:-[!-~]*)?)\Z")
LONGEST_TRACESTATE = 512

# Who a request is from, None where nobody knows.
NameCaller = Callable[[dict[str, Any]], str | None]

logger = logging.getLogger(__name__)


class Trace:
    """One request: its ``tracing_id``, its ``caller`` (empty where unknown), and what its log must not show.

    ``masks`` are those of the job that serves it, and of the jobs in whose requests it is made.
    """

    __slots__ = ("caller", "masks", "tracing_id")

    def __init__(self, tracing_id: str, caller: str, masks: tuple[Mask, ...]) -> None:
        self.tracing_id = tracing_id
        self.caller = caller
        self.masks = masks


# The request that this thread or task serves, whichever application of the process it came to.
CURRENT: ContextVar[Trace | None] = ContextVar("pyjob_trace", default=None)
NONE = Trace("", "", ())


@dataclass(frozen=True)
class TraceHeaders:
    """The names of the headers that carry a request's ``tracing_id`` and its ``caller``."""

    tracing_id: str = TRACING_HEADER
    caller: str = CALLER_HEADER

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> TraceHeaders:
        """As ``REQUEST_TRACING_HEADER`` and ``CALLER_NAME_HEADER`` say; a warning where one is no name."""
        return cls(
            _header_name(environ, "REQUEST_TRACING_HEADER", TRACING_HEADER),
            _header_name(environ, "CALLER_NAME_HEADER", CALLER_HEADER),
        )


@contextmanager
def traced(trace: Trace) -> Iterator[None]:
    """``trace`` is that of everything that is done within."""
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)


class Tracer:
    """Gives the requests of one application their ids and their callers.

    ``name_caller`` names the caller of a WSGI environ (None: nobody) in place of the header. ``headers`` are
    the names of the headers, ``answer_names`` those under which the id goes out.
    """

    def __init__(
        self,
        headers: TraceHeaders,
        mask: Mask,
        name_caller: NameCaller | None = None,
    ) -> None:
        self.headers = headers
        same = headers.tracing_id.lower() == REQUEST_ID.lower()
        self.answer_names = (REQUEST_ID,) if same else (headers.tracing_id, REQUEST_ID)
        self._id_key, self._request_id_key = _key(headers.tracing_id), _key(REQUEST_ID)
        self._caller_key = _key(headers.caller)
        self._caller_keys = tuple({self._caller_key, _key(CALLER_HEADER)})
        self._mask = mask
        self._masks = (mask,) if mask else ()
        self._name_caller = name_caller
        self._new_id = IdSource().new

    def trace_of(self, environ: WSGIEnvironment) -> Trace:
        """The trace of a request: its own id, or that of its ``traceparent``, or a new one.

        An application inside of another one, which has let the request in, goes on with what that one says.
        """
        outer = CURRENT.get()
        told = environ.get(self._id_key) or environ.get(self._request_id_key)
        if told and not PLAIN.match(told):
            told = _ascii(_cleaned(told) or _cleaned(environ.get(self._request_id_key, "")))
        if not told:
            parent = traceparent_of(environ)
            told = parent[3:35] if parent else (outer.tracing_id if outer else "")
        trace = Trace(self._mask(told) if told else self._new_id(), "", self._masks)
        if outer is not None:
            trace.masks = (*self._masks, *outer.masks)
        if self._name_caller is not None:
            trace.caller = self._mask(_named(self._name_caller, environ, trace))
            self.tell_job(environ, trace)
        elif caller := environ.get(self._caller_key):
            trace.caller = self._mask(caller if PLAIN.match(caller) else _cleaned(caller))
        return trace

    def tell_job(self, environ: WSGIEnvironment, trace: Trace) -> None:
        """Let the headers of a request say who it is from, where it is not them who do."""
        if self._name_caller is None:
            return
        name = _as_header(trace.caller)
        for key in self._caller_keys:
            if name:
                environ[key] = name
            else:  # whatever the client has put there
                environ.pop(key, None)

    def trace_within(self, tracing_id: str | None = None, caller: str | None = None) -> Trace:
        """The trace of a call in process: as it is told, else that of the request around it, or a new one."""
        outer = CURRENT.get() or NONE
        told = _ascii(_printable(tracing_id)) if tracing_id else outer.tracing_id
        name = outer.caller if caller is None else self._mask(_printable(caller))
        return Trace(self._mask(told) or self._new_id(), name, (*self._masks, *outer.masks))

    def loading(self) -> Trace:
        """The trace of what is done while the job loads: that of the request around it, if there is one."""
        outer = CURRENT.get() or NONE
        return Trace(outer.tracing_id, outer.caller, (*self._masks, *outer.masks))


class IdSource:
    """New ids, 32 hexadecimal digits: random ones for the process, and a count.

    Random bytes for each would be a system call for each.
    """

    def __init__(self) -> None:
        self._source: tuple[int, str, Callable[[], int]] = (0, "", lambda: 0)

    def new(self) -> str:
        """The next one."""
        pid, prefix, following = self._source
        if pid != os.getpid():  # never used before, or in a process that has been forked since
            self._source = _, prefix, following = os.getpid(), os.urandom(8).hex(), count(1).__next__
        return f"{prefix}{following():016x}"


def _named(name_caller: NameCaller, environ: WSGIEnvironment, trace: Trace) -> str:
    token = CURRENT.set(trace)  # what it logs belongs to the request
    try:
        name = name_caller(environ)
        return "" if name is None else _printable(str(name))
    except Exception:
        with suppress(Exception):  # somebody's handler
            logger.exception("the function that names callers failed")
        return ""
    finally:
        CURRENT.reset(token)


def traceparent_of(environ: WSGIEnvironment) -> str | None:
    """The ``traceparent`` of a request (W3C Trace Context), where it has a valid one."""
    value = environ.get("HTTP_TRACEPARENT")
    if not value:
        return None
    return value if len(value) <= LONGEST and TRACEPARENT.match(value) else None


def passed_on(trace: Trace, environ: WSGIEnvironment, names: TraceHeaders) -> dict[str, str]:
    """The headers by which a request made for the one of ``environ`` belongs to the same trace and caller."""
    headers = {names.tracing_id: trace.tracing_id} if trace.tracing_id else {}
    if trace.caller:
        headers[names.caller] = _as_header(trace.caller)
    parent = traceparent_of(environ)
    if parent is not None:
        # As it came: nothing here is recorded as a span of its own.
        headers["traceparent"] = parent
        state = environ.get("HTTP_TRACESTATE", "")
        if state and len(state) <= LONGEST_TRACESTATE and state.isascii() and state.isprintable():
            headers["tracestate"] = state
    return headers


def _cleaned(value: str) -> str:
    """The first value of a header of a WSGI environ, cut, with control characters escaped."""
    first = value.partition(",")[0][: LONGEST * 4].strip()
    with suppress(UnicodeEncodeError):  # of a server that decodes headers itself
        first = first.encode("latin-1").decode("utf-8", "replace")
    return _printable(first)


def _as_header(text: str) -> str:
    """``text`` as headers have it, in WSGI and in clients alike: each character a byte (PEP 3333)."""
    return text if text.isascii() else text.encode().decode("latin-1")


def _ascii(text: str) -> str:
    """``text`` as a header can send it back."""
    return text.encode("ascii", "backslashreplace").decode()[:LONGEST]


def _printable(text: str) -> str:
    """``text``, cut, with what is no visible character escaped: it can forge no line of a log."""
    cut = text[:LONGEST]
    if not cut.isprintable():
        cut = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in cut)
    return cut[:LONGEST]


def _header_name(environ: Mapping[str, str], variable: str, usual: str) -> str:
    name = environ.get(variable) or usual
    if HEADER_NAME.match(name) and name.lower() not in OF_THE_ANSWER:
        return name
    logger.warning("%s: expected the name of a header, found %r: using %s", variable, name[:60], usual)
    return usual


def _key(header: str) -> str:
    """The key of a header in the WSGI environ (PEP 3333)."""
    return f"HTTP_{header.upper().replace('-', '_')}"
