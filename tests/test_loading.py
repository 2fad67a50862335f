"""From a folder to a served class: finding it, loading it, and saying why it failed (SPEC 1.1, 1.2, 4.2)."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pyjob
from tests.conftest import ClientOf, JobClient, MakeJob


def failure_of(folder: Path, client_of: ClientOf) -> str:
    """The error on `/live` of a job that fails to load."""
    client = client_of(folder, load="background")
    client.get("/live")
    assert client.application.state.wait(20) == "failed"
    answer = client.get("/live")
    assert answer.status_code == 500
    assert answer.json["live"] is False
    assert "\n" not in answer.json["error"]
    return str(answer.json["error"])


# Finding the class


def test_the_one_class_with_perform_is_the_job(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
        import abc, dataclasses, enum
        from typing import Protocol
        from collections import OrderedDict
        from wsgiref.simple_server import WSGIServer
        from other import Imported

        class Color(enum.Enum):
            RED = 1
            def perform(self): ...

        @dataclasses.dataclass
        class Options:
            a: int = 1

        class Helper: ...

        @dataclasses.dataclass
        class Step:
            def perform(self): ...

        class Performs(Protocol):
            def perform(self): ...

        class AnswersToAnyName(type):
            def __getattr__(cls, name): return lambda: None

        class Odd(metaclass=AnswersToAnyName): ...

        class Base(abc.ABC):
            @abc.abstractmethod
            def perform(self): ...

        class TheJob(Base):
            def perform(self):
                return "mine"

        Alias = TheJob
    """
    other = "class Imported:\n    def perform(self): return 'imported'\n"
    client = client_of(make_job(code, files={"other.py": other}))
    assert client.perform().json == "mine"


def test_the_manifest_may_name_the_class_also_an_imported_one(make_job: MakeJob, client_of: ClientOf) -> None:
    code = "from other import Imported\nclass A:\n    def perform(self): return 'a'\n"
    other = "class Imported:\n    def perform(self): return 'imported'\n"
    folder = make_job(code, files={"other.py": other}, extra={"entrypoint_class": "Imported"})
    assert client_of(folder).perform().json == "imported"


def test_a_class_without_perform_but_with_other_methods_has_no_perform_endpoint(
    job_of: Callable[..., JobClient],
) -> None:
    client = job_of("def metrics(self): return [{'name': 'answer', 'value': 42}]")
    assert client.perform().status_code == 404
    assert client.get("/api/v1/parameters").status_code == 404
    assert "answer 42.0" in client.get("/metrics").text


@pytest.mark.parametrize(
    ("code", "extra", "told"),
    [
        ("x = 1", {}, ["job.py", "`perform`", "no class"]),
        ("class Helper: ...", {}, ["job.py", "`perform`", "Helper"]),
        ("class A:\n  def preform(self): ...", {}, ["job.py", "class A", "'preform'", "misspelt"]),
        ("def perform(x): ...\nclass A: ...", {}, ["job.py", "function `perform` outside"]),
        ("class A:\n  def perform(): ...", {}, ["job.py", "class A", "perform", "no `self`"]),
        (
            "class A:\n  def perform(self): ...\nclass B:\n  def perform(self): ...",
            {},
            ["job.py", "A, B", "entrypoint_class"],
        ),
        ("class A:\n  def perform(self): ...", {"entrypoint_class": "B"}, ["job.py", "'B'", "A"]),
        ("B = 1", {"entrypoint_class": "B"}, ["job.py", "'B'", "something else"]),
        ("class A:\n  def perform(self, *numbers): ...", {}, ["job.py", "class A", "perform", "*numbers"]),
        ("class A:\n  def perform(self, x, /): ...", {}, ["job.py", "class A", "perform", "positional-only"]),
    ],
)
def test_a_broken_rule_names_file_class_and_method(
    make_job: MakeJob, client_of: ClientOf, code: str, extra: dict[str, str], told: list[str]
) -> None:
    error = failure_of(make_job(code, extra=extra), client_of)
    assert all(part in error for part in told), error
    assert "cause=EntryPointError" in error


def test_a_missing_entry_file_is_named_with_its_field(make_job: MakeJob, client_of: ClientOf) -> None:
    folder = make_job("")
    (folder / "job.py").unlink()
    error = failure_of(folder, client_of)
    assert "job.yaml: jobtype_extra.entrypoint_path" in error
    assert "'job.py'" in error


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("def perform(x): ...", "its first parameter is 'x'"),
        ("def perform(self, x: 'flaot', y: 'float'): ...", "the annotation 'flaot' of x cannot be resolved"),
    ],
)
def test_what_is_probably_a_slip_is_a_warning(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture, body: str, told: str
) -> None:
    job_of(body)
    assert told in caplog.text
    assert caplog.text.count("job.py: class Job: method perform") == 1


@pytest.mark.parametrize(
    "method",
    [
        "def perform(self): ...",
        "@classmethod\ndef perform(cls, x): ...",
        "@staticmethod\ndef perform(x): ...",
    ],
)
def test_no_slip_is_suspected_where_there_is_none(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture, method: str
) -> None:
    job_of(method)
    assert "first parameter" not in caplog.text


def test_a_misspelt_entry_file_is_suggested(make_job: MakeJob, client_of: ClientOf) -> None:
    folder = make_job("", entry="jbo.py")
    (folder / "jbo.py").rename(folder / "job.py")
    assert "did you mean 'job.py'?" in failure_of(folder, client_of)


def test_a_class_that_asks_for_arguments_is_told_so(
    make_job: MakeJob, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    code = "class Job:\n    def __init__(self, path): ...\n    def perform(self): ...\n"
    error = failure_of(make_job(code), client_of)
    assert "class Job: the job is made without arguments" in error
    assert "'path'" in error
    assert "Traceback" not in caplog.text


def test_a_named_class_that_is_no_job_is_told_so(make_job: MakeJob, client_of: ClientOf) -> None:
    folder = make_job("class J: ...\n", extra={"entrypoint_class": "J"})
    assert "class J: expected a `perform` method" in failure_of(folder, client_of)


def test_documentation_that_cannot_be_read_stops_no_start(job_of: Callable[..., JobClient]) -> None:
    head = """
class Evil:
    def __repr__(self): raise RuntimeError
    def __eq__(self, other): raise RuntimeError
    def __hash__(self): raise RuntimeError
    def __str__(self): raise RuntimeError

class EvilError(Exception):
    def __str__(self): raise SystemExit

HOLDS_ITSELF = []
HOLDS_ITSELF.append(HOLDS_ITSELF)
"""
    body = """
def perform(self, a: Evil() = Evil(), b: int = 10**5000, c=HOLDS_ITSELF, d: str = "x" * 10**6) -> Evil():
    return 1
def docs_input_example(self): raise EvilError
@property
def metrics(self): raise EvilError
"""
    client = job_of(body, head=head)
    assert client.perform().json == 1
    shown = {item["name"]: item["default_value"] for item in client.get("/parameters").json}
    assert shown["a"] == "<Evil>"
    assert client.get("/openapi.json").status_code == 200


def test_a_marked_parameter_is_shown_as_what_it_marks(job_of: Callable[..., JobClient]) -> None:
    body = """
def perform(self, a: Annotated[int, "years"], b: Annotated[list[float], None] = ()): return a
"""
    client = job_of(body, head="from typing import Annotated")
    shown = {item["name"]: item["type"] for item in client.get("/parameters").json}
    assert shown == {"a": "int", "b": "list[float]"}


def test_a_sample_of_numpy_is_a_warning(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("numpy")
    body = "def perform(self): return 1\ndef docs_input_example(self): return numpy.array([1, 2])"
    assert job_of(body, head="import numpy").perform().json == 1
    assert "expected a dict, found ndarray" in caplog.text


def test_a_class_that_refuses_attributes_is_served(job_of: Callable[..., JobClient]) -> None:
    body = "def __setattr__(self, name, value): raise ValueError(name)\ndef perform(self): return 1"
    assert job_of(body).perform().json == 1


def test_a_decorator_without_wraps_is_a_warning(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture
) -> None:
    head = (
        "def logged(f):\n    def inner(*args, **kwargs):\n        return f(*args, **kwargs)\n    return inner"
    )
    client = job_of("@logged\ndef perform(self, x): return x", head=head)
    assert client.perform(x=1).json == 1
    assert "functools.wraps" in caplog.text


# Where it loads


def test_the_job_finds_its_files_and_siblings(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
        import sys
        from pathlib import Path
        from package.inner import answer
        import sibling

        class Job:
            def __init__(self):
                self.text = Path("./model.txt").read_text()
            def perform(self):
                return [self.text, answer, sibling.NAME, Path(sys.modules[__name__].__file__).name]
    """
    files = {
        "model.txt": "the model",
        "package/inner.py": "answer = 42\n",
        "sibling.py": "NAME = 'sibling'\n",
    }
    before = Path.cwd()
    client = client_of(make_job(code, files=files))
    assert client.perform().json == ["the model", 42, "sibling", "job.py"]
    assert Path.cwd() == before


def test_the_entry_module_has_its_files_name_where_that_is_free(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = "class Job:\n    def perform(self): return __name__\n"
    assert client_of(make_job(code, name="one", entry="my_entry.py")).perform().json == "my_entry"
    second = client_of(make_job(code, name="two", entry="my_entry.py")).perform().json
    assert second != "my_entry"
    assert Path(str(sys.modules[second].__file__)).parent.name == "two"


def test_an_entry_file_named_like_a_module_of_python_gets_a_name_of_its_own(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = "import json\nclass Job:\n    def perform(self): return [json.dumps(1), __name__]\n"
    first, name = client_of(make_job(code, entry="json.py")).perform().json
    assert first == "1"
    assert name != "json"


def test_objects_of_the_entry_file_can_be_pickled(make_job: MakeJob, client_of: ClientOf) -> None:
    code = """
        import pickle
        class Model:
            weight = 3
        class Job:
            def perform(self): return pickle.loads(pickle.dumps(Model())).weight
    """
    assert client_of(make_job(code, entry="nested/entry_file.py")).perform().json == 3


def test_runtime_env_is_set_before_the_entry_file_is_imported(make_job: MakeJob, client_of: ClientOf) -> None:
    code = "import os\nZOO = os.environ['MODEL_ZOO']\nclass Job:\n    def perform(self): return ZOO\n"
    fields = "runtime_env:\n  MODEL_ZOO: 'animals'\n"
    assert client_of(make_job(code, fields=fields)).perform().json == "animals"


def test_a_class_at_hand_stays_in_the_working_directory(client_of: ClientOf) -> None:
    class Job:
        def __init__(self) -> None:
            self.made_in = str(Path.cwd())

        def perform(self) -> str:
            return self.made_in

    assert client_of(Job).perform().json == str(Path.cwd())


def test_jobs_load_one_after_the_other_each_in_its_own_folder(make_job: MakeJob) -> None:
    code = """
        import os, threading
        BEFORE = os.getcwd()
        threading.Event().wait(0.05)  # long enough for another load to get in between, were it let
        AFTER = os.getcwd()
        class Job:
            def perform(self): return [BEFORE, AFTER]
    """
    folders = [make_job(code, name=f"job{number}", entry=f"entry{number}.py") for number in range(4)]
    before = Path.cwd()
    applications = [pyjob.create(folder) for folder in folders]
    for application in applications:
        application.start()
    for folder, application in zip(folders, applications, strict=True):
        assert application.call("/perform") == [str(folder), str(folder)]
    assert Path.cwd() == before


@pytest.mark.parametrize("chdir", ["load", True, False])
def test_the_working_directory_is_the_jobs_as_long_as_asked(
    make_job: MakeJob, client_of: ClientOf, chdir: Any
) -> None:
    code = "import os\nIMPORTED_IN = os.getcwd()\nclass Job:\n    def perform(self): return IMPORTED_IN\n"
    folder, before = make_job(code), Path.cwd()
    imported_in = client_of(folder, chdir=chdir).perform().json
    assert Path(imported_in) == (before if chdir is False else folder)
    assert Path.cwd() == (folder if chdir is True else before)


# While it loads


def test_probes_answer_and_the_rest_is_503_while_the_job_loads(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    class Slow:
        def __init__(self) -> None:
            entered.set()
            leave.wait(20)

        def perform(self) -> str:
            return "ready"

    monkeypatch.setenv("JOB_DEPLOYMENT_TIMESTAMP", "1700000000")
    client = client_of(Slow, load="background")
    assert not entered.is_set()
    live = client.get("/live")
    assert entered.wait(20)
    assert (live.status_code, live.json) == (200, {"live": True, "deployment_timestamp": 1700000000})
    assert (client.get("/ready").status_code, client.get("/ready").json) == (500, {"ready": False})
    assert client.get("/health").json["status"] == "fail"
    assert client.get("/metrics").status_code == 200
    for answer in (client.perform(), client.get("/openapi.json"), client.get("/unknown")):
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert set(answer.json) == {"error", "type"}
    for page in (client.get("/docs"), client.get("/")):
        assert (page.status_code, page.headers["Retry-After"]) == (503, "1")
        assert page.mimetype == "text/html"
    leave.set()
    assert client.application.state.wait(20) == "ready"
    assert client.get("/docs").status_code == 200
    assert client.get("/ready").json == {"ready": True}
    assert client.perform().json == "ready"
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json["status"] == "pass"


def test_health_tells_the_job_and_its_deployment(
    client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Job:
        def perform(self) -> None: ...

    monkeypatch.setenv("GIT_VERSION", "abc")
    monkeypatch.setenv("DEPLOYED_BY_RACETRACK_VERSION", "2.0")
    monkeypatch.setenv("JOB_TYPE_VERSION", "3.1")
    client = client_of(Job, manifest={"name": "adder", "version": "1.2.3"})
    assert client.get("/health").json == {
        "service": "job",
        "job_name": "adder",
        "job_version": "1.2.3",
        "live": True,
        "ready": True,
        "status": "pass",
        "error": None,
        "git_version": "abc",
        "deployed_by_racetrack_version": "2.0",
        "deployment_timestamp": None,
        "job_type_version": "3.1",
    }


# When it fails


def test_live_tells_the_cause_and_the_place_in_the_jobs_own_file(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    code = """\
        from model import load
        class Job:
            def __init__(self):
                load()
            def perform(self): ...
    """
    model = "import json\ndef load():\n    json.loads('{')\n"
    error = failure_of(make_job(code, files={"model.py": model}), client_of)
    assert "cause=JSONDecodeError" in error
    assert error.endswith("traceback=job.py:4, model.py:3")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("class Job\n", ["cause=SyntaxError", "job.py:1"]),
        ("import sys\nsys.exit(3)\n", ["cause=SystemExit", "job.py:2"]),
        ("raise KeyboardInterrupt\n", ["cause=KeyboardInterrupt", "job.py:1"]),
        ("def f(): f()\nf()\n", ["cause=RecursionError", "job.py:1"]),
        ("class E(Exception):\n  def __str__(self): raise E\nraise E\n", ["cause=E", "job.py:3"]),
        ("\x00", ["null bytes"]),  # a ValueError before Python 3.11.4
        ("raise SyntaxError('odd', (1, 2, 3, 'text'))\n", ["odd", "cause=SyntaxError", "job.py:1"]),
        ("1/0", ["division by zero, cause=ZeroDivisionError, traceback=job.py:1"]),
    ],
)
def test_whatever_the_entry_file_raises_the_server_lives_and_tells(
    make_job: MakeJob, client_of: ClientOf, code: str, told: list[str]
) -> None:
    error = failure_of(make_job(code), client_of)
    assert all(part in error for part in told), error


def test_after_a_failed_load_every_other_path_is_503_with_the_reason(
    make_job: MakeJob, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(make_job("1/0"), load="background")
    client.get("/live")
    client.application.state.wait(20)
    answer = client.perform()
    assert answer.status_code == 503
    assert "division by zero" in answer.json["error"]
    assert client.get("/health").json["error"] == client.get("/live").json["error"]
    assert client.get("/ready").status_code == 500
    failed = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(failed) == 1
    assert failed[0].exc_info is not None


def test_a_missing_module_ends_with_the_pip_command_where_requirements_are_named(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    folder = make_job("import not_installed_anywhere\n", extra={"requirements_path": "requirements.txt"})
    error = failure_of(folder, client_of)
    assert f"pip install -r {folder}/requirements.txt" in error
    assert "No module named 'not_installed_anywhere'" in error


def test_loading_in_the_foreground_raises_what_the_job_raises(make_job: MakeJob) -> None:
    with pytest.raises(ZeroDivisionError):
        pyjob.create(make_job("1/0"), load="now")
    assert "job" not in sys.modules


def test_a_faulty_manifest_raises_at_once_and_starts_nothing(make_job: MakeJob) -> None:
    folder = make_job("raise AssertionError('never imported')", extra={"max_concurrency": "many"})
    with pytest.raises(pyjob.ManifestError, match=r"job.yaml:9: jobtype_extra.max_concurrency: expected"):
        pyjob.create(folder)


def test_an_object_that_is_lazy_about_what_it_is_stays_lazy(job_of: Callable[..., JobClient]) -> None:
    head = """
    class Lazy:
        @property
        def __class__(self):
            raise RuntimeError("not set up")

    settings = Lazy()
    del Lazy
    """
    assert job_of("def perform(self): return 1", head=head).perform().json == 1


# Samples


@pytest.mark.parametrize(
    ("sample", "told"),
    [
        ("[1]", "expected a dict, found list"),
        ("{'x': object()}", "not JSON serializable"),
        ("{'x': float('nan')}", "not JSON compliant"),
        ("{'y': 1}", "missing argument: x"),
        ("{'x': 'text'}", "x: expected float"),
        ("{'x': 1, 'note': 'n' * 1000000}", "at most 1000000"),
        ("1 / 0", "ZeroDivisionError"),
        ("exit()", "SystemExit"),
    ],
)
def test_a_broken_sample_is_a_warning_and_the_job_is_served_without_it(
    job_of: Callable[..., JobClient], caplog: pytest.LogCaptureFixture, sample: str, told: str
) -> None:
    client = job_of(
        "def perform(self, x: float, note: str = ''): return x\n"
        f"def docs_input_example(self): return {sample}"
    )
    assert told in caplog.text
    assert "class Job: docs_input_example" in caplog.text
    operation = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]
    assert "examples" not in operation["requestBody"]["content"]["application/json"]
    assert client.perform(x=1).json == 1


@pytest.mark.parametrize(
    "methods",
    [
        "def docs_input_example(self): return {'x': 1}",
        "async def docs_input_example(self): return {'x': 1}",
        "def docs_input_examples(self): return {'/perform': {'x': 1}}",
        "def docs_input_examples(self): return {'perform': {'x': 1}}\n"
        "def docs_input_example(self): return {'x': 2}",
        "def docs_input_examples(self): return {}\ndef docs_input_example(self): return {'x': 1}",
        "def docs_input_examples(self): return {'/perform': None}\n"
        "def docs_input_example(self): return {'x': 1}",
        "def docs_input_examples(self): return None\ndef docs_input_example(self): return {'x': 1}",
    ],
)
def test_the_sample_is_published(job_of: Callable[..., JobClient], methods: str) -> None:
    client = job_of(f"def perform(self, x: float): return x\n{methods}")
    operation = client.get("/openapi.json").json["paths"]["/api/v1/perform"]["post"]
    examples = operation["requestBody"]["content"]["application/json"]["examples"]
    assert [example["value"] for example in examples.values()] == [{"x": 1}]


# One file, or a class at hand


def test_one_file_without_any_manifest_is_a_job(tmp_path: Path, client_of: ClientOf) -> None:
    file = tmp_path / "adder.py"
    file.write_text("class Adder:\n    def perform(self, x, y): return x + y\n")
    client = client_of(file)
    assert client.perform(x=1, y=2).json == 3
    health = client.get("/health").json
    assert (health["job_name"], health["job_version"]) == ("adder", "0.0.1")


def test_the_environment_is_left_alone_by_a_job_without_runtime_env(
    make_job: MakeJob, client_of: ClientOf
) -> None:
    before = dict(os.environ)
    client_of(make_job("class Job:\n    def perform(self): ...\n"))
    assert dict(os.environ) == before
