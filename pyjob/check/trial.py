"""A trial of a job, in a process that is for nothing else and is ended from outside (running.py)."""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from werkzeug.test import Client

from pyjob.application import Application
from pyjob.application.samples import attempt, sample_requests
from pyjob.check.code.note import note_of_field
from pyjob.check.code.public import no_answer, unanswered
from pyjob.check.finding import Severity
from pyjob.check.running import LOADING, METRICS
from pyjob.environment.mask import Mask
from pyjob.errors import ManifestError, PyjobError
from pyjob.job.job import Job
from pyjob.manifest import Manifest
from pyjob.metrics.job import ERRORS
from pyjob.own import JobSource, own_application
from pyjob.settings import Settings

_RULES_OF_WARNINGS = {"static_endpoints": "static-files", "auxiliary_endpoints": "endpoints"}
_TRACED = re.compile(r'^ +File "(.+?)", line (\d+)', re.MULTILINE)
_COUNT = re.compile(rf"^{ERRORS}_total ([\d.e+]+)$", re.MULTILINE)


def run_in_this_process(
    path: str | None, manifest_file: str | None, timeout: float, events: int, mark: str
) -> None:
    """Run the job: say on the descriptor ``events`` what is done next, and what is found, behind ``mark``."""
    stream = os.fdopen(events, "w", encoding="utf-8", buffering=1)
    faulthandler.enable(stream)
    trial = _Trial(stream, timeout, mark)
    # Not in the main thread: `pyjob run` does not call jobs there either, and signals are none of theirs.
    thread = threading.Thread(
        target=trial.run,
        args=(None if path is None else Path(path), None if manifest_file is None else Path(manifest_file)),
        daemon=True,
    )
    thread.start()
    thread.join()


class _Trial(logging.Handler):
    """One run of a job, in its process; hears what pyjob logs of it, secrets masked."""

    def __init__(self, stream: IO[str], timeout: float, mark: str) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._mark = mark
        self._timeout = timeout
        self._mask = Mask()
        self._entry = ""
        self._folder = Path()
        self._warnings: list[str] = []
        self._place: tuple[str, int | None] = ("", None)

    def emit(self, record: logging.LogRecord) -> None:
        """Note a warning, or the innermost line of the job in a traceback."""
        if record.levelno == logging.WARNING:
            self._warnings.append(record.getMessage())
        for file, line in _TRACED.findall(logging.Formatter().format(record)):
            if Path(file).is_relative_to(self._folder):
                self._place = (os.path.relpath(file, self._folder), int(line))

    def run(self, path: Path | None, manifest_file: Path | None) -> None:
        """Load the job and try everything that can be tried without knowing it."""
        self._begin(LOADING)
        try:
            level = os.environ.get("LOG_LEVEL") or "warning"
            source = JobSource(path, manifest_file)
            application = own_application(
                source,
                settings=Settings(access_log=False),
                log_level=level,
                access=lambda _: True,  # samples have no token, whatever PYJOB_ACCESS says
            )
        except ManifestError as error:
            for one in error.problems:
                place = Path(os.path.realpath(one.source or error.source))
                self._place = (os.path.relpath(place, os.path.realpath(source.folder)), one.line)
                self._find(f"it does not start: {one}")
        except PyjobError as error:
            self._find(f"it does not start: {error}")
        else:
            self._mask = application.environment.mask
            self._folder = application.manifest.folder
            self._entry = application.manifest.jobtype_extra.entrypoint_path
            logging.getLogger("pyjob").addHandler(self)
            self._try(application)
        self._send({"done": True})

    def _try(self, application: Application) -> None:
        application.start()
        status, job = application.state.wait(), application.job
        if status == "failed" or job is None:
            reason = str(application.state.error)
            self._find(f"it does not start: {reason.rpartition(', traceback=')[0] or reason}")
            return
        broken = {application.environment.mask(fault) for fault in job.sample_faults}
        for warning in self._warnings:
            rule = next((rule for word, rule in _RULES_OF_WARNINGS.items() if word in warning), "start")
            self._find(warning, "broken-sample" if warning in broken else rule, is_error=warning in broken)
        self._judge_public(application.manifest, job)
        client = Client(application)
        for one in sample_requests(job.endpoints):
            self._begin(str(one))
            failure = attempt(client, one)
            if failure is not None:
                self._find(f"{one}: {failure}", "broken-sample")
        if job.metrics is not None:
            self._begin(METRICS)
            count = _COUNT.search(client.get("/metrics").get_data(as_text=True))
            if count and float(count[1]):
                self._find("; ".join(self._warnings) or "metrics() of the job is wrong", "metrics")

    def _judge_public(self, manifest: Manifest, job: Job) -> None:
        folders = [one.path for one in job.files if one.is_folder]
        folders += [] if job.webview is None else ["/webview"]
        files = [one.path for one in job.files if not one.is_folder]
        paths = [*files, *(one.path for one in job.endpoints)]
        for index, entry, remedy in unanswered(manifest, paths, folders):
            place = note_of_field("", Severity.WARNING, manifest, f"public_endpoints[{index}]", "")
            self._place = (place.file, place.line)
            self._find(f"{no_answer(entry)}; {remedy}", "endpoints", is_error=False)

    def _begin(self, stage: str) -> None:
        self._warnings, self._place = [], ("", None)
        faulthandler.dump_traceback_later(self._timeout, exit=True, file=self._stream)
        self._send({"begin": stage, "file": self._entry})

    def _find(self, message: str, rule: str = "start", *, is_error: bool = True) -> None:
        file, line = self._place if self._place[0] else (self._entry, None)
        severity = (Severity.ERROR if is_error else Severity.WARNING).value
        # The place says already which file and class it is.
        told = re.sub(rf"^{re.escape(self._entry)}: class \w+: ", "", message).replace(f"{self._folder}/", "")
        told = self._mask(told)
        found = {"rule": rule, "severity": severity, "message": told, "file": file, "line": line}
        self._send({"finding": found})

    def _send(self, event: Mapping[str, object]) -> None:
        self._stream.write(f"{self._mark}{json.dumps(event)}\n")
