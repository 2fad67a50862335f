"""A job under test: loaded as `pyjob run` loads it, called through its WSGI application."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from werkzeug.test import Client, TestResponse

from pyjob.access.access import admitted
from pyjob.app import create
from pyjob.application import Application
from pyjob.application.samples import attempt, error_of, sample_requests
from pyjob.job.loader import Surroundings
from pyjob.own import JobSource, assembled, maker_of
from pyjob.testing.process import LentProcess


class JobClient:
    """The job of ``source``, loaded and open until `close`; a context manager.

    ``source`` and ``manifest`` are those of `pyjob.create`. ``env``: variables that win over those of the
    manifest. While it is open the process is the job's, as under `pyjob run`: working directory (not for
    a class at hand), ``sys.path`` and environment. Of several, the last opened is the first to be closed.

    Raises `ManifestError` for a faulty manifest, and whatever the job raises while it loads.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | type | object,
        *,
        manifest: Mapping[str, object] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.application = _application(source, manifest, env or {})
        self._client = Client(admitted(self.application))
        with ExitStack() as opened:
            opened.enter_context(LentProcess(self.application.manifest))
            opened.callback(self.application.close, 0)
            self.application.load()
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the job, and give the process back as it was."""
        self._opened.close()

    def perform(self, /, **arguments: Any) -> Any:
        """Call `perform`: its result, as `call` gives it."""
        __tracebackhide__ = True
        return self.call("/perform", arguments)

    def call(self, path: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """POST ``arguments`` to the endpoint at ``path``: the result as a caller gets it, from JSON.

        Bytes among them are sent as base64, as a caller would send them.
        Bytes where the answer is no JSON. Raises `JobError` with status, message and kind of an answer of 400
        or more; its ``__cause__`` is what the job raised, where the log tells of that with a traceback.
        """
        __tracebackhide__ = True  # pytest shows the line of the test, and the job's own traceback
        with _told_exceptions() as told:
            body = json.dumps(dict(arguments or {}), default=_sent)
            answer = self.post(path, data=body, content_type="application/json")
        error = error_of(answer)
        if error is not None:
            raise error from (told[-1] if told else None)
        return answer.get_json() if answer.is_json else answer.get_data()

    def get(self, path: str, **options: Any) -> TestResponse:
        """`request` with GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        """`request` with POST."""
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> TestResponse:
        """Any request to anything of the job; ``options`` are those of `werkzeug.test.Client.open`."""
        # Read to its end: a call whose answer is left unread would keep its slot.
        options.setdefault("buffered", True)
        return self._client.open(path, method=method, **options)

    def assert_samples(self) -> None:
        """Send every sample of every endpoint; AssertionError that lists those that fail."""
        __tracebackhide__ = True
        job = self.application.job
        requests = [] if job is None else list(sample_requests(job.endpoints))
        faults = () if job is None else job.sample_faults
        if not requests and not faults:
            raise AssertionError("the job has no samples: give it docs_input_example or docs_input_examples")
        failures = [
            f"{one}: {failure}" for one in requests if (failure := attempt(self._client, one)) is not None
        ]
        if faults or failures:
            count = f"{len(faults) + len(failures)} of {len(faults) + len(requests)} samples failed:"
            told = "\n".join([count, *faults, *failures])
            raise AssertionError(self.application.environment.mask(told))


def _sent(value: object) -> str:
    """What a caller sends for ``value``, which is no JSON. Raises TypeError for all but bytes."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    hint = ": a file is sent by `post(path, data={...})`" if hasattr(value, "read") else ""
    raise TypeError(f"an object of type {type(value).__name__} cannot be sent as JSON{hint}")


def _application(source: Any, manifest: Mapping[str, object] | None, env: Mapping[str, str]) -> Application:
    if manifest is not None or not isinstance(source, (str, os.PathLike)):
        return create(source, manifest=manifest, env=env)
    # As `pyjob run` does, JOB_NAME and JOB_VERSION included; but logging is the test's.
    found, environment = JobSource(Path(source), env=env).configuration()
    surroundings = Surroundings(True, environment=environment.variables)
    return assembled(found, environment, maker_of(found, environment), surroundings)


@contextmanager
def _told_exceptions() -> Iterator[list[BaseException]]:
    """The exceptions that pyjob logs in this thread meanwhile."""
    told: list[BaseException] = []
    thread = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread and record.exc_info and record.exc_info[1] is not None:
                told.append(record.exc_info[1])

    listener, logger = Listener(), logging.getLogger("pyjob")
    logger.addHandler(listener)
    try:
        yield told
    finally:
        logger.removeHandler(listener)
