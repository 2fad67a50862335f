"""One call: what is sent, what comes back, and what the command says of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import chain
from urllib.parse import urlsplit

from pyjob.cli.call.answers.output import Ending, MediaType, Output
from pyjob.cli.call.answers.progress import Progress, size_shown
from pyjob.cli.call.answers.terminal import harmless
from pyjob.cli.call.example import Example, example_of
from pyjob.cli.call.items import Item
from pyjob.cli.call.refusal import LONGEST_READ, told
from pyjob.cli.call.request import Request
from pyjob.client.answer import Answer
from pyjob.client.client import Client
from pyjob.environment.mask import MASKED, Mask
from pyjob.errors import CallConnectionError, PyjobError, one_line

FAILED = 1  # nothing was answered, or not all, or it could not be written
SECRET_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "x-racetrack-auth", "cookie", "set-cookie", "x-api-key"}
)
# An OpenAPI document that is longer is none of a job.
LONGEST_DOCUMENT = 64 * 1024 * 1024
LONGEST_SHOWN_BODY = 10_000


@dataclass(frozen=True)
class Wish:
    """What the user wants of the call, beside what is sent.

    ``method`` is None where the endpoint decides. ``sample``: that one is sent, the first one where it is
    called so by nothing (""); None: none.
    """

    output: Output
    method: str | None = None
    sample: str | None = None
    is_verbose: bool = False
    mask: Mask = field(default_factory=Mask)


class Conversation:
    """One call by ``client``, told of on standard error, its result written to the output of ``wish``.

    ``hear`` is called whenever something has come.
    """

    def __init__(self, client: Client, wish: Wish, hear: Callable[[], None] = lambda: None) -> None:
        self._client = client
        self._wish = wish
        self._output = wish.output
        self._hear = hear

    def hold(self, request: Request, items: Collection[Item]) -> int:
        """Send ``request``: the exit status.

        Raises `PyjobError` where nothing was answered, or it cannot be shown.
        """
        method = self._wish.method
        if self._wish.sample is not None:
            example = self._example(request)
            method = method or example.method
            request = request.following(example)
        try:
            answer = self._sent(method or "POST", request)
        finally:
            request.close()
        if method is None and request.is_empty and _knows_get_only(answer):
            answer.close()
            answer = self._sent("GET", request)
        with answer:
            return self._told(answer, items)

    def _sent(self, method: str, request: Request) -> Answer:
        headers, body = dict(request.headers), request.body
        if method in ("GET", "HEAD") and not request.is_empty:
            raise PyjobError(f"{method} has no body: write name==value, which goes into the query")
        if body is not None and not any(name.lower() == "content-type" for name in headers):
            headers["Content-Type"] = "application/json"
        with self._listener_told():
            answer = self._client.open(
                method, request.target, arguments=request.arguments, body=body, headers=headers
            )
        self._hear()
        if self._wish.is_verbose:
            self._tell(f"> {method} {one_line(request.target)}", *_shown(">", answer.request_headers))
            if body:
                self._tell(">", f"> {_body_shown(body)}")
            status = f"< {answer.status} {one_line(answer.reason)}"
            self._tell(status, *_shown("<", answer.headers.items()))
        return answer

    def _example(self, request: Request) -> Example:
        headers = _without_accept(request.headers) | {"Accept": "application/json"}
        with self._listener_told():
            answer = self._client.open("GET", "/openapi.json", headers=headers)
        with answer:
            body = b"".join(_bounded(answer.chunks(), LONGEST_DOCUMENT))
            if answer.status != HTTPStatus.OK:
                reason = told(answer.status, answer.headers, body, ())
                raise PyjobError(self._wish.mask(f"no sample: /openapi.json {reason}"))
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise PyjobError("no sample: /openapi.json is no JSON: is this a job?") from None
        example = example_of(document, request.path, self._wish.sample or None, self._wish.method)
        if example.others and not self._wish.sample:
            count = example.others + 1
            self._tell(f"pyjob: this is {one_line(example.name)} of {count} samples: --which 2 sends another")
        return example

    def _told(self, answer: Answer, items: Collection[Item]) -> int:
        if not 200 <= answer.status < 300:
            body = b"".join(_bounded(answer.chunks(), LONGEST_READ))
            self._tell(f"pyjob: {told(answer.status, answer.headers, body, items)}")
            return answer.status // 100 if 300 <= answer.status < 600 else FAILED
        media = MediaType(answer.headers.get("Content-Type") or "")
        chunks = self._heard(answer)
        first = next(chunks, b"")
        refusal = self._output.refusal(media) if first else None
        if refusal is not None:
            self._tell(f"pyjob: error: {refusal}")
            return FAILED
        length = _length(answer)
        ending = Ending(media if length is None else MediaType(""))  # what has a length is no stream
        with Progress(sys.stderr, "receiving", length) as progress:
            pieces = ending.kept_of(chain([first] if first else (), chunks))
            # On a terminal, the result itself shows that something comes.
            self._output.write(media, pieces if self._output.is_terminal else progress.counted(pieces))
        fault = ending.fault()
        if fault is not None:
            message, kind = map(one_line, fault)
            self._tell(f"pyjob: error: the stream broke off: {message} ({kind})")
            return FAILED
        return 0

    @contextmanager
    def _listener_told(self) -> Iterator[None]:
        """Tell what to do where nothing listens."""
        try:
            yield
        except CallConnectionError as error:
            if isinstance(getattr(error.__cause__, "__cause__", None), ConnectionRefusedError):
                host = urlsplit(self._client.url).netloc
                raise PyjobError(f"nothing listens on {host}: is `pyjob run` running?") from error
            raise

    def _heard(self, answer: Answer) -> Iterator[bytes]:
        for chunk in answer.chunks():
            self._hear()
            yield chunk

    def _tell(self, *lines: str) -> None:
        sys.stderr.write(self._wish.mask("\n".join(lines)) + "\n")
        sys.stderr.flush()


def _knows_get_only(answer: Answer) -> bool:
    allowed = {one.strip().upper() for one in (answer.headers.get("Allow") or "").split(",")}
    return answer.status == HTTPStatus.METHOD_NOT_ALLOWED and "GET" in allowed and "POST" not in allowed


def _length(answer: Answer) -> int | None:
    text = answer.headers.get("Content-Length") or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _bounded(chunks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """``chunks`` until they are ``most`` bytes."""
    count = 0
    for chunk in chunks:
        yield chunk[: most - count]
        count += len(chunk)
        if count >= most:
            return


def _without_accept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() != "accept"}


def _shown(sign: str, headers: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers:
        shown = MASKED if name.lower() in SECRET_HEADERS else value
        yield one_line(f"{sign} {name}: {shown}")


def _body_shown(body: bytes) -> str:
    if len(body) > LONGEST_SHOWN_BODY:
        return f"({size_shown(len(body))})"
    return harmless(body.decode(errors="replace"))
