"""A rolling update, as a cluster makes one: processes replaced one by one under load, and no call fails."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.conftest import MakeJob
from tests.nginx import Nginx, needs_nginx, nginx, rendered
from tests.servers import PATIENCE, Server, pyjob_run, started

pytestmark = needs_nginx()

JOB = """
import time
class Job:
    def perform(self, n: int, seconds: float = 0.0):
        time.sleep(seconds)
        return n
"""
CALLERS = 6
# Now and then a call that outlasts what comes after it.
LONG_CALL, EVERY = 0.5, 25


@dataclass
class Load:
    """Callers of ``front`` that call, on a new connection each time, until they are told to end."""

    front: Nginx
    answers: Counter[str] = field(default_factory=Counter)
    _ends: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._call_on) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ends.set()
            for thread in threads:
                thread.join(PATIENCE)

    @property
    def count(self) -> int:
        with self._lock:
            return self.answers.total()

    def wait_for(self, more: int) -> None:
        """Until so many more calls have been answered, well or not."""
        until = self.count + more
        deadline = time.monotonic() + 5 * PATIENCE
        while self.count < until:
            assert time.monotonic() < deadline, self.answers
            time.sleep(0.01)

    def _call_on(self) -> None:
        context = ssl.create_default_context(cafile=str(self.front.certificate))
        while not self._ends.is_set():
            with self._lock:
                number = next(self._numbers)
            try:
                told = self._call(number, context)
            except (OSError, http.client.HTTPException) as error:
                told = repr(error)
            with self._lock:
                self.answers[told] += 1

    def _call(self, number: int, context: ssl.SSLContext) -> str:
        body = {"n": number, "seconds": 0.0 if number % EVERY else LONG_CALL}
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.front.port, timeout=PATIENCE, context=context
        )
        with closing(connection):
            connection.request("POST", "/perform", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        is_right = (answer.status, content) == (200, str(number).encode())
        return "right" if is_right else f"{answer.status} {content!r}"


def options_of_pods(job: Path, *options: str) -> list[str]:
    """What `pyjob run` is told by `pyjob render kubernetes`, less what belongs to a container."""
    command = [sys.executable, "-m", "pyjob", "render", "kubernetes", str(job), "--image", "x", *options]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout
    [deployment] = [one for one in yaml.safe_load_all(text) if one["kind"] == "Deployment"]
    arguments: list[str] = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    for name in ("--port", "--workdir"):
        at = arguments.index(name)
        del arguments[at : at + 2]
    return arguments


@dataclass
class Rollout:
    """Two processes of ``job`` behind nginx, each of which can be replaced."""

    job: Path
    options: list[str]
    stack: ExitStack
    servers: list[Server] = field(default_factory=list)

    def start(self) -> None:
        """One more, once it is ready."""
        server = self.stack.enter_context(started(pyjob_run(self.job, *self.options, "--no-access-log")))
        server.wait_until("/ready", 200)
        self.servers.append(server)

    def configuration(self) -> str:
        return rendered(
            self.job, *(word for one in self.servers for word in ("--upstream", f"127.0.0.1:{one.port}"))
        )

    def replace(self, load: Load) -> None:
        """As Kubernetes does: a new one, then the oldest is told to end while calls are still sent there."""
        self.start()
        oldest = self.servers.pop(0)
        configuration = self.configuration()
        oldest.process.terminate()
        load.wait_for(20)
        load.front.reload(configuration)
        assert oldest.process.wait(PATIENCE) == 0


@contextmanager
def rolled_out(job: Path, folder: Path, options: list[str]) -> Iterator[tuple[Rollout, Load]]:
    with ExitStack() as stack:
        rollout = Rollout(job, options, stack)
        for _ in range(2):
            rollout.start()
        front = stack.enter_context(nginx(rollout.configuration(), folder))
        load = Load(front)
        with load.going_on():
            load.wait_for(50)
            yield rollout, load


def test_while_processes_are_replaced_no_call_fails(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job(JOB)
    options = options_of_pods(job, "--drain-delay", "1")
    with rolled_out(job, tmp_path, options) as (rollout, load):
        for _ in range(2):
            rollout.replace(load)
        load.wait_for(30)
    assert set(load.answers) == {"right"}


@pytest.mark.slow
def test_while_processes_are_replaced_none_of_5000_calls_fails(make_job: MakeJob, tmp_path: Path) -> None:
    """With what is rendered where nobody chooses anything: ten seconds of delay, and thirty of grace."""
    job = make_job(JOB)
    replaced = 0
    with rolled_out(job, tmp_path, options_of_pods(job)) as (rollout, load):
        while replaced < 4 or load.count < 5000:
            rollout.replace(load)
            replaced += 1
    print(f"{load.count} calls, {replaced} processes replaced: {dict(load.answers)}")
    assert set(load.answers) == {"right"}
