"""A request made and sent, and sent again where the job asks for that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pyjob.client.answer import Answer
from pyjob.client.body import NO_BODY, Body, Bytes, File, RequestError, body_of_arguments, is_file
from pyjob.client.call import Call, retry_after_of
from pyjob.client.request import Request, joined, queried
from pyjob.client.transport.deadline import Deadline
from pyjob.client.transport.transport import Transport, TransportError
from pyjob.environment.mask import MASKED
from pyjob.wire.results.formats import EVENTS, LINES

API = "/api/v1"
TOKEN_HEADER = "X-Racetrack-Auth"  # nosec B105 # the name of a header
# Lines of JSON keep text apart from numbers, which events do not.
STREAMS = f"{LINES}, {EVENTS};q=0.9"
# Without a body.
READING = frozenset({"GET", "HEAD"})
RETRIED = frozenset({429, 503})
# Whoever asks for a longer wait is not waited for.
LONGEST_WAIT = 60.0


def request_of(
    method: str,
    prefix: str,
    path: str,
    arguments: Mapping[str, Any] | None,
    body: object,
    headers: Mapping[str, str],
) -> Request:
    """The request for ``path`` below ``prefix`` with ``arguments``, or a ``body`` as it is, or neither.

    Raises `RequestError`.
    """
    if body is not None and arguments is not None and method not in READING:
        raise RequestError("arguments and a body: send one of them")
    sent: Body = NO_BODY
    query: list[tuple[str, str]] = []
    if body is not None:
        sent = _as_it_is(body)
    elif arguments is not None and method in READING:
        query = queried(arguments)
    elif arguments is not None:
        sent = body_of_arguments(arguments)
    return Request(method, joined(prefix, path, query), headers, sent)


def send(
    transport: Transport,
    call: Call,
    make: Callable[[], Request],
    deadline: Deadline,
    retries: int = 0,
) -> Answer:
    """The answer to the request that ``make`` makes, whatever its status, within ``deadline``.

    At most ``retries`` times, an answer of 429 or 503 that names a time in `Retry-After` is waited for and
    the request sent again, where both can be. Raises `CallError` where nothing is answered.
    """
    try:
        request = make()
    except RequestError as error:
        raise call.refused(str(error)) from None
    shown = [
        (name, MASKED if call.token and call.token in value else value)
        for name, value in request.sent_headers(transport.host)
    ]
    while True:
        try:
            answer = Answer(transport.exchange(request, deadline), call, deadline, shown)
        except TransportError as error:
            raise call.unanswered(error) from error
        except RequestError as error:  # a file that is not what it was
            raise call.refused(str(error)) from None
        wait = _wait(answer) if retries > 0 and request.body.is_repeatable else None
        if wait is None:
            return answer
        answer.close()
        time.sleep(wait)
        deadline.restart()
        retries -= 1


def _wait(answer: Answer) -> float | None:
    """The seconds after which it is worth while to ask again."""
    seconds = retry_after_of(answer.headers) if answer.status in RETRIED else None
    return None if seconds is None or seconds > LONGEST_WAIT else seconds


def _as_it_is(body: object) -> Body:
    if isinstance(body, (bytes, bytearray, memoryview)):
        return Bytes(bytes(body), "")
    if is_file(body):
        return File(body, "body")
    raise RequestError(f"body: expected bytes or a file, found {type(body).__name__}")
