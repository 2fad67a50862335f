"""Tests of jobs by their authors: `pyjob.testing`, and the fixture of its pytest plugin."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import sysconfig
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pyjob
from pyjob.application.samples import sample_requests
from pyjob.job.job import Job
from pyjob.testing import JobClient
from tests.conftest import MakeJob

PRODUCT = """
    class Product:
        def perform(self, x: float, y: float = 2) -> float:
            if x == 13:
                raise KeyError("thirteen")
            return x * y
"""
NEIGHBOUR = "import model\nclass Job:\n    def perform(self): return model.NAME\n"


class AtHand:
    def perform(self, x: float, y: float = 2) -> float:
        return x * y


@pytest.mark.parametrize("which", ["", "job.yaml", "job.py"], ids=["folder", "manifest", "file"])
def test_a_job_on_the_disk_is_called_in_two_lines(make_job: MakeJob, which: str) -> None:
    with JobClient(make_job(PRODUCT) / which) as job:
        assert job.perform(x=20, y=5) == 100


@pytest.mark.parametrize("source", [AtHand, AtHand()], ids=["class", "instance"])
def test_a_job_at_hand_is_called_in_two_lines(source: object) -> None:
    with JobClient(source, manifest={"name": "at-hand"}) as job:
        assert job.call("/api/v1/perform", {"x": 21}) == 42
        assert job.application.manifest.name == "at-hand"


def test_a_result_is_what_json_makes_of_it(make_job: MakeJob) -> None:
    code = "class Job:\n    def perform(self, n: int): return {n: (n, float('nan'))} if n else b'raw'\n"
    with JobClient(make_job(code)) as job:
        assert job.perform(n=1) == {"1": [1, None]}
        assert job.perform(n=0) == b"raw"


def test_an_error_is_what_the_caller_would_get(make_job: MakeJob) -> None:
    code = """
        import pyjob

        class Job:
            def perform(self, n: int):
                raise pyjob.JobError(409, f"{n} is lent", kind="Lent", headers={"Retry-After": "60"})
    """
    with JobClient(make_job(code)) as job:
        with pytest.raises(pyjob.JobError, match="1 is lent") as lent:
            job.perform(n=1)
        with pytest.raises(pyjob.JobError, match='n: expected int, got "one"') as refused:
            job.perform(n="one")
        with pytest.raises(pyjob.JobError, match="did you mean /perform") as lost:
            job.call("/perfrom")
    assert (lent.value.status, lent.value.kind, lent.value.headers["Retry-After"]) == (409, "Lent", "60")
    assert (refused.value.status, refused.value.kind) == (400, "PayloadError")
    assert (lost.value.status, lost.value.kind) == (404, "Not Found")
    assert refused.value.__cause__ is None


def test_an_error_of_the_jobs_own_making_has_its_text(make_job: MakeJob) -> None:
    code = """
        from werkzeug.wrappers import Response

        class Job:
            def perform(self):
                return Response(b"no \\xff", status=418)
    """
    with JobClient(make_job(code)) as job, pytest.raises(pyjob.JobError, match="no �") as caught:
        job.perform()
    assert (caught.value.status, caught.value.kind) == (418, "I'm a teapot")


def test_the_exception_of_the_job_is_the_cause_of_the_error(make_job: MakeJob) -> None:
    with JobClient(make_job(PRODUCT)) as job, pytest.raises(pyjob.JobError, match="thirteen") as caught:
        job.perform(x=13)
    assert (caught.value.status, caught.value.kind) == (500, "KeyError")
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_is_logged_in_another_thread_is_not_the_cause() -> None:
    class Failing:
        def perform(self) -> None:
            raise ZeroDivisionError

    class Refusing:
        def perform(self) -> None:
            with ThreadPoolExecutor(1) as pool, pytest.raises(pyjob.JobError):
                pool.submit(failing.perform).result()
            raise pyjob.JobError(409, "lent")

    with JobClient(Failing) as failing, JobClient(Refusing) as job:
        with pytest.raises(pyjob.JobError, match="lent") as caught:
            job.perform()
        assert caught.value.__cause__ is None


def test_everything_else_of_the_job_is_a_request_away(make_job: MakeJob) -> None:
    code = PRODUCT + "        def static_endpoints(self): return {'/notes': 'notes.txt'}\n"
    with JobClient(make_job(code, files={"notes.txt": "linear"})) as job:
        assert job.get("/notes").text == "linear"
        assert job.get("/notes", headers={"Range": "bytes=0-2"}).text == "lin"
        assert job.post("/perform", data="[]", content_type="application/json").status_code == 400
        assert job.request("DELETE", "/perform").headers["Allow"] == "POST"
        assert job.get("/", follow_redirects=True).request.path == "/docs"
        assert "requests_done_total" in job.get("/metrics").text


def test_a_stream_is_read_to_its_end_so_that_the_next_call_has_a_slot(make_job: MakeJob) -> None:
    code = """
        from werkzeug.wrappers import Response

        class Job:
            def perform(self):
                return Response(iter([b"a", b"b"]))
    """
    folder = make_job(code, extra={"max_concurrency": 1, "max_concurrency_queue": 0, "queue_timeout": 0.1})
    with JobClient(folder) as job:
        assert [job.perform() for _ in range(3)] == [b"ab"] * 3


# The process.


@pytest.fixture
def process_state() -> Callable[[], object]:
    """What a client changes, and gives back."""

    def state() -> object:
        return Path.cwd(), dict(os.environ), sys.path.copy(), {"job", "model"} & sys.modules.keys()

    return state


def test_the_process_is_the_jobs_while_open_and_as_before_afterwards(
    make_job: MakeJob, process_state: Callable[[], object]
) -> None:
    code = """
        import os
        from pathlib import Path

        class Job:
            def perform(self):
                import model
                os.environ["LEFT"] = "behind"
                os.environ.pop("HOME")
                return [Path("data.txt").read_text(), os.environ["MODE"], os.environ["JOB_NAME"], model.NAME]
    """
    files = {"data.txt": "data", "model.py": "NAME = 'linear'"}
    folder = make_job(code, files=files, fields="runtime_env:\n  MODE: fast\n")
    before = process_state()
    with JobClient(folder) as job:
        assert job.perform() == ["data", "fast", "sample", "linear"]
        assert Path.cwd() == folder
        assert sys.path[0] == str(folder)
        assert {"job", "model"} <= sys.modules.keys()
    assert process_state() == before


def test_a_job_that_cannot_be_loaded_raises_what_it_raises(
    make_job: MakeJob, process_state: Callable[[], object]
) -> None:
    folder = make_job("import model\n1 / 0\n", files={"model.py": ""}, fields="runtime_env:\n  MODE: fast\n")
    before = process_state()
    with pytest.raises(ZeroDivisionError) as caught:
        JobClient(folder)
    assert caught.traceback[-1].path == folder / "job.py"
    assert process_state() == before


def test_a_faulty_manifest_is_told_at_once(make_job: MakeJob) -> None:
    with pytest.raises(pyjob.ManifestError, match="replicas"):
        JobClient(make_job(PRODUCT, fields="replicas: 0"))


def test_every_client_has_a_fresh_job(make_job: MakeJob) -> None:
    code = (
        "SEEN = []\nclass Job:\n    def perform(self, n: int):\n        SEEN.append(n)\n        return SEEN\n"
    )
    folder = make_job(code)
    for number in (1, 2):
        with JobClient(folder) as job:
            assert job.perform(n=number) == [number]


def test_closing_twice_and_calling_a_closed_job_are_harmless(make_job: MakeJob) -> None:
    job = JobClient(make_job(PRODUCT))
    job.close()
    job.close()
    with pytest.raises(pyjob.JobError) as caught:
        job.perform(x=1)
    assert caught.value.status == 503


def test_of_jobs_one_after_another_each_has_its_own_modules(make_job: MakeJob) -> None:
    folders = [
        make_job(NEIGHBOUR, name=name, files={"model.py": f"NAME = {name!r}"}) for name in ("one", "two")
    ]
    # As pytest does with the folders of test files.
    sys.path[:0] = map(str, folders)
    for folder in folders:
        with JobClient(folder) as job:
            assert job.perform() == folder.name


def test_several_jobs_may_be_open_together(make_job: MakeJob) -> None:
    before = Path.cwd()
    with JobClient(make_job(PRODUCT, name="one")) as one, JobClient(make_job(PRODUCT, name="two")) as two:
        assert one.perform(x=1) == two.perform(x=1) == 2
        assert Path.cwd().name == "two"
    assert Path.cwd() == before


def test_modules_of_a_virtual_environment_in_the_folder_are_kept(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_job(NEIGHBOUR, files={"model.py": "from lib import NAME", ".venv/lib.py": "NAME = 1"})
    libraries = folder / ".venv"
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(libraries))
    monkeypatch.syspath_prepend(libraries)
    with JobClient(folder) as job:
        assert job.perform() == 1
    assert {"lib", "model"} & sys.modules.keys() == {"lib"}


def test_variables_of_the_test_win_over_those_of_the_manifest(make_job: MakeJob) -> None:
    code = """
        import os
        AT_IMPORT = os.environ["MODE"]

        class Job:
            def perform(self):
                return [AT_IMPORT, os.environ["MODE"], os.environ["FURTHER"], os.environ["KEPT"]]
    """
    folder = make_job(code, fields="runtime_env:\n  MODE: fast\n  KEPT: manifest\n")
    with JobClient(folder, env={"MODE": "slow", "FURTHER": "one"}) as job:
        assert job.perform() == ["slow", "slow", "one", "manifest"]
    assert "FURTHER" not in os.environ


SETS_UP_LOGGING = """
    import logging, logging.config
    logging.config.dictConfig({
        "version": 1,
        "handlers": {"own": {"class": "logging.NullHandler"}},
        "loggers": {"of.the.test": {"level": "ERROR", "handlers": ["own"]}},
        "root": {"level": "CRITICAL", "handlers": ["own"]},
    })
    class Job:
        def __init__(self):
            LOAD
        def perform(self):
            logging.getLogger("of.another.test").setLevel("CRITICAL")
            logging.getLogger("pyjob").addHandler(logging.NullHandler())
            return [logging.getLogger(name).disabled for name in ("of.the.test", "of.another.test")]
"""


def state_of_logging() -> object:
    names = ("root", "pyjob", "pyjob.access", "of.the.test", "of.another.test")
    loggers = [logging.getLogger(name) for name in names]
    return [(one, one.level, [*one.handlers], one.disabled) for one in loggers]


@pytest.mark.parametrize("loads", [True, False])
def test_logging_that_a_job_sets_up_is_as_before_once_it_is_closed(make_job: MakeJob, loads: bool) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    own, another = logging.getLogger("of.the.test"), logging.getLogger("of.another.test")
    for logger in (own, another):
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    before = state_of_logging()
    folder = make_job(SETS_UP_LOGGING.replace("LOAD", "pass" if loads else "1 / 0"))
    try:
        if loads:
            with JobClient(folder) as job:
                assert job.perform() == [False, True]
        else:
            with pytest.raises(ZeroDivisionError):
                JobClient(folder)
        assert state_of_logging() == before
        own.info("said")
        another.info("said, too")
    finally:
        for logger in (own, another):
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
    assert stream.getvalue() == "said\nsaid, too\n"


# Samples.


def with_samples(samples: str, *, head: str = "", body: str = "") -> str:
    code = textwrap.dedent(PRODUCT) + textwrap.indent(textwrap.dedent(body), "    ")
    return f"{head}\n{code}\n    def docs_input_examples(self): return {samples}\n"


def failure_of(job: JobClient) -> str:
    with pytest.raises(AssertionError) as caught:
        job.assert_samples()
    return str(caught.value)


def test_samples_that_work_pass(make_job: MakeJob) -> None:
    with JobClient(make_job(with_samples("{'/perform': [{'x': 1}, {'x': 2, 'y': 3}]}"))) as job:
        job.assert_samples()
        assert "requests_done_total 2.0" in job.get("/metrics").text


def test_all_samples_that_fail_are_told_of_together(make_job: MakeJob) -> None:
    body = """
        def half(self, n: int):
            raise ValueError(f"{n} is odd")
        def auxiliary_endpoints(self):
            return {"/half": self.half}
    """
    samples = "{'/perform': [{'x': 1}, {'x': 13}], '/half': {'n': 7}}"
    with JobClient(make_job(with_samples(samples, body=body))) as job:
        assert failure_of(job).splitlines() == [
            "2 of 3 samples failed:",
            "POST /perform, sample 2: 500 Internal Server Error: no such key: 'thirteen' (KeyError)",
            "POST /half, sample: 400 Bad Request: 7 is odd (ValueError)",
        ]


@pytest.mark.parametrize("declared", ["application/json", "text/event-stream", "application/x-ndjson"])
def test_a_stream_that_breaks_off_fails_and_one_that_tells_of_errors_does_not(
    make_job: MakeJob, declared: str
) -> None:
    code = f"""
        from typing import Annotated, Any

        class Job:
            def perform(self, x: int) -> Annotated[Any, "{declared}"]:
                yield {{"error": 1}}
                yield [1 // x]

            def listed(self, x: int):
                return [{{"error": "of mine", "type": "of mine"}}]

            def auxiliary_endpoints(self):
                return {{"/listed": self.listed}}

            def docs_input_examples(self):
                return {{"/perform": [{{"x": 0}}, {{"x": 1}}], "/listed": {{"x": 1}}}}
        """
    with JobClient(make_job(code)) as job:
        told = failure_of(job).splitlines()[1:]
    problem = "integer division or modulo by zero (ZeroDivisionError)"
    assert told == [f"POST /perform, sample 1: the stream broke off: {problem}"]


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        ("{'/perform': [{'x': 1}, {'z': 2}]}", "sample does not work: missing argument: x"),
        ("{'/perform': {'x': 1}, '/preform': {'x': 1}}", "no endpoint /preform: did you mean /perform?"),
        ("[]", "expected a dict, found list"),
    ],
    ids=["does not fit", "of no endpoint", "no samples"],
)
def test_samples_that_were_left_out_at_the_start_fail(make_job: MakeJob, samples: str, told: str) -> None:
    with JobClient(make_job(with_samples(samples))) as job:
        assert told in failure_of(job)


def test_a_job_without_samples_fails_and_is_told_how_to_give_them(make_job: MakeJob) -> None:
    with JobClient(make_job(PRODUCT)) as job:
        assert "docs_input_example" in failure_of(job)


def test_a_stream_that_breaks_is_one_failure_among_the_others(make_job: MakeJob) -> None:
    body = """
        def broken(self):
            def items():
                yield b"one"
                raise OSError("the disk is gone")
            return Response(items())
        def auxiliary_endpoints(self):
            return {"/broken": self.broken}
        def docs_input_examples(self):
            return {"/broken": {"": ""}, "/perform": {"x": 13}}
    """
    code = with_samples(
        "{'/perform': {'x': 13}, '/broken': [{}]}", head="from werkzeug import Response", body=body
    )
    with JobClient(make_job(code)) as job:
        told = failure_of(job)
    assert "POST /broken, sample: the answer broke off: the disk is gone (OSError)" in told
    assert "POST /perform, sample: 500" in told


ECHO = """
    from typing import Any, Literal, Optional, Union
    from pyjob import EndpointConfig

    class Job:
        def echo(self, {parameters}):
            return [place, value]
        def auxiliary_endpoints_v2(self):
            return [
                EndpointConfig("/at/the%/{{place}}-ü/end", "GET", self.echo),
                EndpointConfig("/to/{{place}}", "POST", self.echo),
            ]
        def docs_input_examples(self):
            samples = [{{"place": {place!r}, "value": {value!r}}}]
            return {{"/at/the%/{{place}}-ü/end": samples, "/to/{{place}}": samples}}
"""


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (": int", 2),
        (": float", -2.5),
        (": float", 2),
        (": bool", True),
        (": str", "true"),
        (": str", ""),
        (": str", "ü&=?#+ %41"),
        (": Optional[int] = None", None),
        (": Union[list, None]", None),
        (": list[str]", ["a", "b c"]),
        (": dict", {"a": {"b": None}}),
        (": Literal['1', '2']", "1"),
        (": Any", "5"),
        (": Any", "null"),
        ("", "[1]"),
        ("", 5),
        ("", None),
    ],
)
def test_a_sample_of_a_v2_endpoint_arrives_as_it_is(
    make_job: MakeJob, annotation: str, value: object
) -> None:
    place = "a b%2Fc?ü" if annotation.startswith(": str") else "7"
    code = ECHO.format(parameters=f"place: str, value{annotation}", place=place, value=value)
    with JobClient(make_job(code)) as job:
        requests = list(sample_requests(loaded(job).endpoints))
        assert [one.method for one in requests] == ["GET", "POST"]
        for one in requests:
            assert job.request(one.method, one.url, json=one.body).json == [place, value], one.url
        job.assert_samples()


def loaded(job: JobClient) -> Job:
    assert job.application.job is not None
    return job.application.job


def test_a_sample_that_lacks_a_name_of_the_path_fails(make_job: MakeJob) -> None:
    code = """
        from pyjob import EndpointConfig

        class Job:
            def item(self, item: str = "pen"):
                return item
            def auxiliary_endpoints_v2(self):
                return [EndpointConfig("/items/{item}/price", "GET", self.item)]
            def docs_input_examples(self):
                return {"/items/{item}/price": [{}, {"item": "a/b"}]}
    """
    with JobClient(make_job(code)) as job:
        told = failure_of(job)
    assert "GET /items/{item}/price, sample 1: 400 Bad Request: the path holds an empty" in told
    assert "GET /items/{item}/price, sample 2: 404" in told


# The fixture.

TEST_FILE = """
    import os
    from pathlib import Path

    def test_it(job_client):
        assert job_client.perform(x=20, y=5) == 100
        assert Path.cwd() == Path(__file__).parents[{up}]
        os.environ["LEFT"] = "behind"

    def test_the_module_shares_one(job_client):
        assert "requests_done_total 1.0" in job_client.get("/metrics").text
"""


def pytest_in(
    folder: Path, *arguments: str, plugins: tuple[str, ...] = ("-p", "pytest_pyjob")
) -> subprocess.CompletedProcess[str]:
    """pytest with warnings as errors; with ``plugins``, and with none that happens to be installed."""
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} if plugins else {}
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", *plugins, *arguments],
        cwd=folder,
        env={**ours, "PYTHONDONTWRITEBYTECODE": "1", **alone},
        capture_output=True,
        text=True,
        timeout=120,
    )


def write(files: dict[Path, str]) -> None:
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))


def test_the_fixture_finds_the_job_of_each_test_file(make_job: MakeJob, tmp_path: Path) -> None:
    one, two = make_job(PRODUCT, name="one"), make_job(PRODUCT, name="two")
    (two / "job.yaml").rename(two / "fatman.yaml")
    untouched = """
        import os

        def test_nothing_is_left():
            assert "LEFT" not in os.environ
    """
    write(
        {
            one / "test_one.py": TEST_FILE.format(up=0),
            two / "tests" / "deep" / "test_two.py": TEST_FILE.format(up=2),
            tmp_path / "zone" / "test_last.py": untouched,
        }
    )
    ended = pytest_in(tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert "5 passed" in ended.stdout


def test_a_client_may_be_open_from_the_import_of_a_test_file_to_its_end(make_job: MakeJob) -> None:
    folder = make_job(PRODUCT)
    code = """
        from pyjob.testing import JobClient

        JOB = JobClient(".")

        def test_it():
            assert JOB.perform(x=1) == 2

        def teardown_module():
            JOB.close()
    """
    write({folder / "test_it.py": code})
    ended = pytest_in(folder)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_fixture_without_a_job_is_a_clear_error(tmp_path: Path) -> None:
    write({tmp_path / "test_it.py": "def test_it(job_client): pass\n"})
    ended = pytest_in(tmp_path)
    assert f"job_client: there is no job.yaml in {tmp_path} or a folder above it" in ended.stdout
    assert "1 error" in ended.stdout
    assert "Traceback" not in ended.stdout


def test_a_failing_call_shows_the_line_of_the_test_and_that_of_the_job(make_job: MakeJob) -> None:
    folder = make_job(PRODUCT)
    write({folder / "test_it.py": "def test_it(job_client):\n    job_client.perform(x=13)\n"})
    ended = pytest_in(folder)
    assert ended.returncode == 1
    assert 'raise KeyError("thirteen")' in ended.stdout
    assert (
        ">       job_client.perform(x=13)" in ended.stdout or ">   job_client.perform(x=13)" in ended.stdout
    )
    assert "testing/client.py" not in ended.stdout.partition("Captured log")[0]


def test_a_run_of_pytest_that_has_nothing_to_do_with_jobs_does_not_import_pyjob(tmp_path: Path) -> None:
    code = """
        import sys

        def test_it():
            assert "pytest_pyjob" in sys.modules
            assert not [name for name in sys.modules if name.partition(".")[0] in ("pyjob", "werkzeug")]
    """
    write({tmp_path / "test_it.py": code})
    # Plugins of others import werkzeug, or warn of themselves.
    others = ("no:schemathesis", "no:hypothesispytest", "no:dash")
    ended = pytest_in(tmp_path, *(part for name in others for part in ("-p", name)), plugins=())
    assert ended.returncode == 0, ended.stdout


def test_a_test_needs_no_token_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYJOB_ACCESS", str(tmp_path / "access.db"))

    class Job:
        def perform(self, x: int) -> int:
            return x + 1

    with JobClient(Job) as client:
        assert client.perform(x=1) == 2
