"""Every error that pyjob raises on purpose.

PyjobError
├── ManifestError       the manifest has problems; holds all of them
├── EntryPointError     the entry file or its class breaks a rule of the job's contract
├── SampleError         a sample payload of the job does not work
├── ConflictError       two jobs, or a job and its host, cannot live in one process
├── StarterError        a new job cannot be begun in a folder
├── BuildError          a job cannot be built into one file
├── StoreError          the store of tokens and approvals cannot be used, or not so
│   └── LockedError     another program has it locked
├── AddressError        the server cannot listen where it is told to
├── ResultError         what the job returned cannot be sent
├── CallError           a call to another job went wrong (a RuntimeError, too)
│   ├── CallConnectionError       nothing was answered (a ConnectionError, too)
│   ├── CallTimeoutError          not in time (a TimeoutError, too)
│   └── CallBadRequestError, ...  answered 400, ...: one for each status in `CALL_ERRORS`
└── JobError            an answer with an HTTP status; jobs raise it too
    ├── PayloadError    the caller's payload is wrong
    │   └── BodyError   its body did not come as it was announced
    └── BusyError       a valid call is not run: the line is full, the service is going down, ...
        └── AbandonedError  one that ran was cancelled, since nobody waits for it any more
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

# What is no visible character and may forge a line, a colour or an order: control characters, separators of
# lines, marks of direction, what has no width.
_INVISIBLE = (*range(0x20), *range(0x7F, 0xA0), 0x61C, *range(0x200B, 0x2010), *range(0x2028, 0x202F))
CONTROLS = MappingProxyType(
    {code: ascii(chr(code))[1:-1] for code in (*_INVISIBLE, *range(0x2060, 0x2070), 0xFEFF)}
)


class PyjobError(Exception):
    """Base of all errors raised by pyjob itself."""


@dataclass(frozen=True)
class Problem:
    """One fault of a manifest or an env file: where it is, what was expected, what was found.

    ``line`` (from 1) and ``source`` say where it was written, as far as that is known; ``source`` is empty
    for the document that the error is of, and names another where it is in a base manifest or an option.
    """

    path: str
    expected: str
    found: str
    line: int | None = None
    source: str = ""

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        return f"{place}expected {self.expected}, found {self.found}"

    def told_of(self, source: str) -> str:
        """The problem with its file and line: ``job.yaml:3: name: expected ..., found ...``."""
        return f"{located(self.source or source, self.line)}: {self}"


@dataclass(frozen=True)
class Remark:
    """Something about a manifest or an env file that its author should hear, but that stops nothing."""

    source: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        return f"{located(self.source, self.line)}: {self.text}"


def located(source: str, line: int | None) -> str:
    """A place in a file: ``job.yaml:3``, or the file alone."""
    return source if line is None else f"{source}:{line}"


class ManifestError(PyjobError):
    """A manifest that cannot be used. ``source`` names it, ``problems`` holds every fault found."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(one.told_of(source) for one in self.problems))


class EntryPointError(PyjobError):
    """The entry file or its class breaks a rule (SPEC 1.1); the message names file, class and method."""


class SampleError(PyjobError):
    """Sample payloads of the job are not answered as they should be; the message names each."""


class ConflictError(PyjobError):
    """Two jobs, or a job and its host, want different things of one process (SPEC 10.2)."""


class StarterError(PyjobError):
    """A new job cannot be begun in a folder, and why."""


class BuildError(PyjobError):
    """A job cannot be built into one file, and why; the message has the remedy."""


class StoreError(PyjobError):
    """The store of tokens and approvals cannot be used, or not so (SPEC 8.4); the message has the remedy."""


class LockedError(StoreError):
    """Another program has the store locked, and for too long."""


class AddressError(PyjobError):
    """The server cannot listen on an address, and why."""


class ResultError(PyjobError):
    """A result that cannot be encoded (SPEC 4.5); the message names the path inside it."""


class JobError(PyjobError):
    """An error answered with ``status`` (400 to 599) and ``message``; a job may raise it (SPEC 4.4)."""

    def __init__(
        self, status: int, message: str, *, kind: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind or type(self).__name__
        self.headers = dict(headers or {})


class PayloadError(JobError):
    """The caller's payload does not fit the endpoint (SPEC 4.3)."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(status, message)


class BodyError(PayloadError):
    """The body of a request ends before its time, or has no end that the server knows."""


class BusyError(JobError):
    """A valid call that is not run: 429 or 503 (SPEC 5).

    ``retry_after``: whole seconds, for the caller. ``waited``: seconds in the line, None where it never came
    to it.
    """

    def __init__(self, status: int, message: str, retry_after: int, waited: float | None = None) -> None:
        self.retry_after = retry_after
        self.waited = waited
        kind = HTTPStatus(status).phrase
        super().__init__(status, message, kind=kind, headers={"Retry-After": str(retry_after)})


class AbandonedError(BusyError):
    """An ``async def`` that was cancelled, ``why`` in words: nobody waits for it any more."""

    def __init__(self, why: str) -> None:
        super().__init__(503, why, retry_after=1)


class CallError(PyjobError, RuntimeError):
    """A call to another job that went wrong; its text tells to whom, what was answered, and the tracing id.

    ``job``: its name, or the URL; ``path``; ``status`` of the answer, None where there was none; ``message``
    and ``kind``: what the callee said and its ``type``; ``retry_after``: seconds, where it said so. A job
    that raises it answers 500, whatever the callee answered: so there is no ``status_code`` here.
    """

    def __init__(
        self,
        text: str,
        *,
        job: str = "",
        path: str = "",
        status: int | None = None,
        tracing_id: str = "",
        message: str = "",
        kind: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(text)
        self.job = job
        self.path = path
        self.status = status
        self.tracing_id = tracing_id
        self.message = message or text
        self.kind = kind
        self.retry_after = retry_after


class CallConnectionError(CallError, ConnectionError):
    """Nothing was answered: no connection, or it was closed."""


class CallTimeoutError(CallError, TimeoutError):
    """No answer, or not all of it, in time."""


class CallBadRequestError(CallError):
    """Answered 400: the payload does not fit."""


class CallUnauthorizedError(CallError):
    """Answered 401: no token, or not a valid one."""


class CallForbiddenError(CallError):
    """Answered 403."""


class CallNotFoundError(CallError):
    """Answered 404."""


class CallMethodError(CallError):
    """Answered 405: the endpoint has another method."""


class CallTooLargeError(CallError):
    """Answered 413."""


class CallMediaTypeError(CallError):
    """Answered 415: the endpoint takes another content type."""


class CallTooManyError(CallError):
    """Answered 429: its line is full."""


class CallInternalError(CallError):
    """Answered 500: the job failed."""


class CallUnavailableError(CallError):
    """Answered 503: not ready, or no room."""


CALL_ERRORS: Mapping[int, type[CallError]] = MappingProxyType(
    {
        400: CallBadRequestError,
        401: CallUnauthorizedError,
        403: CallForbiddenError,
        404: CallNotFoundError,
        405: CallMethodError,
        413: CallTooLargeError,
        415: CallMediaTypeError,
        429: CallTooManyError,
        500: CallInternalError,
        503: CallUnavailableError,
    }
)


def message_of(error: BaseException) -> str:
    """The text of ``error`` for people, also where it has none or its ``__str__`` fails."""
    try:
        if isinstance(error, SystemExit):
            return f"the job called sys.exit({error.code!r})"
        if type(error) is KeyError and len(error.args) == 1:
            return f"no such key: {error}"  # alone, it would say nothing
        return exact_str(error) or kind_of(error)
    except BaseException:  # noqa: BLE001  the author's __str__
        return kind_of(error)


def kind_of(error: BaseException) -> str:
    """The name of the type of ``error``; ``Exception`` where that cannot be told."""
    try:
        return exact_str(type(error).__name__)
    except BaseException:  # noqa: BLE001  the author's metaclass
        return "Exception"


def exact_str(value: object) -> str:
    """``value`` as a `str` and no subclass, whose methods may do anything; of text, what it holds.

    Raises whatever the ``__str__`` of other objects raises.
    """
    # Its type, since an object may say that it is of another class.
    return str.__str__(value if issubclass(type(value), str) else str(value))


def one_line(text: str) -> str:
    """``text`` for a log record, with control characters escaped: it can forge neither line nor colour."""
    return text if text.isprintable() else text.translate(CONTROLS)
