"""Jobs inside other people's processes, several in one, classes at hand (SPEC 10)."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import pyjob
from tests.conftest import ClientOf, MakeJob

NAMED = """
    import logging

    class Job:
        def perform(self, number: int):
            context = self.request_context.get()
            self.request_extra.get()["number"] = number
            return [{name!r}, number, context.headers["X-Caller-Name"], self.request_extra.get()]

        def metrics(self):
            return [{{"name": "own", "value": {value}}}]
"""


def test_two_jobs_in_one_process_never_mix(make_job: MakeJob) -> None:
    one = pyjob.create(make_job(NAMED.format(name="one", value=1), name="one"), load="now")
    two = pyjob.create(make_job(NAMED.format(name="two", value=2), name="two"), load="now")
    client = Client(validator(DispatcherMiddleware(_nothing, {"/one": one, "/two": two})))
    together = threading.Barrier(8, timeout=60)

    def call(number: int) -> tuple[Any, Any]:
        if number < 8:
            together.wait()
        name = ("one", "two")[number % 2]
        caller = f"caller-{number}"
        answer = client.post(
            f"/{name}/perform", json={"number": number}, headers={"X-Caller-Name": caller}, buffered=True
        )
        return answer.json, [name, number, caller, {"number": number}]

    with ThreadPoolExecutor(8) as pool:
        for got, expected in pool.map(call, range(2000)):
            assert got == expected
    for name, value in (("one", 1), ("two", 2)):
        page = client.get(f"/{name}/metrics", buffered=True).text
        assert "requests_done_total 1000.0" in page
        assert f"own {value}.0" in page
        assert f'pyjob_job_info{{name="{name}",version="0.0.1"}} 1.0' in page


def _nothing(environ: Any, start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b""]


def failure_of(folder: Path, **options: Any) -> str:
    with pytest.raises(pyjob.ConflictError) as caught:
        pyjob.create(folder, load="now", **options)
    return str(caught.value)


IMPORTING = "import {module}\nclass Job:\n    def perform(self): return {module}.NAME\n"
LAZY = "class Job:\n    def perform(self):\n        import {module}\n        return {module}.NAME\n"


@pytest.mark.parametrize("first", [IMPORTING, LAZY])
@pytest.mark.parametrize("second", [IMPORTING, LAZY])
def test_two_jobs_that_import_a_sibling_of_one_name_are_refused_naming_both(
    make_job: MakeJob, first: str, second: str
) -> None:
    files = {"shared_name.py": "NAME = 1\n"}
    one = make_job(first.format(module="shared_name"), name="one", files=files)
    two = make_job(second.format(module="shared_name"), name="two", files=files)
    pyjob.create(one, load="now")
    error = failure_of(two)
    assert all(part in error for part in ("one", "two", str(one), str(two), "'shared_name'"))


def test_a_module_that_only_one_imports_but_both_have_is_refused(make_job: MakeJob) -> None:
    files = {"shared_name.py": "NAME = 1\n"}
    pyjob.create(make_job("class Job:\n  def perform(self): ...", name="one", files=files), load="now")
    two = make_job(IMPORTING.format(module="shared_name"), name="two", files=files)
    assert "'shared_name'" in failure_of(two)


def test_a_package_of_one_name_is_refused_too(make_job: MakeJob) -> None:
    code = "from package.inner import NAME\nclass Job:\n  def perform(self): return NAME\n"
    files = {"package/inner.py": "NAME = 1\n"}
    pyjob.create(make_job(code, name="one", files=files), load="now")
    assert "'package'" in failure_of(make_job(code, name="two", files=files))


def test_tests_setup_and_entry_files_of_one_name_live_together(make_job: MakeJob) -> None:
    files = {"setup.py": "", "tests/test_it.py": "", "conftest.py": "", "train.py": "import job\n"}
    code = "class Job:\n    def perform(self): return __name__\n"
    one = pyjob.create(make_job(code, name="one", files=files), load="now")
    two = pyjob.create(make_job(code, name="two", files=files), load="now")
    assert one.call("/perform") != two.call("/perform")


def test_a_sibling_that_the_host_has_loaded_from_elsewhere_is_refused(make_job: MakeJob) -> None:
    folder = make_job(IMPORTING.format(module="decimal"), files={"decimal.py": "NAME = 1\n"})
    error = failure_of(folder)
    assert "'decimal'" in error
    assert str(folder / "decimal.py") in error
    assert "rename" in error


def test_runtime_env_values_that_contradict_are_refused_naming_both(make_job: MakeJob) -> None:
    code = "class Job:\n    def perform(self): ...\n"
    same = "runtime_env:\n  ZOO: 'a'\n"
    pyjob.create(make_job(code, name="one", fields=same), load="now")
    pyjob.create(make_job(code, name="two", fields=same), load="now")
    error = failure_of(make_job(code, name="three", fields="runtime_env:\n  ZOO: 'b'\n"))
    assert "one" in error
    assert "three" in error
    assert "ZOO" in error


def test_the_jobs_folder_goes_last_on_the_path_of_a_host(make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self): ...\n")
    pyjob.create(folder, load="now")
    assert sys.path[-1] == str(folder)


def test_an_embedded_job_leaves_logging_and_signals_alone(make_job: MakeJob) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers.copy(), signal.getsignal(signal.SIGTERM), sys.stdout, os.umask(0o22))
    os.umask(before[4])
    pyjob.create(make_job("class Job:\n    def perform(self): ...\n"), load="now").call("/perform")
    after = (root.level, root.handlers.copy(), signal.getsignal(signal.SIGTERM), sys.stdout, os.umask(0o22))
    os.umask(after[4])
    assert after == before


def test_nothing_is_alive_before_the_first_request(make_job: MakeJob) -> None:
    folder = make_job("import threading\nLOADED = True\nclass Job:\n    def perform(self): ...\n")
    threads = threading.active_count()
    application = pyjob.create(folder)
    assert threading.active_count() == threads
    assert "job" not in sys.modules
    application.start()
    assert application.state.wait(20) == "ready"


@pytest.mark.parametrize("load", ["now", "background"])
def test_an_application_made_before_a_fork_serves_in_the_child(make_job: MakeJob, load: Any) -> None:
    code = "class Job:\n    async def perform(self, x: int): return x + 1\n"
    application = pyjob.create(make_job(code), load=load)
    if load == "now":
        assert application.call("/perform", {"x": 1}) == 2
    child = os.fork()
    if child == 0:
        try:
            answer = Client(application).post("/perform", json={"x": 1})
            while answer.status_code == 503:
                answer = Client(application).post("/perform", json={"x": 1})
            os._exit(0 if answer.json == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_call_runs_an_endpoint_in_process_through_the_same_checks_and_metrics(make_job: MakeJob) -> None:
    code = """
        class Job:
            def perform(self, x: float):
                if x < 0:
                    raise ZeroDivisionError("told")
                return {"x": x, "path": self.request_context.get().path}
    """
    application = pyjob.create(make_job(code))
    assert application.call("/perform", {"x": 1}) == {"x": 1, "path": "/api/v1/perform"}
    assert application.call("/api/v1/perform", {"x": 1})
    with pytest.raises(pyjob.PayloadError, match="x: expected float"):
        application.call("/perform", {"x": "1"})
    with pytest.raises(pyjob.PayloadError, match="unexpected argument: 1"):
        application.call("/perform", {"x": 1, 1: 2})  # type: ignore[dict-item]
    with pytest.raises(ZeroDivisionError):
        application.call("/perform", {"x": -1})
    with pytest.raises(pyjob.JobError, match="no endpoint /explain") as caught:
        application.call("/explain", {})
    assert caught.value.status == 404
    page = Client(application).get("/metrics").text
    assert "requests_done_total 3.0" in page
    assert 'request_internal_errors_total{endpoint="/perform"} 1.0' in page


def test_call_of_a_job_that_failed_to_load_raises_503(make_job: MakeJob) -> None:
    with pytest.raises(pyjob.JobError, match="division by zero") as caught:
        pyjob.create(make_job("1/0")).call("/perform")
    assert caught.value.status == 503


def test_a_class_and_an_instance_at_hand_are_served_by_the_same_rules(client_of: ClientOf) -> None:
    class Adder:
        def __init__(self, start: float = 0) -> None:
            self.start = start

        def perform(self, x: float) -> float:
            return self.start + x

    assert client_of(Adder).perform(x=1).json == 1
    client = client_of(Adder(10), manifest={"name": "ten", "version": "1.0.0"})
    assert client.perform(x=1).json == 11
    assert client.perform(x="1").status_code == 400
    assert client.get("/health").json["job_name"] == "ten"
    with pytest.raises(pyjob.EntryPointError, match="positional-only"):
        client_of(type("Bad", (), {"perform": lambda self, x, /: x}))


def test_a_faulty_manifest_at_hand_is_refused(client_of: ClientOf) -> None:
    with pytest.raises(pyjob.ManifestError, match="replicas"):
        client_of(type("Job", (), {"perform": print}), manifest={"replicas": 0})


def test_a_class_that_is_no_job_is_refused(client_of: ClientOf) -> None:
    for nothing in (type("Empty", (), {}), 5, len, b"/folder"):
        with pytest.raises(pyjob.EntryPointError, match="a `perform` method, or the path of a job"):
            client_of(nothing)


def test_options_that_make_no_sense_are_refused(make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self): ...\n")
    with pytest.raises(TypeError, match="manifest"):
        pyjob.create(folder, manifest={"name": "mine"})
    with pytest.raises(ValueError, match="load"):
        pyjob.create(folder, load="Now")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="chdir"):
        pyjob.create(folder, chdir="never")  # type: ignore[call-overload]


def test_a_job_that_waits_for_one_that_waits_for_it_is_told_so(make_job: MakeJob) -> None:
    code = "class Inner:\n    def perform(self): return 1\n"
    inner = pyjob.create(make_job(code, name="inner", entry="inner_entry.py"))

    class Outer:
        def __init__(self) -> None:
            inner.start()  # in another thread, which waits for this one to end
            inner.call("/perform")

        def perform(self) -> None: ...

    with pytest.raises(pyjob.ConflictError, match="inner is being loaded by another thread"):
        pyjob.create(Outer, load="now")
    assert inner.call("/perform") == 1


def test_settings_leave_what_the_environment_says(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_VERSION", "abc")
    job = type("Job", (), {"perform": lambda self: None})
    client = client_of(job, settings=pyjob.Settings(access_log=False))
    assert client.get("/health").json["git_version"] == "abc"


def test_load_after_a_failed_start_raises(make_job: MakeJob) -> None:
    application = pyjob.create(make_job("1/0"))
    application.start()
    with pytest.raises(pyjob.JobError, match="division by zero"):
        application.load()


def test_the_same_folder_can_be_served_twice(make_job: MakeJob) -> None:
    folder = make_job("class Job:\n    def perform(self): return __name__\n", entry="twice.py")
    first, second = (pyjob.create(folder, load="now") for _ in range(2))
    assert first.call("/perform") == second.call("/perform") == "twice"
