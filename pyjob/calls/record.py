"""What is told of the calls of one endpoint: access lines, failures, numbers (SPEC 4.4, 6, 7)."""

from __future__ import annotations

import logging
from typing import Protocol

from pyjob.environment.mask import Mask
from pyjob.errors import AbandonedError, JobError, one_line
from pyjob.gate.admission import Call
from pyjob.logs.access import AccessLog
from pyjob.logs.failure import log_failure, log_safely
from pyjob.wire.failure import Failure, failure_of
from pyjob.wire.response import Response

# Of what an exception says, so many characters are logged beside its traceback.
LONGEST_MESSAGE = 2000

logger = logging.getLogger("pyjob.calls")


class Sent(Protocol):
    """An answer: its status line, how many bytes of its body were sent, and whether all of them were."""

    @property
    def status(self) -> str: ...
    @property
    def sent(self) -> int: ...
    @property
    def is_whole(self) -> bool: ...


def is_failure(error: BaseException | None) -> bool:
    """Whether ``error`` is one of the job's; that a call was cancelled is none."""
    return error is not None and type(error) is not AbandonedError  # its class may say anything of itself


class CallRecord:
    """Tells of the calls of the endpoint at ``path``, which is called by ``method``."""

    def __init__(self, path: str, method: str, access_log: AccessLog, mask: Mask) -> None:
        self._path = mask(path)
        self._method = method
        self._access_log = access_log
        self._mask = mask

    def failure(self, error: BaseException) -> Failure:
        """``error`` as it may be told to a caller."""
        return failure_of(error).masked(self._mask)

    def refusal(self, error: Exception, call: Call | None, method: str) -> Response:
        """The answer to a call that is not run."""
        failure = self.failure(error)
        if not isinstance(error, JobError):
            self._log(failure, error)
        answer = failure.answer()
        waited = getattr(error, "waited", None) if call is None else call.waited
        self._access_log.refused(method, self._path, answer.status, failure.message, waited)
        return answer

    def failed(self, call: Call, error: BaseException, *, is_logged: bool = True) -> Failure:
        """Note that ``call`` failed by ``error``; of one that was cancelled, nothing is to be noted."""
        failure = self.failure(error)
        if not is_failure(error):
            return failure
        call.note_error(failure.status, failure.kind)
        if is_logged:
            self._log(failure, error)
        return failure

    def background_failed(self, error: BaseException) -> None:
        """What a call has left to be done failed: nobody but the log hears of that."""
        message = one_line(self.failure(error).message[:LONGEST_MESSAGE])
        log_failure(logger, f"{self._path}: a background task failed: {message}", error, self._mask)

    def ended(self, call: Call, answer: Sent, method: str) -> None:
        """The line of a call that has run."""
        has_left = call.is_gone() and not answer.is_whole
        if has_left:
            call.abandon()
        sent = None if method == "HEAD" else answer.sent
        self._access_log.ended(method, self._path, answer.status, call, sent, has_left=has_left)

    def unheard(self, call: Call) -> None:
        """The line of a call that has run, and that nobody waits for any more."""
        call.abandon()
        self._access_log.ended(self._method, self._path, None, call, None, has_left=True)

    def left(self, call: Call) -> None:
        """The line of a call whose caller has left it waiting."""
        self._access_log.left(self._method, self._path, call)

    def _log(self, failure: Failure, error: BaseException) -> None:
        message = one_line(failure.message[:LONGEST_MESSAGE])
        if failure.status < 500 and not isinstance(error, ValueError):
            # The job answered on purpose: one line, no traceback.
            log_safely(logger, logging.WARNING, f"{self._path} answered {failure.status}: {message}")
        else:
            log_failure(logger, f"{self._path} failed: {message}", error, self._mask)
