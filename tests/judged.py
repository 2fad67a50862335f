"""Answers held against the model of access, and an application that is asked without a server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

import pyjob
from tests.access_job import BASE_URL, ROUTES, TOKEN, WORD, runs_by
from tests.access_model import Judgement, Model, decoded, raw_path
from tests.raw_http import Header, RawAnswer
from tests.spellings import shown

# What tells the job that it ran; a file cannot.
COUNTED = {route.word for route in ROUTES if b"file" not in route.word}
BARE = EnvironBuilder("/").get_environ()


@dataclass
class Judge:
    """Holds answers to requests without a token against the model; ``problems`` says where they differ."""

    model: Model
    problems: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    runs: Counter[bytes] = field(default_factory=Counter)

    def see(self, method: str, target: bytes, answer: RawAnswer, remark: object = "") -> None:
        """Note what is wrong with ``answer``, if anything."""
        judgement = self.model.judge(target)
        ran = set(WORD.findall(answer.body))
        expected: set[bytes] = set()
        if judgement is Judgement.OPEN:
            word = self.model.runs(target, method)
            self.runs[word or b""] += 1
            expected = {word} if word is not None and method != "HEAD" else set()
            is_right = answer.status == 200 if word is not None else answer.status not in (0, 400, 401, 403)
            if word == b"ran-webview" and method != "HEAD":
                is_right = is_right and self.is_told_right(target, answer.body)
        else:
            is_right = answer.status == (401 if judgement is Judgement.CLOSED else 400)
        self.seen[judgement.name] += 1
        if not is_right or ran != expected:
            was = f"{answer.status} {answer.body[:80]!r}"
            self.problems.append(f"{method} {shown(target)} {remark}: {judgement.value}, and was {was}")

    def is_told_right(self, target: bytes, body: bytes) -> bool:
        """Whether the web application saw the very path that was judged."""
        path = self.model.path(target) or b""
        rest = path.removeprefix(b"/api/v1").removeprefix(b"/webview")
        return body == b"ran-webview:" + BASE_URL.encode() + rest

    def check(self, ran: Mapping[str, int]) -> None:
        """Fail with what was wrong; ``ran`` is how often what has run meanwhile, as the job itself counts."""
        assert not self.problems, f"{len(self.problems)} of {self.seen}:\n" + "\n".join(self.problems[:40])
        assert all(self.seen[judgement.name] for judgement in Judgement)
        assert ran == {word.decode(): self.runs[word] for word in COUNTED if self.runs[word]}


class InProcess:
    """Asks an application as a server would that decodes paths once and does nothing else to them."""

    def __init__(self, folder: Path, store: Path) -> None:
        self._folder = folder
        settings = pyjob.Settings(access_log=False)
        self.application = pyjob.create(folder, load="now", access=store, settings=settings)

    def close(self) -> None:
        """End it, and leave no module of its job to the tests that follow."""
        self.application.close(grace=0)
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(str(self._folder)):
                del sys.modules[name]

    def ask(
        self, method: str, target: bytes, headers: Iterable[Header] = (), mount: str = "", **environ: Any
    ) -> RawAnswer:
        """The answer for ``target`` below ``mount``; headers of one name are joined, as servers do."""
        environ = {
            **BARE,
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": mount,
            "PATH_INFO": decoded(raw_path(target)).decode("latin-1"),
            "QUERY_STRING": target.partition(b"#")[0].partition(b"?")[2].decode("latin-1"),
            **environ,
        }
        for name, value in headers:
            key = f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = f"{environ[key]}, {value}" if key in environ and name != "Host" else value
        body, status, given = run_wsgi_app(self.application, environ, buffered=True)
        names = {name.lower(): value for name, value in given}
        return RawAnswer(int(status[:3]), names, b"".join(body))

    def ran(self) -> dict[str, int]:
        """How often what has run, by its word."""
        return runs_by(self.ask("GET", b"/metrics", [("X-Racetrack-Auth", TOKEN)]).body.decode())


def sendable(target: bytes) -> bool:
    """Whether a server lets an application see ``target`` at all."""
    return all(0x20 < byte < 0x7F for byte in target)
