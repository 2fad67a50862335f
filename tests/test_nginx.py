"""Behind Debian's nginx with TLS, by the configuration that `pyjob render nginx` prints (SPEC 8.3, 9)."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from pyjob.cli import main
from tests.access_job import TARGETS, TOKEN, WORD, make_guarded, model
from tests.access_model import Judgement, decoded, is_refused, raw_path
from tests.conftest import MakeJob
from tests.judged import sendable
from tests.nginx import Nginx, documented, faults_of, needs_nginx, nginx, rendered, with_location
from tests.raw_http import RawAnswer, RawClient
from tests.servers import pyjob_run, started
from tests.spellings import HEADERS, METHODS, USUAL_PREFIXES, prefixed, shown, spellings

pytestmark = needs_nginx()

WITH_TOKEN = ("X-Racetrack-Auth", TOKEN)
# What a caller may send to pass for somebody else.
PRETENDED = (
    ("X-Forwarded-For", "192.0.2.1"),
    ("X-Forwarded-Proto", "http"),
    ("X-Forwarded-Host", "other.example"),
    ("X-Forwarded-Port", "1"),
    ("X-Forwarded-By", "192.0.2.2"),
    ("Forwarded", "for=192.0.2.3;host=other.example;proto=http"),
)
MEGABYTE = 1024 * 1024


@contextmanager
def behind(folder: Path, location: str = "") -> Iterator[Nginx]:
    """nginx before two servers of the guarded job, the second below /ml, with another ``location``."""
    job, store = make_guarded(folder)
    options = ("--access", str(store), "--trusted-proxy", "127.0.0.1", "--no-access-log")
    with ExitStack() as stack:
        ports = []
        for more in ((), ("--url-prefix", "/ml")):
            server = stack.enter_context(started(pyjob_run(job, *options, *more)))
            server.wait_until("/ready", 200)
            ports.append(server.port)
        root, below = (
            rendered(job, "--upstream", f"127.0.0.1:{port}", *more)
            for port, more in zip(ports, ((), ("--prefix", "/ml")), strict=True)
        )
        # As for another job, which has another name.
        group, _, rest = re.sub(r"(\bupstream |//|zone )[-\w]+", r"\1other", below).partition("\nserver {")
        [second] = re.findall(r"    location /ml/ \{.*?\n    \}\n", rest, re.DOTALL)
        configuration = group + with_location(root, second + location)
        yield stack.enter_context(nginx(configuration, folder))


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    with behind(tmp_path_factory.mktemp("front")) as one:
        yield one


@pytest.fixture
def client(front: Nginx) -> Iterator[RawClient]:
    with front.client() as one:
        yield one


def targets_of(methods: Iterable[str] | None = None, every: int = 1) -> Iterator[tuple[str, bytes]]:
    """Spellings of all targets, each by its own method or by all ``methods``; one of ``every`` so many."""
    for own, path, through in TARGETS:
        for target in [*spellings(path, through)][::every]:
            for method in methods or (own,):
                yield method, target


def is_of_nginx(answer: RawAnswer) -> bool:
    """Whether nginx has refused it by itself."""
    return b"<center>nginx" in answer.body or (answer.status, answer.body) in ((400, b""), (405, b""))


def test_a_token_lets_in_over_tls_and_without_one_nobody_is(client: RawClient) -> None:
    refused = client.ask("POST", b"/api/v1/told")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
    for header in (WITH_TOKEN, ("Authorization", f"Bearer {TOKEN}")):
        answer = client.ask("POST", b"/api/v1/told", [header])
        assert (answer.status, json.loads(answer.body)) == (200, {"ran": "ran-told"})
    assert client.ask("POST", b"/perform").status == 200


def test_the_job_hears_of_scheme_host_and_address_and_not_what_a_caller_pretends(
    front: Nginx, client: RawClient
) -> None:
    for headers in ((), PRETENDED, *([one] for one in PRETENDED)):
        seen = client.ask("GET", b"/webview/open/x", headers).headers["x-seen"]
        assert seen.split()[:3] == ["https", f"127.0.0.1:{front.port}", "127.0.0.1"], headers
        assert "other.example" not in seen
        assert "192.0.2." not in seen


@pytest.mark.parametrize("prefix", ["", "/ml"])
def test_links_stay_on_the_host_and_below_the_prefix(client: RawClient, prefix: str) -> None:
    home = client.ask("GET", f"{prefix}/".encode(), [WITH_TOKEN])
    assert (home.status, home.headers["location"]) == (307, f"{prefix}/docs")
    view = client.ask("GET", f"{prefix}/webview".encode(), [WITH_TOKEN])
    assert (view.status, view.headers["location"]) == (307, f"{prefix}/webview/")
    document = json.loads(client.ask("GET", f"{prefix}/openapi.json".encode(), [WITH_TOKEN]).body)
    assert [server["url"] for server in document["servers"]] == [prefix or "/"]


@pytest.mark.parametrize("prefix", ["", "/ml"])
def test_a_browser_signs_in_over_tls_and_its_cookie_is_for_pages_of_this_host(
    front: Nginx, client: RawClient, prefix: str
) -> None:
    own = ("Origin", f"https://127.0.0.1:{front.port}")
    form = urlencode({"token": TOKEN, "next": f"{prefix}/docs"}).encode()
    typed = ("Content-Type", "application/x-www-form-urlencoded")
    sign_in = f"{prefix}/sign-in".encode()
    signed_in = client.ask("POST", sign_in, [typed, own], form)
    assert (signed_in.status, signed_in.headers["location"]) == (303, f"{prefix}/docs")
    cookie, *attributes = signed_in.headers["set-cookie"].split("; ")
    assert {"Secure", "HttpOnly", "SameSite=Strict", f"Path={prefix or '/'}"} <= set(attributes)
    closed = f"{prefix}/webview/closed".encode()
    told = {
        origin: client.ask("POST", closed, [("Cookie", cookie), ("Origin", origin)]).status
        for origin in (own[1], "https://other.example", f"http://127.0.0.1:{front.port}", "https://127.0.0.1")
    }
    assert told == dict.fromkeys(told, 403) | {own[1]: 200}
    assert client.ask("POST", sign_in, [typed, ("Origin", "https://other.example")], form).status == 403


def test_nothing_closed_runs_through_nginx_and_what_is_open_does_or_is_refused(client: RawClient) -> None:
    judge, problems, refused = model(), [], 0
    for method, target in targets_of(every=3):
        answer = client.ask(method, target)
        ran = set(WORD.findall(answer.body))
        if is_of_nginx(answer):
            refused += 1
            expected: set[bytes | None] = set()
            is_right = answer.status in (400, 405)
        elif judge.judge(target) is Judgement.OPEN:
            expected = {judge.runs(target, method)} - {None}
            is_right = answer.status not in (400, 401, 403)
        else:
            expected = set()
            is_right = answer.status == (401 if judge.judge(target) is Judgement.CLOSED else 400)
        if not is_right or ran != expected:
            problems.append(f"{method} {shown(target)}: {judge.judge(target)}, was {answer}"[:250])
    assert not problems, "\n".join(problems[:40])
    assert refused > 30


@pytest.mark.parametrize("prefix", [*USUAL_PREFIXES[1:], b"/ml", b"/ml/pub/fatman/x/1"])
def test_no_method_opens_what_is_closed_through_nginx(client: RawClient, prefix: bytes) -> None:
    """Below /ml, nginx has decoded and tidied what came: no more may run there than what is open."""
    judge, problems = model(), []
    words = {route.word for route in judge.routes}
    for method, target in targets_of(METHODS, every=61):
        spelled = prefixed(prefix, target)
        answer = client.ask(method, spelled)
        ran = set(WORD.findall(answer.body))
        expected = {judge.runs(spelled, method)} if not prefix.startswith(b"/ml") else words
        if not ran <= expected or answer.status == 0:
            problems.append(f"{method} {shown(spelled)}: {answer}"[:250])
    assert not problems, "\n".join(problems[:40])


def test_no_header_opens_what_is_closed_through_nginx(client: RawClient) -> None:
    more = (("X_Racetrack_Auth", TOKEN), ("X-Racetrack_Auth", TOKEN))
    for name, value in (*HEADERS, *more, *PRETENDED):
        for method, target, _ in TARGETS:
            if model().judge(target) is Judgement.CLOSED:
                answer = client.ask(method, target, [(name, value.replace("OPEN", "/api/v1/perform"))])
                assert answer.status in (400, 401), (name, value, target)
                assert not WORD.search(answer.body)


def test_a_location_of_nginx_that_names_every_path_sees_all_spellings(tmp_path: Path) -> None:
    """Who has a token may run everything else, and nothing that nginx keeps for itself."""
    kept = 0
    with behind(tmp_path, documented("location ~ ")) as front, front.client() as client:
        assert client.ask("POST", b"/perform", [WITH_TOKEN]).status == 403
        assert client.ask("POST", b"/told", [WITH_TOKEN]).status == 200
        for prefix in USUAL_PREFIXES:
            for path, through in ((b"/perform", b"/live"), (b"/api/v1/perform", b"/api/v1/static/open")):
                for target in spellings(path, through):
                    answer = client.ask("POST", prefixed(prefix, target), [WITH_TOKEN])
                    assert b"ran-perform" not in answer.body, shown(prefixed(prefix, target))
                    kept += answer.status == 403
    assert kept > 100


def test_nginx_sees_the_path_that_is_judged_or_one_of_both_refuses_it(tmp_path: Path) -> None:
    """It tells how it reads a path: decoded, without dots and doubled slashes."""
    job, _ = make_guarded(tmp_path)
    told = 'location ~ ^ { default_type text/plain; return 200 "$uri"; }'
    agreed = 0
    with nginx(with_location(rendered(job), told), tmp_path) as front, front.client() as client:
        for prefix in USUAL_PREFIXES:
            for _, target in targets_of(every=5):
                spelled = prefixed(prefix, target)
                answer = client.ask("GET", spelled)
                ours = path_of(spelled)
                assert answer.status in (200, 400), shown(spelled)
                if answer.status == 200 and ours is not None:
                    assert answer.body == ours, shown(spelled)
                    agreed += 1
    assert agreed > 1000


def path_of(target: bytes) -> bytes | None:
    """The whole path of ``target`` as pyjob sees it, by the model; None where it is refused."""
    path = decoded(raw_path(target)) or b"/"
    return path if sendable(target) and not is_refused(path) else None


@pytest.mark.parametrize("method", ["POST", "GET"], ids=["call", "web view"])
def test_a_stream_goes_on_at_once(front: Nginx, tmp_path: Path, method: str) -> None:
    """The job makes the last piece only after the first one has come through."""
    until = tmp_path / "until"
    target = "/api/v1/stream" if method == "POST" else f"/webview/open/pieces?{until}"
    headers = dict([WITH_TOKEN, ("Accept", "text/event-stream"), ("Content-Type", "application/json")])
    context = ssl.create_default_context(cafile=str(front.certificate))
    with closing(http.client.HTTPSConnection("127.0.0.1", front.port, timeout=60, context=context)) as one:
        one.request(method, target, json.dumps({"until": str(until)}), headers)
        answer = one.getresponse()
        assert answer.status == 200
        seen = b""
        while b"first" not in seen:
            piece = answer.read1()
            assert piece, seen
            seen += piece
        assert b"last" not in seen
        until.touch()
        assert b"last" in seen + answer.read()


def test_a_long_upload_comes_whole(client: RawClient) -> None:
    headers = [WITH_TOKEN, ("Content-Type", "application/octet-stream")]
    answer = client.ask("POST", b"/upload", headers, b"x" * 5 * MEGABYTE)
    assert (answer.status, json.loads(answer.body)) == (200, 5 * MEGABYTE)


@contextmanager
def gone_wrong(*, listens: bool) -> Iterator[int]:
    """The port of a process that refuses connections, or that takes one request and ends."""
    with socket.create_server(("127.0.0.1", 0)) if listens else socket.socket() as broken:
        if not listens:
            broken.bind(("127.0.0.1", 0))
        answering = threading.Thread(target=_take_one, args=(broken,)) if listens else None
        if answering:
            answering.start()
        yield int(broken.getsockname()[1])
        if answering:
            answering.join(60)


def _take_one(listening: socket.socket) -> None:
    with listening, listening.accept()[0] as connection:
        connection.recv(65536)


@pytest.mark.parametrize("listens", [False, True], ids=["never sent", "sent"])
def test_a_call_is_repeated_elsewhere_only_where_it_was_never_sent(
    make_job: MakeJob, tmp_path: Path, listens: bool
) -> None:
    job = make_job("class Job:\n    def perform(self): ...\n")
    with ExitStack() as stack:
        server = stack.enter_context(started(pyjob_run(job)))
        server.wait_until("/ready", 200)
        broken = stack.enter_context(gone_wrong(listens=listens))
        upstreams = [word for port in (broken, server.port) for word in ("--upstream", f"127.0.0.1:{port}")]
        front = stack.enter_context(nginx(rendered(job, *upstreams), tmp_path))
        with front.client() as client:
            answers = sorted(client.ask("POST", b"/perform").status for _ in range(4))
        assert answers == ([200, 200, 200, 502] if listens else [200] * 4)
        server.wait_until_metric("requests_started_total", answers.count(200))


# What is printed.


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--upstream", "127.0.0.1:7001", "--upstream", "[::1]:7002"),
        ("--prefix", "/ml/a.b+c~d/", "--server-name", "x-1.example.com"),
    ],
)
@pytest.mark.parametrize("extra", [{}, {"max_body_size": "7999P", "queue_timeout": 1e9, "stuck_after": 0.5}])
def test_nginx_finds_no_fault_in_what_is_printed(
    make_job: MakeJob, tmp_path: Path, options: tuple[str, ...], extra: dict[str, object]
) -> None:
    job = make_job("class Job:\n    def perform(self): ...\n", fields="version: 1.0.0-rc.1+b", extra=extra)
    assert faults_of(rendered(job, *options), tmp_path) == ""


def test_nginx_finds_a_fault_where_there_is_one(make_job: MakeJob, tmp_path: Path) -> None:
    configuration = rendered(make_job("class Job:\n    def perform(self): ...\n"))
    assert "unknown directive" in faults_of(configuration.replace("least_conn", "most_conn"), tmp_path)


def test_limits_of_the_manifest_are_those_of_nginx(make_job: MakeJob) -> None:
    code = "class Job:\n    def perform(self): ...\n"
    assert "proxy_read_timeout 3600s;" in rendered(make_job(code))
    extra = {"max_body_size": "3Mi", "queue_timeout": 0.5, "stuck_after": 60, "max_concurrency": 1}
    configuration = rendered(make_job(code, extra=extra))
    assert f"client_max_body_size {3 * MEGABYTE};" in configuration
    assert "proxy_read_timeout 61s;" in configuration


def test_who_comes_without_tls_is_sent_on_with_his_call(front: Nginx) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", front.plain_port, timeout=60)) as one:
        one.request("POST", "/perform?x=1", b"{}", {"Host": "other.example"})
        answer = one.getresponse()
        # 308, since at 301 callers would make a GET of it.
        assert (answer.status, answer.headers["Location"]) == (308, "https://localhost/perform?x=1")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--server-name", "a;b"),
        ("--server-name", "a b"),
        ("--server-name", "a\nb"),
        ("--server-name", "a..b"),
        ("--server-name", ""),
        ("--upstream", "a"),
        ("--upstream", "a:1; }"),
        ("--prefix", "ml"),
        ("--prefix", "/a b"),
        ("--prefix", "/a;b"),
        ("--prefix", "/../a"),
        ("--prefix", "//a"),
        ("--prefix", "/{a}"),
        ("--prefix", "/$a"),
        ("--prefix", "/"),
        ("--certificate", "/a b"),
        ("--certificate", "a"),
        ("--certificate-key", "/$a"),
    ],
)
def test_what_would_mean_something_else_to_nginx_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["render", "nginx", "--server-name", "localhost", option, value])
    assert ended.value.code == 2
    assert f"argument {option}: expected" in capsys.readouterr().err
