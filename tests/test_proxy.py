"""Whom the headers of a proxy are believed, and what becomes of them (SPEC 9)."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyjob.cli import main
from tests.callers import HELD, Caller, call, hold, pipe, release, until_counted, until_waiting
from tests.conftest import MakeJob
from tests.servers import Server, pyjob_run, started
from tests.stores import until as until_told

# A job whose pages tell what they see.
TELLS = (
    HELD
    + """
        def webview_app(self, base_url):
            import json

            def application(environ, start_response):
                names = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST")
                told = {"seen": [environ.get(name) for name in names]}
                told["headers"] = {key: environ[key] for key in environ if "FORWARDED" in key}
                start_response("200 OK", [("Content-Type", "application/json")])
                return [json.dumps(told).encode()]

            return application
    """
)
MANIFEST = """\
name: tells
owner_email: nobody@example.com
jobtype: python3:latest
git:
  remote: https://example.com/tells
jobtype_extra:
  entrypoint_path: job.py
  max_concurrency: 1
"""
# Another address of the loopback interface: who asks from there is not the proxy.
ELSEWHERE = "127.0.0.2"
FORWARDED = {
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "jobs.example.com",
}
ALL = {
    **FORWARDED,
    "X-Forwarded-Port": "8443",
    "X-Forwarded-By": "a proxy",
    "Forwarded": "for=198.51.100.1;proto=https;host=evil.example",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tells")
    (folder / "job.py").write_text(textwrap.dedent(TELLS))
    (folder / "job.yaml").write_text(MANIFEST)
    return folder


@pytest.fixture(scope="module")
def trusting(folder: Path) -> Iterator[Server]:
    """A server that trusts a proxy on this machine."""
    with started(pyjob_run(folder, "--trusted-proxy", "127.0.0.1")) as server:
        server.wait_until("/ready", 200)
        yield server
    assert "Traceback" not in server.output


@pytest.fixture(scope="module")
def trusting_nobody(folder: Path) -> Iterator[Server]:
    with started(pyjob_run(folder)) as server:
        server.wait_until("/ready", 200)
        yield server


def asked(
    server: Server, path: str, headers: dict[str, str] | list[tuple[str, str]], *, source: str = "127.0.0.1"
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of what is answered to ``source``; a header may be there several times."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20, source_address=(source, 0))
    try:
        connection.putrequest("GET", path)
        for name, value in headers.items() if isinstance(headers, dict) else headers:
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    is_json = (answer.headers["Content-Type"] or "").startswith("application/json")
    return answer.status, dict(answer.headers), json.loads(content) if is_json else content


def told(server: Server, headers: dict[str, str] | list[tuple[str, str]], **options: Any) -> Any:
    """What the job sees: address, scheme and host, and which of the headers."""
    status, _, answer = asked(server, "/webview/", headers, **options)
    assert status == 200
    return answer


def test_without_a_trusted_proxy_no_header_changes_anything(trusting_nobody: Server) -> None:
    host = f"127.0.0.1:{trusting_nobody.port}"
    for headers in ({}, FORWARDED, ALL, {"X-Forwarded-For": '"'}, {"X-Forwarded-Proto": "gopher"}):
        assert told(trusting_nobody, headers) == {"seen": ["127.0.0.1", "http", host], "headers": {}}
        assert asked(trusting_nobody, "/", headers)[1]["Location"] == "/docs"
    plain, forwarded = (asked(trusting_nobody, "/openapi.json", each)[2] for each in ({}, ALL))
    assert plain == forwarded


def test_the_proxy_says_address_scheme_and_host(trusting: Server) -> None:
    assert told(trusting, FORWARDED) == {
        "seen": ["203.0.113.7", "https", "jobs.example.com"],
        "headers": {
            "HTTP_X_FORWARDED_FOR": "203.0.113.7",
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_HOST": "jobs.example.com",
        },
    }
    # Links and redirects name no host, so that they stay as they are.
    assert asked(trusting, "/", FORWARDED)[1]["Location"] == "/docs"
    plain, forwarded = (asked(trusting, "/openapi.json", each)[2] for each in ({}, FORWARDED))
    assert plain == forwarded


def test_who_is_not_the_proxy_is_not_believed(trusting: Server) -> None:
    host = f"127.0.0.1:{trusting.port}"
    for headers in (ALL, {"X-Forwarded-For": ":1."}, {"X-Forwarded-Host": "a b"}):
        assert told(trusting, headers, source=ELSEWHERE) == {
            "seen": [ELSEWHERE, "http", host],
            "headers": {},
        }


def test_other_headers_of_the_kind_count_from_nobody(trusting: Server) -> None:
    others = {name: value for name, value in ALL.items() if name not in FORWARDED}
    host = f"127.0.0.1:{trusting.port}"
    assert told(trusting, others) == {"seen": ["127.0.0.1", "http", host], "headers": {}}


@pytest.mark.parametrize("as_lines", [False, True], ids=["in one line", "in lines of their own"])
def test_what_the_client_sent_through_the_proxy_does_not_win(trusting: Server, as_lines: bool) -> None:
    of_client = {
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "evil.example",
    }
    headers = [(name, f"{of_client[name]}, {value}") for name, value in FORWARDED.items()]
    if as_lines:
        headers = [*of_client.items(), *FORWARDED.items()]
    assert told(trusting, headers) == told(trusting, FORWARDED)
    # Nor does it harm others than itself.
    headers = [(name, f'"un"balanced" {value!r}, {value}') for name, value in FORWARDED.items()]
    assert told(trusting, headers) == told(trusting, FORWARDED)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("203.0.113.7:50000", "203.0.113.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:50000", "2001:db8::1"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::1", "::1"),
        ("unix:", "unix:"),
        ("unknown", "unknown"),
    ],
)
def test_every_way_to_write_an_address_is_read(trusting: Server, value: str, address: str) -> None:
    assert told(trusting, {"X-Forwarded-For": value})["seen"][0] == address


@pytest.mark.parametrize(
    ("host", "scheme", "seen"),
    [
        ("jobs.example.com", "http", "jobs.example.com"),
        ("jobs.example.com:8443", "https", "jobs.example.com:8443"),
        ("[2001:db8::1]:8443", "https", "[2001:db8::1]:8443"),
        ("localhost", "HTTPS", "localhost"),
    ],
)
def test_every_way_to_write_a_host_is_read(trusting: Server, host: str, scheme: str, seen: str) -> None:
    headers = {"X-Forwarded-Host": host, "X-Forwarded-Proto": scheme}
    assert told(trusting, headers)["seen"][1:] == [scheme.lower(), seen]


@pytest.mark.parametrize("name", list(FORWARDED))
def test_an_empty_header_says_nothing(trusting: Server, name: str) -> None:
    assert told(trusting, {name: ""})["seen"] == told(trusting, {})["seen"]


MALFORMED = {
    "X-Forwarded-For": [
        ":",
        ":1.",
        "[",
        "[]",
        "[::1",
        "::1]",
        '"1.2.3.4"',
        "a b",
        "1.2.3.4,",
        "<b>",
        "\u00e4",
        "x" * 999,
    ],
    "X-Forwarded-Proto": ["gopher", "http:", "https, ", "h", "wss", "\u00e4", "x" * 50_000],
    "X-Forwarded-Host": [
        "a b",
        "a/b",
        "a:b",
        "a:",
        "a@b",
        "[::1",
        "a,",
        "a:123456",
        "\u00e4",
        "http://a",
        "x" * 999,
    ],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in MALFORMED.items() for value in values],
    ids=lambda text: ascii(text[:20]),
)
def test_what_makes_no_sense_is_refused_in_json(trusting: Server, name: str, value: str) -> None:
    before = len(trusting.lines)
    status, headers, answer = asked(trusting, "/webview/", {name: value})
    assert status == 400
    assert answer == {"error": f"the header {name} cannot be read", "type": "Bad Request"}
    assert headers["X-Request-ID"]
    assert told(trusting, FORWARDED)["seen"][0] == "203.0.113.7"
    # Else an operator behind a proxy that is set up wrongly would see nothing but 400s.
    why = f"GET /webview/ 400: the header {name} cannot be read"
    until_told(lambda: any(why in line for line in trusting.lines[before:]))
    assert "Traceback" not in "".join(trusting.lines[before:])


def test_calls_wait_without_threads_behind_the_proxy(trusting: Server, tmp_path: Path) -> None:
    """The request is looked at again when its turn has come, and still is the same."""

    async def scenario(path: Path) -> None:
        port = trusting.port
        async with (
            await hold(trusting, path),
            await Caller.to(port) as leaving,
            await Caller.to(port) as staying,
        ):
            leaving.send(forwarded(n=2))
            await until_waiting(port, 1)
            staying.send(forwarded(n=3))
            await until_waiting(port, 2)
            leaving.hang_up()
            await until_waiting(port, 1)
            release(path)
            answer = await staying.answer()
            assert (answer.status, answer.json["n"]) == (200, 3)
        await until_counted(port, {"pyjob_calls_running": 0, "pyjob_calls_abandoned_total": 1})

    with pipe(tmp_path) as path:
        asyncio.run(scenario(path))


def forwarded(**arguments: Any) -> bytes:
    body = json.dumps(arguments).encode()
    lines = "".join(f"{name}: {value}\r\n" for name, value in FORWARDED.items())
    head = f"POST /perform HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def test_on_a_unix_socket_the_proxy_is_localhost(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    command = [sys.executable, "-m", "pyjob", "run", str(folder), "--unix-socket", str(path)]
    command += ["--trusted-proxy", "localhost"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    with process, process.stdout as output:
        assert any("is ready" in line for line in output)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            lines = "".join(f"{name}: {value}\r\n" for name, value in FORWARDED.items())
            connection.sendall(f"GET /webview/ HTTP/1.0\r\nHost: x\r\n{lines}\r\n".encode())
            answer = connection.makefile("rb").read()
        process.terminate()
        output.read()
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["seen"] == [
        "203.0.113.7",
        "https",
        "jobs.example.com",
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--trusted-proxy", "*"], "expected the IP address of one proxy"),
        (["--trusted-proxy", "10.0.0.0/8"], "expected the IP address of one proxy"),
        (["--trusted-proxy", "proxy.example.com"], "expected the IP address of one proxy"),
        (["--trusted-proxy", "127.0.0.1,127.0.0.2"], "expected the IP address of one proxy"),
        (["--trusted-proxy", "127.0.0.1:80"], "expected the IP address of one proxy"),
        (["--trusted-proxy", ""], "expected the IP address of one proxy"),
        (["--trusted-proxy", "localhost"], "expected an address such as 127.0.0.1"),
        (["--trusted-proxy", "127.0.0.1", "--unix-socket", "x"], "expected localhost"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_the_command_takes_one_address(
    options: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", str(tmp_path), *options])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


def test_a_plain_waitress_with_a_trusted_proxy_is_taken_over(make_job: MakeJob, tmp_path: Path) -> None:
    folder = make_job(TELLS, extra={"max_concurrency": 1})
    command = [sys.executable, "-m", "waitress", "--listen", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"]
    headers = "x-forwarded-for x-forwarded-proto x-forwarded-host"
    command += ["--trusted-proxy-headers", headers, "--call", "pyjob.app:create"]

    async def scenario(path: Path) -> None:
        async with await hold(server, path):
            waiting = asyncio.gather(*(call(server.port, n=number) for number in range(10)))
            await until_waiting(server.port, 10)
            assert told(server, FORWARDED)["seen"] == ["203.0.113.7", "https", "jobs.example.com"]
            release(path)
            assert [answer.status for answer in await waiting] == [200] * 10

    with started(command, cwd=folder) as server, pipe(tmp_path) as path:
        server.wait_until("/ready", 200)
        asyncio.run(scenario(path))
    assert "waitress serves up to 1 calls at once, the others wait" in server.output
    assert "Traceback" not in server.output
