"""The part of a check that runs the job (`--run`): it loads, its samples are sent, its metrics are read.

In a process of its own, since the job may hang, with the interpreter's lock held or not, end the process or
crash it. It says what it is about to do and what it has found, a line of JSON each; a watchdog ends it when
one of these things takes too long, and says where it was.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO

from werkzeug.test import Client

from pyjob.application import Application
from pyjob.application.samples import SampleRequest, failure_of, sample_requests
from pyjob.check.finding import Finding, Severity
from pyjob.errors import PyjobError
from pyjob.metrics.job import ERRORS
from pyjob.own import JobSource, own_application
from pyjob.settings import Settings

LOADING, METRICS = "loading", "metrics()"
_RULES = {LOADING: "start", METRICS: "metrics"}  # anything else is a sample
_RULES_OF_WARNINGS = {"static_endpoints": "static-files", "auxiliary_endpoints": "endpoints"}
_CHILD = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path[:] = arguments.pop("sys_path")
from pyjob.check.running import run_in_this_process
run_in_this_process(**arguments)
"""
_GRACE = 5.0  # for the watchdog; a job may have called it off
_FRAME = re.compile(r'  File "(.+)", line (\d+) in ')
_TRACED = re.compile(r'^ +File "(.+?)", line (\d+)', re.MULTILINE)
_COUNT = re.compile(rf"^{ERRORS}_total ([\d.e+]+)$", re.MULTILINE)


def run_job(
    path: Path | None, manifest_file: Path | None, folder: Path, timeout: float, tell: Callable[[str], None]
) -> list[Finding]:
    """Run the job once; ``path`` and ``manifest_file`` are those of `check_job`, ``folder`` is the job's.

    Loading and each sample may take ``timeout`` seconds. ``tell`` is told what is done next.
    """
    with _Run(path, manifest_file, folder, timeout) as run:
        return run.findings(tell)


class _Run:
    """The process that runs the job; what that prints goes to stderr."""

    def __init__(self, path: Path | None, manifest_file: Path | None, folder: Path, timeout: float) -> None:
        self._folder = folder
        self._timeout = timeout
        self._events, sending = os.pipe()
        arguments = {
            "path": None if path is None else str(path),
            "manifest_file": None if manifest_file is None else str(manifest_file),
            "timeout": timeout,
            "events": sending,
            "sys_path": sys.path,
        }
        # In a group of its own, so that it ends together with all that it has started; -P, so that no file of
        # the current folder is taken for a library.
        self._process = subprocess.Popen(  # noqa: S603  this interpreter, without a shell
            [sys.executable, "-P", "-u", "-c", _CHILD, json.dumps(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=(sending,),
            process_group=0,
        )
        os.close(sending)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._events)

    def findings(self, tell: Callable[[str], None]) -> list[Finding]:
        """What is found until the run ends, in whichever way."""
        findings, dump = list[Finding](), list[str]()
        stage, file = LOADING, ""
        for line in self._lines():
            if not line.startswith("{"):
                dump.append(line)
                continue
            event = json.loads(line)
            if "begin" in event:
                stage, file = event["begin"], event["file"]
                tell(stage)
            elif "finding" in event:
                severity = Severity(event["finding"].pop("severity"))
                findings.append(Finding(severity=severity, **event["finding"]))
            else:
                return findings
        return [*findings, self._cut_short(stage, file, dump)]

    def _lines(self) -> Iterator[str]:
        """Lines as they come, until the process is gone or silent for too long."""
        data = b""
        deadline = time.monotonic() + self._timeout + _GRACE
        while time.monotonic() < deadline:
            has_ended = self._process.poll() is not None
            # A process that the job has started may keep the pipe open: its end is not waited for.
            if not select.select([self._events], [], [], 0 if has_ended else 0.1)[0]:
                if has_ended:
                    return
                continue
            read = os.read(self._events, 65536)
            if not read:
                return
            deadline = time.monotonic() + self._timeout + _GRACE
            *lines, data = (data + read).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)

    def _cut_short(self, stage: str, file: str, dump: list[str]) -> Finding:
        """The finding of a run that did not come to its end; ``dump`` says where it was."""
        try:
            status = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            status = None
        if status is None or any(line.startswith("Timeout") for line in dump):
            what = f"not done after {self._timeout:g} s"
        elif status < 0:
            what = f"a signal ended the process: {signal.strsignal(-status)}"
        else:
            what = f"the job ended the process, with status {status}"
        frames = (frame for line in dump if (frame := _FRAME.match(line)))
        own = (frame for frame in frames if Path(frame[1]).is_relative_to(self._folder))
        innermost = next(own, None)
        file = os.path.relpath(innermost[1], self._folder) if innermost else file
        line = int(innermost[2]) if innermost else None
        rule = _RULES.get(stage, "broken-sample")
        return Finding(rule, Severity.ERROR, f"{stage}: {what}", file=file, line=line)


def run_in_this_process(path: str | None, manifest_file: str | None, timeout: float, events: int) -> None:
    """Run the job, in a process that is for nothing else, and that is ended from outside."""
    stream = os.fdopen(events, "w", encoding="utf-8", buffering=1)
    faulthandler.enable(stream)
    trial = _Trial(stream, timeout)
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

    def __init__(self, stream: IO[str], timeout: float) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._timeout = timeout
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
            application = own_application(source, settings=Settings(access_log=False), log_level=level)
        except PyjobError as error:
            self._find(f"it does not start: {error}")
        else:
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
        client = Client(application)
        for one in sample_requests(job.endpoints):
            self._begin(str(one))
            failure = _failure(client, one)
            if failure is not None:
                self._find(f"{one}: {failure}", "broken-sample")
        if job.metrics is not None:
            self._begin(METRICS)
            count = _COUNT.search(client.get("/metrics").get_data(as_text=True))
            if count and float(count[1]):
                self._find("; ".join(self._warnings) or "metrics() of the job is wrong", "metrics")

    def _begin(self, stage: str) -> None:
        self._warnings, self._place = [], ("", None)
        faulthandler.dump_traceback_later(self._timeout, exit=True, file=self._stream)
        self._send({"begin": stage, "file": self._entry})

    def _find(self, message: str, rule: str = "start", *, is_error: bool = True) -> None:
        file, line = self._place if self._place[0] else (self._entry, None)
        severity = (Severity.ERROR if is_error else Severity.WARNING).value
        found = {"rule": rule, "severity": severity, "message": message, "file": file, "line": line}
        self._send({"finding": found})

    def _send(self, event: Mapping[str, object]) -> None:
        self._stream.write(f"{json.dumps(event)}\n")


def _failure(client: Client, one: SampleRequest) -> str | None:
    try:
        # Read to its end: a stream may break off.
        return failure_of(client.open(one.url, method=one.method, json=one.body, buffered=True))
    except Exception as error:  # noqa: BLE001  whatever breaks a stream
        return f"the answer broke off ({type(error).__name__})"
