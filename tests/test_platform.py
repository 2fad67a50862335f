"""Several jobs behind one port: what callers, their authors and other jobs see of them."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyjob.cli import main
from pyjob.platform.directory import precedence
from pyjob.platform.output import labels_of
from tests.callers import Caller, calling, pipe, release, released
from tests.platforms import command, index, job_of, platform, settle, write_job
from tests.servers import PATIENCE, Server, ask, started
from tests.stores import Made, until
from tests.test_cli import pyjob_command

FIRST = """
    import os
    import signal
    import sys

    class Job:
        def perform(self, hold: str = "", n: int = 1):
            with open(hold) as pipe:
                pipe.read()
            return n

        def auxiliary_endpoints(self):
            named = (self.seen, self.items, self.size, self.leave_behind, self.end)
            return {f"/{one.__name__}": one for one in named}

        def seen(self, name: str = ""):
            request = self.request_context.get()
            return {
                "folder": os.getcwd(),
                "module": __name__,
                "from": request.remote_addr,
                "host": request.headers.get("Host"),
                "forwarded": request.headers.get("Forwarded"),
                "leads its session": os.getsid(0) == os.getpid(),
                "variable": os.environ.get(name),
                "stdin": sys.stdin.read(),
            }

        def items(self, hold: str, for_ever: bool = False):
            yield 1
            with open(hold) as pipe:
                pipe.read()
            yield 2
            while for_ever:
                yield 3

        def size(self, data: bytes):
            return len(data)

        def leave_behind(self):
            left = os.fork()
            if left == 0:
                signal.pause()
            sys.stderr.write(f"left {left}\\n")
            sys.stderr.flush()
            os._exit(3)

        def end(self):
            sys.stderr.write("out of s3cret-sauce\\n")
            sys.stderr.flush()
            os._exit(3)
"""
SECOND = "class Job:\n    def perform(self, n: int): return 2 * n\n"
BROKEN = "raise RuntimeError('no model')\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two versions of one job, one that cannot be loaded, one whose manifest cannot be read."""
    home = tmp_path_factory.mktemp("jobs")
    folders = [
        write_job(home, "first", FIRST),
        write_job(home, "newer", SECOND, name="double", fields="version: 0.10.0"),
        write_job(home, "older", SECOND.replace("2 *", "20 *"), name="double", fields="version: 0.9.0"),
        write_job(home, "broken", BROKEN),
        write_job(home, "faulty", SECOND, fields="replicas: 0"),
    ]
    env = {"JOB_NAME": "other", "PUB_URL": "http://elsewhere/pub"}
    with platform(*folders, env=env) as server:
        yield server


def path(name: str, rest: str, version: str = "0.0.1") -> str:
    return f"/pub/job/{name}/{version}{rest}"


def seen(server: Server, name: str = "", **headers: str) -> Any:
    return ask(server, "POST", path("first", "/seen"), json.dumps({"name": name}).encode(), **headers)[2]


def test_each_job_answers_below_its_name_and_version(server: Server) -> None:
    body = b'{"n": 21}'
    for prefix, result in (
        ("/pub/job/double/0.10.0", 42),
        ("/pub/fatman/double/0.10.0", 42),
        ("/pub/job/double/0.9.0", 420),
        ("/pub/job/d%6Fuble/latest", 42),
    ):
        assert ask(server, "POST", f"{prefix}/api/v1/perform", body)[::2] == (200, result)


def test_links_and_redirects_keep_the_way_that_the_caller_took(server: Server) -> None:
    status, headers, _ = ask(server, "GET", "/pub/job/double/latest/")
    assert (status, headers["Location"]) == (307, "/pub/job/double/latest/docs")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("/pub/job/none/latest/perform", "no job none here, there are first 0.0.1, double 0.10.0"),
        ("/pub/job/double/3/perform", "no job double 3 here"),
        ("/pub/job/double", "jobs are at /pub/job/NAME/VERSION/"),
        ("/perform", "jobs are at /pub/job/NAME/VERSION/"),
    ],
)
def test_what_is_not_there_is_404_and_says_what_is(server: Server, asked: str, told: str) -> None:
    status, _, body = ask(server, "POST", asked, b"{}")
    assert status == 404
    assert told in body["error"]


def test_a_broken_job_says_why_and_the_others_answer(server: Server) -> None:
    status, _, body = ask(server, "POST", path("broken", "/perform"), b"{}")
    assert (status, body["error"]) == (
        503,
        "the job failed to start: no model, cause=RuntimeError, traceback=job.py:1",
    )
    status, _, body = ask(server, "POST", path("faulty", "/perform"), b"{}")
    assert status == 503
    assert body["error"].startswith("job faulty ended with status 1: ")
    assert "replicas: expected" in body["error"]


def test_the_index_tells_how_every_job_does(server: Server) -> None:
    told = index(server)
    assert told["pub_url"] == f"{server.url}/pub"
    states = [(job["name"], job["version"], job["state"], job["latest"]) for job in told["jobs"]]
    assert states == [
        ("first", "0.0.1", "ready", True),
        ("double", "0.10.0", "ready", True),
        ("double", "0.9.0", "ready", False),
        ("broken", "0.0.1", "failed", True),
        ("faulty", "", "ended", True),
    ]
    errors = {job["name"]: job["error"] for job in told["jobs"] if job["error"]}
    assert errors.keys() == {"broken", "faulty"}
    assert errors["broken"].startswith("no model")
    assert "replicas: expected" in errors["faulty"]


def test_the_page_of_the_index_takes_nothing_from_elsewhere(server: Server) -> None:
    status, headers, page = ask(server, "GET", "/")
    assert status == 200
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assets = [part.split(b'"')[0].decode() for part in page.split(b'"platform/')[1:]]
    assert len(assets) == 6
    for asset in assets:
        status, headers, _ = ask(server, "GET", f"/platform/{asset}")
        assert (status, headers["X-Content-Type-Options"]) == (200, "nosniff")


def test_our_own_pages_take_get_and_head_only(server: Server) -> None:
    status, headers, _ = ask(server, "POST", "/jobs", b"{}")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert ask(server, "HEAD", "/")[::2] == (200, b"")
    assert ask(server, "GET", "/live")[::2] == (200, {"live": True})


def test_a_job_has_folder_module_and_environment_as_if_it_were_alone(server: Server) -> None:
    told = seen(server, "PUB_URL")
    assert Path(told["folder"]).name == "first"
    assert told["module"] == "job"
    assert told["variable"] == f"{server.url}/pub"
    assert seen(server, "JOB_NAME")["variable"] == "first"
    assert seen(server, "AUTH_TOKEN")["variable"]
    server.wait_until_told("PUB_URL is http://127.0.0.1:")
    server.wait_until_told("JOB_NAME is not passed on")


def test_a_job_hears_who_calls_and_nobody_says_that_of_himself(server: Server) -> None:
    said = {
        "X_Forwarded_For": "203.0.113.9",
        "X_Forwarded_Proto": "which would be refused",
        "X_Forwarded_Host": "elsewhere",
        "Forwarded": "for=203.0.113.9",
    }
    told = seen(server, **said)
    assert (told["from"], told["host"]) == ("127.0.0.1", server.url.removeprefix("http://"))
    assert told["forwarded"] is None


def test_ctrl_c_in_a_terminal_is_for_the_platform_alone(server: Server) -> None:
    assert seen(server)["leads its session"]


def test_a_job_that_reads_stdin_finds_nothing_there(server: Server) -> None:
    assert seen(server)["stdin"] == ""


def test_every_line_says_whose_it_is(server: Server) -> None:
    for job in ("first", "double 0.10.0", "double 0.9.0", "broken", "faulty"):
        server.wait_until_told(f"\n{job} ")
    labels = {line.partition("|")[0] for line in server.lines}
    width = len("double 0.10.0 ")
    assert {label.strip() for label in labels} == {
        *("platform", "first", "double 0.10.0", "double 0.9.0", "broken", "faulty")
    }
    assert {len(label) for label in labels} == {width}


def test_metrics_are_each_jobs_own(server: Server) -> None:
    ask(server, "POST", path("double", "/perform", "0.9.0"), b'{"n": 1}')
    for version in ("0.9.0", "0.10.0"):
        page = ask(server, "GET", path("double", "/metrics", version))[2].decode()
        assert f'pyjob_job_info{{name="double",version="{version}"}} 1.0' in page


def test_a_stream_comes_as_it_is_made(server: Server, tmp_path: Path) -> None:
    async def session() -> bytes:
        with pipe(tmp_path) as hold:
            async with await calling(server.port, path("first", "/items"), hold=str(hold)) as caller:
                await caller.until(b"1")  # while the job waits
                release(hold)
                return await caller.rest()

    assert b"2" in asyncio.run(session())


@pytest.mark.parametrize("leave", [Caller.hang_up, Caller.half_close])
def test_the_job_hears_that_its_caller_has_left(
    server: Server, tmp_path: Path, leave: Callable[[Caller], None]
) -> None:
    mount = path("first", "")

    async def session(hold: Path) -> None:
        asked = {"hold": str(hold), "for_ever": True}
        async with await calling(server.port, f"{mount}/items", **asked) as caller:
            await caller.until(b"1")
            leave(caller)
            release(hold)
            await asyncio.to_thread(server.repeat, abandoned, before + 1, "abandoned calls")

    def abandoned() -> float:
        page = ask(server, "GET", f"{mount}/metrics")[2].decode()
        return float(page.partition("\npyjob_calls_abandoned_total ")[2].split()[0])

    before = abandoned()
    with pipe(tmp_path) as hold:
        asyncio.run(session(hold))


def test_uploads_pass_and_one_that_is_too_long_gets_its_answer(server: Server) -> None:
    target, kind = path("first", "/size"), {"Content_Type": "application/octet-stream"}
    assert ask(server, "POST", target, bytes(3_000_000), **kind)[::2] == (200, 3_000_000)
    status, _, body = ask(server, "POST", target, bytes(101 * 1024 * 1024), **kind)
    assert (status, body["type"]) == (413, "Request Entity Too Large")


LIVE = path("first", "/live").encode()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),
        (b"GET  %s HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET %s HTTP/2.0\r\nHost: x\r\n\r\n", 400),
        (b"GET %s\r\n\r\n", 400),
        (b"GET %s HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"\r\nGET %s HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n", 200),
        (b"GET http://x%s HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET %s HTTP/1.0\r\n\r\n", 200),
    ],
)
def test_only_what_can_be_read_in_one_way_is_passed_on(
    server: Server, request_bytes: bytes, status: int
) -> None:
    async def session() -> bytes:
        async with await Caller.to(server.port) as caller:
            caller.send(request_bytes.replace(b"%s", LIVE))
            return await caller.rest()

    answer = asyncio.run(session())
    assert int(answer.split(b" ")[1]) == status
    assert answer.lower().count(b"connection: close") == 1


def test_nothing_follows_the_first_request_of_a_connection(server: Server) -> None:
    async def session() -> bytes:
        async with await Caller.to(server.port) as caller:
            caller.send(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % LIVE * 2)
            return await caller.rest()

    assert asyncio.run(session()).count(b"HTTP/1.1 ") == 1


# Those that end a process, or the platform.


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """A job with a secret, and another."""
    first = write_job(tmp_path, "first", FIRST, fields="secret_runtime_env_file: .env")
    (first / ".env").write_text("SAUCE = s3cret-sauce\n")
    return [first, write_job(tmp_path, "double", SECOND)]


def test_a_process_that_ends_is_told_of_without_its_secrets(pair: list[Path]) -> None:
    with platform(*pair) as server:
        status, _, body = ask(server, "POST", path("first", "/end"), b"{}")
        told = "job first 0.0.1 ended with status 3: out of ***"
        assert (status, body["error"]) == (502, told)
        status, _, body = ask(server, "POST", path("first", "/end"), b"{}")
        assert (status, body["error"]) == (503, told)
        first = job_of(server, "first")
        assert (first["state"], first["exit_status"], first["error"]) == ("ended", 3, "out of ***")
        assert ask(server, "POST", path("double", "/perform"), b'{"n": 2}')[::2] == (200, 4)


def test_what_a_process_has_started_ends_with_it(pair: list[Path]) -> None:
    with platform(*pair) as server:
        status, _, body = ask(server, "POST", path("first", "/leave_behind"), b"{}")
        told, _, left = body["error"].rpartition(" ")
        assert (status, told) == (502, "job first 0.0.1 ended with status 3: left")
        # It has the socket, where nobody would answer.
        assert ask(server, "POST", path("first", "/perform"), b"{}")[0] == 503
        until(lambda: not Path("/proc", left).exists())


def test_running_calls_are_answered_on_the_way_down(pair: list[Path], tmp_path: Path) -> None:
    async def session(server: Server, hold: Path) -> int:
        async with await calling(server.port, path("first", "/perform"), hold=str(hold)) as caller:
            await asyncio.to_thread(
                server.wait_until_metric, "pyjob_calls_running", 1, mount=path("first", "")
            )
            server.process.send_signal(signal.SIGTERM)
            while "first 0.0.1: going down" not in server.output:
                await asyncio.sleep(0.01)
            [answer] = await released(hold, [caller])
            return answer.status

    with pipe(tmp_path) as hold, platform(*pair) as server:
        assert asyncio.run(session(server, hold)) == 200
        assert server.process.wait(PATIENCE) == 0


def test_a_second_signal_ends_all_at_once(pair: list[Path], tmp_path: Path) -> None:
    async def session(server: Server, hold: Path) -> int:
        async with await calling(server.port, path("first", "/perform"), hold=str(hold)) as caller:
            await asyncio.to_thread(
                server.wait_until_metric, "pyjob_calls_running", 1, mount=path("first", "")
            )
            server.process.send_signal(signal.SIGINT)
            while "first 0.0.1: going down" not in server.output:
                await asyncio.sleep(0.01)
            server.process.send_signal(signal.SIGINT)
            return (await caller.answer()).status

    with pipe(tmp_path) as hold, platform(*pair, options=("--grace", "600")) as server:
        assert asyncio.run(session(server, hold)) == 503
        assert server.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_who_has_not_asked_for_anything_is_not_waited_for(
    pair: list[Path], public_folder: Path, number: signal.Signals
) -> None:
    async def session(server: Server) -> bool:
        async with await Caller.to(server.port) as caller:  # as browsers do, to be quick later
            caller.send(b"GET")
            await asyncio.to_thread(ask, server, "GET", "/live")  # so it has been let in
            server.process.send_signal(number)
            return await caller.is_closed()

    with platform(*pair, env={"XDG_RUNTIME_DIR": str(public_folder)}) as server:
        assert asyncio.run(session(server))
        assert server.process.wait(PATIENCE) == 0
        assert list(public_folder.iterdir()) == []


def test_nothing_outlives_a_platform_that_is_killed(pair: list[Path], public_folder: Path) -> None:
    with started(command(*pair), env={"XDG_RUNTIME_DIR": str(public_folder)}) as server:
        settle(server)
        [folder] = public_folder.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert sorted(socket.name for socket in folder.iterdir()) == ["0", "1"]
        server.process.kill()
        until(lambda: not list(folder.iterdir()))  # whoever serves there takes the file away at its end


def test_a_request_that_comes_early_waits_for_the_process(pair: list[Path]) -> None:
    with started(command(*pair)) as server:  # it says where it listens before any process is there
        assert ask(server, "GET", path("double", "/live"))[0] == 200


def test_the_sockets_are_gone_at_the_end(pair: list[Path], public_folder: Path) -> None:
    with platform(*pair, env={"XDG_RUNTIME_DIR": str(public_folder)}) as server:
        server.stop()
        assert list(public_folder.iterdir()) == []


def test_two_jobs_with_one_name_and_version_are_an_error_that_names_both(pair: list[Path]) -> None:
    ended = pyjob_command("run", *map(str, pair), str(pair[1] / "job.yaml"), "--port", "0")
    assert ended.returncode == 1
    assert ended.stderr == (
        f"pyjob: error: {pair[1]} and {pair[1]}/job.yaml are both called double 0.0.1: "
        "give one of them another name or version, in its job.yaml or in one beside it\n"
    )
    assert ended.stdout == ""


def test_a_path_where_nothing_is_ends_all_before_anything_starts(pair: list[Path]) -> None:
    ended = pyjob_command("run", str(pair[0]), "elsewhere", "--port", "0")
    assert ended.returncode == 1
    assert ended.stderr == "pyjob: error: elsewhere: expected an existing file or folder, found nothing\n"
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "option",
    [
        ("--manifest", "x"),
        ("--print-config",),
        ("--fail-fast",),
        ("--unix-socket", "x"),
        ("--trusted-proxy", "127.0.0.1"),
        ("--url-prefix", "/x"),
        ("--drain-delay", "1"),
    ],
    ids=lambda option: option[0],
)
def test_options_of_one_job_are_refused_with_a_reason(
    option: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "a", *option, "b"])  # folders stand before and behind options
    assert ended.value.code == 2
    assert f"argument {option[0]}: not with several jobs: " in capsys.readouterr().err


def test_with_access_a_token_for_calls_among_the_jobs_is_asked_for(pair: list[Path], tmp_path: Path) -> None:
    store = Made(tmp_path / "access.db")
    token = store.token("alice")
    with platform(*pair, options=("--access", str(store.path))) as server:
        assert "WARNING AUTH_TOKEN is not set" in server.output
        assert server.output.count("--access FILE asks for tokens") == 0
        assert ask(server, "POST", path("double", "/perform"), b"{}")[0] == 401
        told = ask(server, "POST", path("first", "/seen"), b'{"name": "AUTH_TOKEN"}', X_Racetrack_Auth=token)
        assert told[2]["variable"] is None
    options, env = ("--access", str(store.path)), {"AUTH_TOKEN": token}
    with platform(*pair, options=options, env=env) as server:
        assert "AUTH_TOKEN is not set" not in server.output


def test_lines_of_json_stay_records_and_say_whose_they_are(pair: list[Path]) -> None:
    with platform(*pair, env={"LOG_STRUCTURED": "true"}) as server:
        ask(server, "POST", path("double", "/perform"), b'{"n": 2}')
        whose = {record["job"] for record in server.records}
    assert whose == {"platform", "first", "double"}


def test_with_reload_a_job_that_is_mended_is_found_under_its_new_name(tmp_path: Path) -> None:
    first = write_job(tmp_path, "first", SECOND, fields="replicas: 0")
    other = write_job(tmp_path, "other", SECOND)
    with platform(first, other, options=("--reload",)) as server:
        assert job_of(server, "first")["state"] == "failed"
        manifest = first / "job.yaml"
        text = manifest.read_text().replace("replicas: 0", "").replace("name: first", "name: mended")
        manifest.write_text(text)
        server.repeat(
            lambda: ask(server, "POST", path("mended", "/perform"), b'{"n": 2}')[::2], (200, 4), "the job"
        )
        assert ask(server, "POST", path("other", "/perform"), b'{"n": 3}')[::2] == (200, 6)


CHAIN = """
    import pyjob

    class Job:
        def perform(self, depth: int = 0):
            following = {"one": "two", "two": "three"}.get("NAME")
            if following:
                return pyjob.call_job(self, following, "/api/v1/perform", {"depth": depth})
            if depth:
                raise ValueError("too deep for me")
            return "the end"
"""


def test_a_chain_of_three_has_one_tracing_id_and_caller_in_all_logs(tmp_path: Path) -> None:
    names = ("one", "two", "three")
    folders = [write_job(tmp_path, name, CHAIN.replace("NAME", name)) for name in names]
    with platform(*folders, env={"LOG_CALLER_NAME": "true", "LOG_STRUCTURED": "true"}) as server:
        who = {"X_Request_Tracing_Id": "once-only", "X_Caller_Name": "alice"}
        assert ask(server, "POST", path("one", "/perform"), b"{}", **who)[::2] == (200, "the end")
        status, _, body = ask(server, "POST", path("one", "/perform"), b'{"depth": 1}', **who)
        records = server.records
    calls = [one for one in records if one["msg"].startswith("POST /perform 200")]
    assert {one["job"] for one in calls} == set(names)
    assert {(one["tracing_id"], one["caller_name"]) for one in calls} == {("once-only", "alice")}
    # What went wrong at its end can be read at its beginning.
    assert status == 500
    assert "'two'" in body["error"]
    assert "'three'" in body["error"]
    assert "too deep for me" in body["error"]


def test_the_latest_version_is_the_highest_by_the_rules_of_versions() -> None:
    ordered = [
        *("latest", "0.9.0", "0.10.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta"),
        *("1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1+build"),
    ]
    mixed = ordered[1::2] + ordered[::2]
    assert sorted(mixed, key=precedence) == ordered


def test_lines_are_labelled_whole_and_coloured_for_terminals_only() -> None:
    plain, json_log = labels_of([("a", False), ("longer", True)], colours=False)
    assert plain.on(b"hello\n") == b"a      | hello\n"
    assert plain.on(b'{"no": "record"}\n') == b'a      | {"no": "record"}\n'
    assert json_log.on(b'{"msg": "hello"}\n') == b'{"job": "longer", "msg": "hello"}\n'
    assert json_log.on(b"printed, without a line feed") == b"longer | printed, without a line feed\n"
    [coloured] = labels_of([("a", False)], colours=True)
    assert coloured.on(b"hello\n") == b"\x1b[36ma |\x1b[0m hello\n"
