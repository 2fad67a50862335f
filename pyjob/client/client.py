"""A client of one job, for programs and for `pyjob call`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pyjob.client.answer import Answer, Items
from pyjob.client.body import RequestError
from pyjob.client.call import Call
from pyjob.client.exchange import API, STREAMS, TOKEN_HEADER, request_of, send
from pyjob.client.request import Address, Request
from pyjob.client.transport.application import InProcess
from pyjob.client.transport.deadline import Deadline
from pyjob.client.transport.pool import Pool
from pyjob.client.transport.sockets import Sockets
from pyjob.client.transport.transport import Transport
from pyjob.errors import CallError, CallForbiddenError, CallTimeoutError, CallUnauthorizedError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Between two questions whether a job is ready.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
PROBE_SECONDS = 5.0


class Client:
    """A client of the job at ``url``, such as ``http://127.0.0.1:7000``; any thread may use it.

    ``timeout``: seconds for a whole call; of a stream, for each item; None: for ever. ``retries``: how often
    a call that is answered 429 or 503 with `Retry-After` is sent again, after that time (60 s at most).
    Connections are kept until `close`; a context manager. Everything raises `CallError`.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout: float | None = 60, retries: int = 0
    ) -> None:
        try:
            address = Address.parsed(url)
        except RequestError as error:
            raise CallError(f"Client: {error}") from None
        if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
            raise CallError(f"Client: timeout: expected seconds above 0, or None, found {timeout!r}")
        if not isinstance(retries, int) or retries < 0:
            raise CallError(f"Client: retries: expected a number from 0, found {retries!r}")
        self._set_up(str(address), address.path, Sockets(address, Pool()), token, timeout, retries)

    @classmethod
    def in_process(
        cls, application: WSGIApplication, token: str | None = None, *, name: str = "in process"
    ) -> Self:
        """A client of a WSGI ``application``, which runs in the thread that calls: no time-out ends it."""
        client = cls.__new__(cls)
        client._set_up(name, "", InProcess(application), token, None, 0)
        return client

    def _set_up(
        self,
        url: str,
        prefix: str,
        transport: Transport,
        token: str | None,
        timeout: float | None,
        retries: int,
    ) -> None:
        self.url = url
        self._prefix = prefix
        self._transport = transport
        self._token = token or ""
        self._timeout = timeout
        self._retries = retries

    def __repr__(self) -> str:
        return f"<Client of {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def perform(self, /, **arguments: Any) -> Any:
        """Call `perform`: what it returned, as `Answer.value` has it."""
        return self(f"{API}/perform", **arguments)

    def __call__(self, path: str, /, **arguments: Any) -> Any:
        """POST ``arguments`` to the endpoint at ``path``: what it returned, as `Answer.value` has it."""
        return self.open("POST", path, arguments=arguments).value()

    def stream(self, path: str, /, **arguments: Any) -> Items:
        """POST ``arguments`` to an endpoint that yields: its items as they come."""
        answer = self.open("POST", path, arguments=arguments, headers={"Accept": STREAMS})
        answer.raise_for_status()
        return answer.items()

    def parameters(self) -> list[dict[str, Any]]:
        """The parameters of `perform`: ``name``, ``type``, and ``default_value`` of optional ones."""
        with self.open("GET", f"{API}/parameters") as answer:
            answer.raise_for_status()
            found = answer.json()
            if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
                raise answer.unexpected("expected a list of parameters")
            return found

    def open(
        self,
        method: str,
        path: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Any request: the answer, whatever its status. Raises only where there is none.

        ``arguments`` are sent as JSON, with files among them as a form; of GET and HEAD in the query.
        ``body``: bytes, a path or an open binary file, to be sent as they are.
        """
        method = method.upper()
        sent_headers = dict(headers or {})
        if self._token:
            sent_headers = {TOKEN_HEADER: self._token, **sent_headers}

        def make() -> Request:
            return request_of(method, self._prefix, path, arguments, body, sent_headers)

        return send(self._transport, self._call(method, path), make, Deadline(self._timeout), self._retries)

    def wait_ready(self, timeout: float = 60) -> None:
        """Ask until the job is ready. Raises `CallError`: late, or at once where it has failed to load."""
        end, pause = time.monotonic() + timeout, FIRST_PAUSE
        while (reason := self._unready(end)) is not None:
            if time.monotonic() + pause >= end:
                text = f"{self.url}: not ready within {timeout:g} s: {reason}"
                raise CallTimeoutError(text, job=self.url, path="/ready")
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _unready(self, end: float) -> CallError | None:
        """Why it is not ready, None where it is. Raises `CallError` where waiting does not help."""
        try:
            self._probe("/ready", end).raise_for_status()
            return None
        except (CallUnauthorizedError, CallForbiddenError):
            raise
        except CallError as error:
            if error.status is None:
                return error
            reason = error
        try:
            told = self._probe("/live", end).json()
        except CallError:
            return reason
        if isinstance(told, dict) and told.get("live") is False and told.get("error"):
            raise self._call("GET", "/live").failed(500, f"failed to load: {told['error']}")
        return reason

    def _probe(self, path: str, end: float) -> Answer:
        """A question for which there is no token and little time."""
        seconds = max(0.1, min(end - time.monotonic(), PROBE_SECONDS))
        answer = send(
            self._transport,
            self._call("GET", path),
            lambda: request_of("GET", self._prefix, path, None, None, {}),
            Deadline(seconds),
        )
        with answer:
            answer.read()
            return answer

    def _call(self, method: str, path: str) -> Call:
        return Call(self.url, self.url, method, path, token=self._token)
