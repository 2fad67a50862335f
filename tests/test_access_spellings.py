"""No way of writing a path opens what is closed: against a model, in process and over sockets (SPEC 8)."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.access_job import ROUTES, TARGETS, TOKEN, WORD, WRONG_TOKEN, make_guarded, model, runs_by
from tests.access_model import Judgement
from tests.callers import connect, pipe, released
from tests.conftest import MakeJob
from tests.judged import InProcess, Judge, sendable
from tests.raw_http import Header, RawClient
from tests.servers import PATIENCE, Server, pyjob_run, started
from tests.spellings import HEADERS, METHODS, PREFIXES, USUAL_PREFIXES, prefixed, shown, spellings

MOUNTS = ("", "/mounted")
# Of each kind one, for what is tried with every method: open, closed, and with a web application behind it.
MAIN_TARGETS = tuple(
    (path, through)
    for _, path, through in TARGETS
    if path in (b"/api/v1/perform", b"/api/v1/told", b"/webview/closed")
)
OPEN_PATH = "/api/v1/perform"
# On every one of them, nobody is let in by what he claims.
CLAIMS: tuple[tuple[Header, ...], ...] = (
    (("X-Racetrack-Auth", WRONG_TOKEN),),
    (("X-Racetrack-Auth", ""),),
    (("X-Racetrack-Auth", " "),),
    (("X-Racetrack-Auth", TOKEN[:-1]),),
    (("X-Racetrack-Auth", TOKEN + "x"),),
    (("X-Racetrack-Auth", TOKEN.upper()),),
    (("X-Racetrack-Auth", f'"{TOKEN}"'),),
    (("X-Racetrack-Auth", f"Bearer {TOKEN}"),),
    (("X-Racetrack-Auth", f"{TOKEN}, {TOKEN}"),),
    (("X-Racetrack-Auth", f"{WRONG_TOKEN}, {TOKEN}"),),
    (("X-Racetrack-Auth", "t" * 100_000),),
    (("X-Racetrack-Auth", "pyjob_\xe9\xff"),),
    (("Authorization", TOKEN),),
    (("Authorization", f"Basic {TOKEN}"),),
    (("Authorization", "Bearer"),),
    (("Authorization", "Bearer "),),
    (("Authorization", f"Bearer {WRONG_TOKEN}"),),
    (("Authorization", f"Bearer {TOKEN} {TOKEN}"),),
    (("Authorization", f"Bearer {TOKEN}, Bearer {TOKEN}"),),
    (("X-Racetrack-Auth", TOKEN), ("Authorization", f"Bearer {WRONG_TOKEN}")),
    (("X-Racetrack-Auth", WRONG_TOKEN), ("Authorization", f"Bearer {TOKEN}")),
    (("X-Racetrack-Auth", ""), ("Authorization", f"Bearer {TOKEN}")),
    (("X-Racetrack-Auth", WRONG_TOKEN), ("Cookie", f"X-Racetrack-Auth={TOKEN}")),
    (("Cookie", f"X-Racetrack-Auth={WRONG_TOKEN}"),),
    (("Cookie", f"x-racetrack-auth={TOKEN}"),),
    (("Cookie", f"X-Racetrack-Auth={WRONG_TOKEN}; X-Racetrack-Auth={TOKEN}"),),
    (("Cookie", f"other=X-Racetrack-Auth={TOKEN}"),),
    (("X-Caller-Name", "alice"),),
    (("Proxy-Authorization", f"Bearer {TOKEN}"),),
    (("X-Forwarded-Racetrack-Auth", TOKEN),),
)
# A browser has sent the cookie, but the page of another site has made it do so.
FOREIGN: tuple[tuple[Header, ...], ...] = (
    (("Sec-Fetch-Site", "cross-site"),),
    (("Sec-Fetch-Site", "same-site"),),
    (("Sec-Fetch-Site", ""),),
    (("Sec-Fetch-Site", "nonsense"),),
    (("Origin", "https://other.example"),),
    (("Origin", "null"),),
    (("Origin", ""),),
    (("Origin", "http://localhost.other.example"),),
    (("Origin", "http://localhost:1"),),
    (("Sec-Fetch-Site", "cross-site"), ("Origin", "http://localhost")),
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The job and its store."""
    return make_guarded(tmp_path_factory.mktemp("guarded"))


@pytest.fixture
def in_process(guarded: tuple[Path, Path]) -> Iterator[InProcess]:
    one = InProcess(*guarded)
    yield one
    one.close()


@pytest.fixture(scope="module")
def server(guarded: tuple[Path, Path]) -> Iterator[Server]:
    folder, store = guarded
    with started(pyjob_run(folder, "--access", str(store), "--no-access-log")) as one:
        one.wait_until("/ready", 200)
        yield one


def test_the_grammar_generates_many_spellings_of_each_target() -> None:
    for _, path, through in TARGETS:
        assert len({*spellings(path, through)}) >= 80


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("prefix", USUAL_PREFIXES)
def test_no_spelling_opens_what_is_closed_to_any_method(
    in_process: InProcess, prefix: bytes, mount: str
) -> None:
    judge = Judge(model())
    for path, through in MAIN_TARGETS:
        for target in {prefixed(prefix, one) for one in spellings(path, through) if sendable(one)}:
            for method in METHODS:
                judge.see(method, target, in_process.ask(method, target, mount=mount))
    judge.check(in_process.ran())


@pytest.mark.parametrize("mount", MOUNTS)
@pytest.mark.parametrize("prefix", USUAL_PREFIXES)
def test_no_spelling_opens_any_kind_of_endpoint(in_process: InProcess, prefix: bytes, mount: str) -> None:
    judge = Judge(model())
    for method, path, through in TARGETS:
        for target in {prefixed(prefix, one) for one in spellings(path, through) if sendable(one)}:
            judge.see(method, target, in_process.ask(method, target, mount=mount))
    judge.check(in_process.ran())


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_prefix_counts_once_and_only_whole(in_process: InProcess, mount: str) -> None:
    judge = Judge(model())
    for method, path, _ in TARGETS:
        for one in PREFIXES:
            for two in PREFIXES:
                judge.see(method, one + two + path, in_process.ask(method, one + two + path, mount=mount))
    judge.check(in_process.ran())


def test_what_is_open_runs_as_it_does_with_a_token(in_process: InProcess) -> None:
    token = [("X-Racetrack-Auth", TOKEN)]
    ran = set()
    for method, path, through in TARGETS:
        for target in {one for one in spellings(path, through) if sendable(one)}:
            if model().judge(target) is Judgement.OPEN:
                without, with_token = in_process.ask(method, target), in_process.ask(method, target, token)
                words = WORD.findall(without.body)
                assert (without.status, words) == (with_token.status, WORD.findall(with_token.body)), target
                ran.update(words)
    assert ran == {route.word for route in ROUTES}


@pytest.mark.parametrize("mount", MOUNTS)
def test_no_header_opens_what_is_closed_or_closes_what_is_open(in_process: InProcess, mount: str) -> None:
    judge = Judge(model())
    paths = [(method, one) for method, path, _ in TARGETS for one in (path, path + b"/../x")]
    for name, value in HEADERS:
        for value in {
            value.replace("OPEN", open_path) for open_path in (OPEN_PATH, "/webview/open", "/live")
        }:
            for method, target in paths:
                answer = in_process.ask(method, target, [(name, value)], mount)
                judge.see(method, target, answer, f"with {name}: {value}")
    judge.check(in_process.ran())


def test_nobody_is_let_in_by_what_is_no_token(in_process: InProcess) -> None:
    judge = Judge(model())
    for claim in CLAIMS:
        for method, target, _ in TARGETS:
            judge.see(method, target, in_process.ask(method, target, claim), f"with {claim}"[:200])
    for query in (f"token={TOKEN}", f"X-Racetrack-Auth={TOKEN}", f"access_token={TOKEN}", TOKEN):
        for method, path, _ in TARGETS:
            target = path + b"?" + query.encode()
            judge.see(method, target, in_process.ask(method, target), "with a token in the query")
    for value in (f"{TOKEN}\0", f"\0{TOKEN}", f"{TOKEN}\n", f" {TOKEN}"):
        for method, target, _ in TARGETS:
            answer = in_process.ask(method, target, HTTP_X_RACETRACK_AUTH=value)
            judge.see(method, target, answer, f"with {value!r}")
    judge.problems += [] if model().judge(b"//") is Judgement.REFUSED else ["// is not refused"]
    judge.see("GET", b"//", in_process.ask("GET", b"//"))
    judge.check(in_process.ran())


def test_a_cookie_that_a_foreign_page_has_sent_opens_nothing(in_process: InProcess) -> None:
    for headers in FOREIGN:
        for method, target, _ in TARGETS:
            if model().judge(target) is Judgement.CLOSED:
                answer = in_process.ask(method, target, [("Cookie", f"X-Racetrack-Auth={TOKEN}"), *headers])
                assert answer.status == 403, (method, target, headers)
                assert not WORD.search(answer.body)
    assert in_process.ran() == {}


def test_without_a_word_of_the_browser_a_cookie_changes_nothing(in_process: InProcess) -> None:
    cookie = [("Cookie", f"X-Racetrack-Auth={TOKEN}")]
    for method in METHODS:
        status = in_process.ask(method, b"/api/v1/webview/closed", cookie).status
        assert status == (200 if method in ("GET", "HEAD", "OPTIONS") else 403), method


# Over sockets: what a server makes of a target before the application sees it.


def every_target() -> Iterator[tuple[str, bytes]]:
    """Every spelling of every target, and those of the main ones below prefixes and by every method."""
    for method, path, through in TARGETS:
        for target in spellings(path, through):
            yield method, target
    for path, through in MAIN_TARGETS:
        for number, prefix in enumerate(USUAL_PREFIXES):
            for at, target in enumerate(spellings(path, through)):
                # Each spelling meets one method here, and every method many of them.
                yield METHODS[(at + number) % len(METHODS)], prefixed(prefix, target)


def judged(server: Server, judge: Judge, requests: Iterable[tuple[str, bytes]]) -> None:
    """Send ``requests`` without a token, and hold the answers against the model."""
    before = Counter(ran_at(server))
    with RawClient.to(server.port) as client:
        for method, target in dict.fromkeys(requests):
            judge.see(method, target, client.ask(method, target))
    judge.check(Counter(ran_at(server)) - before)


def ran_at(server: Server) -> dict[str, int]:
    with RawClient.to(server.port) as client:
        return runs_by(client.ask("GET", b"/metrics", [("X-Racetrack-Auth", TOKEN)]).body.decode())


def test_no_spelling_opens_what_is_closed_over_a_socket(server: Server) -> None:
    judged(server, Judge(model()), every_target())


@pytest.mark.parametrize("prefix", USUAL_PREFIXES)
def test_no_method_opens_what_is_closed_over_a_socket(server: Server, prefix: bytes) -> None:
    some = [
        prefixed(prefix, one) for path, through in MAIN_TARGETS for one in [*spellings(path, through)][::7]
    ]
    judged(server, Judge(model()), ((method, target) for method in METHODS for target in some))


def test_a_target_that_no_address_has_is_answered_and_no_fault_of_the_server(server: Server) -> None:
    with RawClient.to(server.port) as client:
        for target in (
            b"http://[x/perform",
            b"http://]/perform",
            b"http://[::1/api/v1/told",
            b"http://[::1]x/told",
        ):
            answer = client.ask("POST", target)
            assert answer.status in (400, 401), shown(target)
            assert not WORD.search(answer.body)
    assert "uncaptured" not in server.output


def test_no_header_and_no_claim_opens_what_is_closed_over_a_socket(server: Server) -> None:
    """Servers drop names with underscores, since the environ of WSGI cannot tell them from others."""
    headers = [((name, value.replace("OPEN", OPEN_PATH)),) for name, value in HEADERS if name != "Host"]
    twice = (("X-Racetrack-Auth", TOKEN), ("X-Racetrack-Auth", WRONG_TOKEN))
    claims = [
        *headers,
        *CLAIMS,
        twice,
        twice[::-1],
        (("X_Racetrack_Auth", TOKEN),),
        (("x_racetrack-auth", TOKEN),),
    ]
    claims += [(("Host", "127.0.0.1"), ("Host", value)) for value in ("localhost", "other.example", "")]
    with RawClient.to(server.port) as client:
        for claim in claims:
            for method, target, _ in TARGETS:
                answer = client.ask(method, target, claim)
                judgement = model().judge(target)
                # What is no header at all, or too long, is refused by the server.
                closed = (400, 401, 431) if judgement is Judgement.CLOSED else ()
                opened = model().runs(target, method) or b""
                assert answer.status in (closed or (200, 400, 431)), (str(claim)[:200], target)
                assert set(WORD.findall(answer.body)) <= {opened}, (str(claim)[:200], target)


def test_a_token_with_nul_or_of_100_000_bytes_is_none(server: Server) -> None:
    with RawClient.to(server.port) as client:
        for value in (f"{TOKEN}\0", f"\0{TOKEN}", f"{TOKEN}\x01", "t" * 100_000, f"{TOKEN}{' ' * 99_000}x"):
            for name in ("X-Racetrack-Auth", "Cookie"):
                value = value if name != "Cookie" else f"X-Racetrack-Auth={value}"
                answer = client.ask("POST", b"/api/v1/told", [(name, value)])
                assert answer.status in (400, 401, 431), (name, value[:100])
        assert client.ask("POST", b"/api/v1/told", [("X-Racetrack-Auth", TOKEN)]).status == 200


WAITING = """
    import asyncio

    class Job:
        def __init__(self):
            self.ran = []

        def perform(self, n: int, hold: str = ""):
            self.ran.append(n)
            if hold:
                with open(hold) as pipe:
                    pipe.read()
            return self.ran

        async def wait(self, n: int):
            self.ran.append(n)
            await asyncio.sleep(0.01)
            return self.ran

        def auxiliary_endpoints(self):
            return {"/wait": self.wait}
    """


def call_of(path: str, token: str, **arguments: object) -> bytes:
    body = json.dumps(arguments).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Racetrack-Auth: {token}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def until_metric(server: Server, name: str, value: int) -> None:
    """Ask for the metrics until ``name`` is ``value``."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with await connect(server.port) as caller:
                caller.send(f"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Racetrack-Auth: {TOKEN}\r\n\r\n".encode())
                page = (await caller.answer()).body.decode()
            if re.search(rf"^{name} {value}\.0$", page, re.MULTILINE):
                return
            await asyncio.sleep(0.005)


def test_a_call_that_has_waited_lets_nobody_else_in_on_its_connection(
    make_job: MakeJob, guarded: tuple[Path, Path], tmp_path: Path
) -> None:
    """One that stands in line, or awaits something, is put back and comes again, let in already."""
    folder = make_job(WAITING, extra={"max_concurrency": 1})
    asked = [
        ("/perform", 1, TOKEN),
        ("/perform", 2, ""),
        ("/wait", 3, TOKEN),
        ("/wait", 4, ""),
        ("/perform", 5, ""),
    ]

    async def ask(server: Server, held: Path) -> list[int]:
        async with await connect(server.port) as holding, await connect(server.port) as caller:
            holding.send(call_of("/perform", TOKEN, n=0, hold=str(held)))
            await until_metric(server, "pyjob_calls_running", 1)
            for path, n, token in asked:
                caller.send(call_of(path, token, n=n))
            await until_metric(server, "pyjob_calls_waiting", 1)
            await released(held, [holding])
            return [(await caller.answer()).status for _ in asked]

    with started(pyjob_run(folder, "--access", str(guarded[1]))) as server, pipe(tmp_path) as held:
        server.wait_until("/ready", 200)
        assert asyncio.run(ask(server, held)) == [200, 401, 200, 401, 401]
        with RawClient.to(server.port) as client:
            ran = client.ask("POST", b"/perform", [("X-Racetrack-Auth", TOKEN)], b'{"n": 6}')
        assert json.loads(ran.body) == [0, 1, 3, 6]


@pytest.mark.parametrize("mount", MOUNTS)
def test_no_spelling_opens_what_is_closed_under_waitress_serve(
    guarded: tuple[Path, Path], mount: str
) -> None:
    folder, store = guarded
    command = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:0", f"--url-prefix={mount}"]
    environment = {"PYJOB_ACCESS": str(store)}
    with started([*command, "--call", "pyjob.app:create"], cwd=folder, env=environment) as server:
        server.wait_until("/ready", 200)
        prefix = mount.encode()
        targets = [
            (method, one) for method, path, through in TARGETS for one in [*spellings(path, through)][::5]
        ]
        requests = [*targets, *((method, prefixed(prefix, one)) for method, one in targets)]
        judged(server, Judge(model(prefix)), requests)
