"""One call, and what is told of it when it goes wrong."""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPMessage

from pyjob.client.transport.transport import TransportError
from pyjob.environment.mask import LEAST, MASKED, Mask
from pyjob.errors import (
    CALL_ERRORS,
    CallConnectionError,
    CallError,
    CallTimeoutError,
    one_line,
)
from pyjob.trace import REQUEST_ID, TRACING_HEADER

# Of what a callee says, so many characters: its beginning, and its end, where a chain has its first cause.
LONGEST = 2000
LONGEST_BEGINNING = 500
LONGEST_FOREIGN = 300  # of what is no error of a job
LONGEST_ID = 100
_TITLE = re.compile("<title[^>]{0,200}>([^<]{1,300})", re.IGNORECASE)
_CREDENTIALS = re.compile("//[^/]*@")


@dataclass(frozen=True)
class Call:
    """To whom it goes: ``label`` for people, ``job`` its name or URL; ``token`` is what nobody is told."""

    label: str
    job: str
    method: str
    path: str
    tracing_id: str = ""
    token: str = ""

    def refused(self, reason: str) -> CallError:
        """It cannot be sent."""
        return self._error(CallError, f"not sent: {self._safe(reason)}")

    def unanswered(self, error: TransportError, status: int | None = None) -> CallError:
        """There was no answer, or not all of it."""
        kind = CallTimeoutError if error.is_late else CallError if status else CallConnectionError
        return self._error(kind, self._safe(str(error)), status)

    def unreadable(self, status: int, reason: str, headers: HTTPMessage) -> CallError:
        """The answer is not what was asked for, or is none of a job."""
        text = f"answered {status}: {self._safe(reason)}"
        return self._error(CallError, text, status, tracing_id=self.id_of(headers))

    def broken_off(self, status: int, message: str, kind: str, headers: HTTPMessage) -> CallError:
        """A stream that has begun well ends with a fault of the job."""
        told = self._safe(message)
        return self._error(
            CallError,
            f"the stream broke off: {told}",
            status,
            message=told,
            kind=self._safe(kind),
            tracing_id=self.id_of(headers),
        )

    def answered(self, status: int, headers: HTTPMessage, body: bytes) -> CallError:
        """The answer is an error, or leads elsewhere."""
        content_type = media_type(headers)
        message, kind = _told(status, content_type, self.masked(body.decode(errors="replace")))
        if 300 <= status < 400 and (location := headers.get("Location", "")):
            # Its query may hold what is nobody's business; so may what stands before its host.
            shown = self.masked(_CREDENTIALS.sub("//", location.partition("?")[0]))
            message = f"moved to {shown[:200]}, which is not followed"
        tracing_id = self.id_of(headers)
        message = _without_id(self._safe(message), tracing_id)
        return self._error(
            CALL_ERRORS.get(status, CallError),
            f"answered {status}: {message}",
            status,
            message=message,
            kind=self._safe(kind),
            retry_after=retry_after_of(headers),
            tracing_id=tracing_id,
        )

    def failed(self, status: int, message: str) -> CallError:
        """The job tells of itself that it has failed."""
        told = self._safe(message)
        return self._error(CALL_ERRORS.get(status, CallError), told, status, message=told)

    def id_of(self, headers: HTTPMessage) -> str:
        """The tracing id of the answer, else that of the request."""
        told = headers.get(TRACING_HEADER) or headers.get(REQUEST_ID) or self.tracing_id
        return self._safe(self.masked(told)[:LONGEST_ID])

    def _error(
        self,
        error_type: type[CallError],
        text: str,
        status: int | None = None,
        *,
        tracing_id: str | None = None,
        message: str = "",
        kind: str = "",
        retry_after: float | None = None,
    ) -> CallError:
        tracing_id = self._safe(self.tracing_id) if tracing_id is None else tracing_id
        suffix = f" (tracing id {tracing_id})" if tracing_id else ""
        path = self._safe(self.path.partition("?")[0][:200])
        where = f"{self._safe(self.label)}, {one_line(self.method[:20])} {path}"
        return error_type(
            f"{where}: {text}{suffix}",
            job=self.job,
            path=path,
            status=status,
            tracing_id=tracing_id,
            message=message or text,
            kind=kind,
            retry_after=retry_after,
        )

    def masked(self, text: str) -> str:
        """``text`` without the token: before it is cut, since the half of a token is no longer known."""
        if len(self.token) >= LEAST:
            return Mask([self.token])(text)
        return text.replace(self.token, MASKED) if self.token else text

    def _safe(self, text: str) -> str:
        """``text`` in one line, not too long, without the token, and such that it can be written."""
        text = self.masked(text)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST_BEGINNING]} ... {text[-(LONGEST - LONGEST_BEGINNING) :]}"
        return one_line(text).encode(errors="backslashreplace").decode()  # half of a pair of surrogates


def media_type(headers: HTTPMessage) -> str:
    """The content type without its parameters; empty where none is told."""
    return str(headers.get("Content-Type", "")).partition(";")[0].strip().lower()


def retry_after_of(headers: HTTPMessage) -> float | None:
    """The seconds that `Retry-After` asks for (RFC 9110, 10.2.3), whichever way it is written."""
    text = str(headers.get("Retry-After", "")).strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _told(status: int, content_type: str, body: str) -> tuple[str, str]:
    """Message and kind in the body of an error; of whatever is no error of a job, its beginning."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "an unknown status"
    if content_type == "text/html":
        title = _TITLE.search(body)
        named = f" {title[1].strip()!r}" if title else ""
        return f"{phrase}: an HTML page{named}, nothing of a job", phrase
    text = body.strip()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text[:LONGEST_FOREIGN] or phrase, phrase
    if isinstance(found, dict) and isinstance(found.get("error"), str) and found["error"]:
        return found["error"], str(found.get("type") or phrase)
    return text[:LONGEST_FOREIGN], phrase


def _without_id(message: str, tracing_id: str) -> str:
    """``message`` without the id at its end: the whole chain has the same."""
    return message.removesuffix(f" (tracing id {tracing_id})") if tracing_id else message
