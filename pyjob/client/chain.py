"""Chain calls: from one job to the next, on the platform that both are on (docs/chain.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pyjob.client.answer import Answer, Items
from pyjob.client.body import RequestError
from pyjob.client.call import Call
from pyjob.client.exchange import STREAMS, TOKEN_HEADER, request_of, send
from pyjob.client.request import Address, segment
from pyjob.client.transport.deadline import Deadline
from pyjob.client.transport.pool import PROCESS
from pyjob.client.transport.sockets import Sockets
from pyjob.trace import CURRENT, NONE, TraceHeaders, passed_on

Payload = Mapping[str, Any] | None


def call_job(
    job: object,
    name: str,
    path: str,
    payload: Payload = None,
    version: str = "latest",
    method: str = "POST",
    timeout: float | None = 10,
) -> Any:
    """Call the endpoint at ``path`` of the job ``name`` with ``payload``: what it returned.

    ``job`` is the one that calls, whose request it belongs to: tracing id, caller and trace context go with
    it. The platform is that of ``PUB_URL``, the token ``AUTH_TOKEN``. ``payload`` is encoded as results are;
    with files among its values it is sent as a form, with GET in the query. ``timeout``: seconds for the
    whole call; of a stream, for each item. Raises `CallError`, which is a RuntimeError.
    """
    return Chained(job, name, path, version, method).answer(payload, Deadline(timeout)).value()


def stream_job(
    job: object,
    name: str,
    path: str,
    payload: Payload = None,
    version: str = "latest",
    method: str = "POST",
    timeout: float | None = 10,
) -> Items:
    """Call an endpoint that yields, as `call_job` does: its items as they come.

    Left early, or dropped, it makes the other job stop.
    """
    return Chained(job, name, path, version, method).stream(payload, Deadline(timeout))


class Chained:
    """One chain call of ``job``, and everything that is to be known in the thread or task that makes it."""

    def __init__(self, job: object, name: str, path: str, version: str, method: str) -> None:
        token = os.environ.get("AUTH_TOKEN", "")
        self._headers, tracing_id = _trace_of(job)
        if token:
            self._headers[TOKEN_HEADER] = token
        label = f"job {name!r} {version}"
        self._call = Call(label, str(name), str(method).upper(), str(path), tracing_id, token)
        try:
            self._address = _platform(os.environ.get("PUB_URL", ""))
            self._prefix = "/".join(
                (self._address.path, "job", segment(name, "name"), segment(version, "version"))
            )
        except RequestError as error:
            raise self._call.refused(str(error)) from None

    def answer(self, payload: Payload, deadline: Deadline, accept: str = "") -> Answer:
        """Send it. Raises `CallError` where nothing is answered."""
        headers = {**self._headers, "Accept": accept} if accept else self._headers
        return send(
            Sockets(self._address, PROCESS),
            self._call,
            lambda: request_of(
                self._call.method, self._prefix, self._call.path, payload or {}, None, headers
            ),
            deadline,
        )

    def stream(self, payload: Payload, deadline: Deadline) -> Items:
        """Send it, and ask for a stream. Raises `CallError` where none is answered."""
        answer = self.answer(payload, deadline, accept=STREAMS)
        answer.raise_for_status()
        return answer.items()


def _trace_of(job: Any) -> tuple[dict[str, str], str]:
    """The headers that say to which request of ``job`` a call belongs, and the tracing id among them."""
    try:
        request = job.request_context.get()
        return dict(request.trace_headers), str(request.tracing_id)
    except (AttributeError, LookupError):  # while it loads, in a thread of its own, of a class with __slots__
        trace = CURRENT.get() or NONE
        return passed_on(trace, {}, TraceHeaders.from_environment(os.environ)), trace.tracing_id


def _platform(url: str) -> Address:
    if not url:
        raise RequestError(
            "PUB_URL is not set: it is the address of the platform, such as http://127.0.0.1:7000/pub; "
            "on your machine, `pyjob run CALLER/ CALLED/` is one"
        )
    try:
        return Address.parsed(url)
    except RequestError as error:
        raise RequestError(f"PUB_URL: {error}") from None
