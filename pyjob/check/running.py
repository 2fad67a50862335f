"""The part of a check that runs the job (`--run`): it loads, its samples are sent, its metrics are read.

In a process of its own (trial.py), since the job may hang, with the interpreter's lock held or not, end the
process or crash it. It says what it is about to do and what it has found, a line of JSON each; a watchdog
ends it when one of these things takes too long, and says where it was.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

from pyjob.check.finding import Finding, Severity

LOADING, METRICS = "loading", "metrics()"
_RULES = {LOADING: "start", METRICS: "metrics"}  # anything else is a sample
_CHILD = """
import json, sys
arguments = json.loads(sys.argv[1])
sys.path[:] = arguments.pop("sys_path")
import pyjob.check.trial
pyjob.check.trial.run_in_this_process(**arguments)
"""
_GRACE = 5.0  # for the watchdog; a job may have called it off
_FRAME = re.compile(r'  File "(.+)", line (\d+) in ')


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
        # Begins every line of ours: the job may write to any descriptor.
        self._mark = token_hex(8)
        self._events, sending = os.pipe()
        arguments = {
            "path": None if path is None else str(path),
            "manifest_file": None if manifest_file is None else str(manifest_file),
            "timeout": timeout,
            "events": sending,
            "sys_path": sys.path,
            "mark": self._mark,
        }
        # In a group of its own, so that it ends together with what it has started and not set free; -P, so
        # that no file of the current folder is taken for a library.
        self._process = subprocess.Popen(  # nosec B603 # this interpreter, without a shell
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
            if not line.startswith(self._mark):
                dump.append(line)
                continue
            event = json.loads(line.removeprefix(self._mark))
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
