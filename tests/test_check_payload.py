"""What reading finds in what the methods of a job give, in the paths it opens, and in its imports."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyjob.check.code.code import check_code, files_referred_to
from pyjob.check.code.reading.modules import ModuleFinder, Place
from pyjob.check.code.references import Reference
from pyjob.check.finding import Severity
from tests.conftest import MakeJob
from tests.test_check_code import ADVICE, ERROR, GOOD, WARNING, Check, check, check_body, manifest_of, told
from tests.test_standard import CODE

__all__ = ["check", "check_body"]

V2 = "from pyjob import EndpointConfig\nfrom http import HTTPMethod\n"


def test_the_snippets_of_the_standard_have_neither_errors_nor_warnings(make_job: MakeJob) -> None:
    files = {"supersmart/model.py": "def just_do_it(x, y): return x * y\n", "xrai.yaml": "", "README.md": ""}
    found = check_code(manifest_of(make_job(CODE, entry="job_entrypoint.py", files=files)))
    missing = [one for one in found if one.severity is not ADVICE and "no module 'flask'" not in one.message]
    assert missing == []


# Samples

HEAD = """
import enum
from typing import IO, Any, BinaryIO, Dict, List, Literal, Optional, Union
from werkzeug.datastructures import FileStorage
class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"
    @property
    def nice(self): return self is Color.RED
class Level(enum.IntEnum):
    LOW = 1
class Odd(enum.Enum):
    A = enum.auto()
Speed = Literal["slow", "fast"]
Alias = Optional[Speed]
"""


@pytest.mark.parametrize(
    ("annotation", "fits", "fails"),
    [
        ("int", ["1", "2.0", "-3"], ["'1'", "True", "1.5", "None"]),
        ("float", ["1", "-1.5"], ["'x'", "False", "[]"]),
        ("bool", ["True"], ["1", "'true'"]),
        ("'str'", ["'x'"], ["1"]),
        ("None", ["None"], ["1"]),
        ("list", ["[]", "(1, 2)"], ["{}", "1"]),
        ("List[int]", ["[1]"], ["[1, 'x']", "'x'"]),
        ("'list[List[float]]'", ["[[1]]"], ["[['x']]"]),
        ("Dict[str, int]", ["{'a': 1}"], ["{'a': 'x'}", "[]"]),
        ("dict[str, list[str]]", ["{'a': ['x']}"], ["{'a': [1]}"]),
        ("Optional[int]", ["None", "1"], ["'x'"]),
        ("int | None", ["None", "1"], ["'x'"]),
        ("'Union[int, List[str]]'", ["1", "['x']"], ["'x'", "[1]"]),
        ("Literal['a', 1]", ["'a'", "1"], ["'b'", "True"]),
        ("Speed", ["'slow'"], ["'medium'"]),
        ("'Alias'", ["None", "'fast'"], ["'medium'"]),
        ("bytes", ["'YWJj'", "''"], ["'?'", "1", "None"]),
        ("BinaryIO", ["'YWJj'"], ["'YWJ'", "b'YWJj'"]),
        ("Optional[FileStorage]", ["None", "'YQ=='"], ["['YQ==']"]),
        ("list[bytes]", ["['YQ==']"], ["'YQ=='", "['?']"]),
        ("Dict[str, bytes]", ["{'a': 'YQ=='}"], ["{'a': 1}"]),
        ("IO[bytes]", ["'?'"], []),
        ("Color", ["'red'"], ["'green'", "1"]),
        ("Level", ["1"], ["2"]),
        ("list[Color]", ["['red']"], ["['green']"]),
        # Outside of the list of types that are checked, or not to be known from reading.
        ("Any", ["1", "'x'"], []),
        ("Odd", ["1", "7"], []),
        ("tuple[int, int]", ["'x'"], []),
        ("int | Odd", ["'x'"], []),
        ("list[Odd]", ["['x']"], ["'x'"]),
        ("unknown.Thing", ["'x'"], []),
        ("List[int, int]", ["'x'"], []),
    ],
)
def test_a_sample_that_contradicts_an_annotation_is_an_error(
    check_body: Check, annotation: str, fits: list[str], fails: list[str]
) -> None:
    head = "import unknown\n" + HEAD
    for value in [*fits, *fails]:
        body = (
            f"def perform(self, x: {annotation}): ...\ndef docs_input_example(self): return {{'x': {value}}}"
        )
        found = check_body(body, head=head, files={"unknown.py": "Thing = 1"}, rule="broken-sample")
        assert len(found) == (value in fails), (value, told(found))
        assert all(one.severity is ERROR and "x" in one.message for one in found)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ("return {}", ""),
        ("return None", ""),
        ("return {'x': 1}", ""),
        ("return {'x': 1, 'y': 'b'}", ""),
        ("return {'x': compute()}", ""),
        ("return {'x': 1, **more}", ""),
        ("return {**more}", ""),
        ("return compute()", ""),
        ("if x: return {'z': 1}", ""),
        ("if x: return {'z': 1}\nreturn {}", ""),
        ("x = 1\nreturn {'z': 1}", "missing argument: x; unexpected argument: z"),
        ("return {'y': 'b'}", "missing argument: x"),
        ("return {'x': compute(), 'z': compute()}", "unexpected argument: z"),
        ("return {'z': 1, **more}", "unexpected argument: z"),
        ("return {'x': 'a', **more}", 'x: expected int, got "a"'),
        ("return {'x': {1, 2}}", "x: Object of type set is not JSON serializable"),
        ("return {'x': b'abc'}", "bytes is not JSON"),
        ("return {'x': 1e999}", "Out of range float"),
        ("return [1]", "expected a dict, found list"),
        ("return [compute()]", "expected a dict, found list"),
        ("return 'x'", "expected a dict, found str"),
    ],
)
def test_a_sample_is_judged_as_far_as_it_is_written_out(check_body: Check, sample: str, message: str) -> None:
    body = "def docs_input_example(self):\n"
    body += "".join(f"    {line}\n" for line in sample.splitlines())
    body += "def perform(self, x: int, y: str = 'a'): ..."
    found = check_body(
        body, head="from other import compute, more\n", files={"other.py": "compute = more = 1"}
    )
    broken = [one for one in found if one.rule == "broken-sample"]
    assert len(broken) == bool(message), told(broken)
    assert all(message in one.message for one in broken)


def test_types_of_samples_are_not_checked_where_the_manifest_says_so(check_body: Check) -> None:
    body = "def perform(self, x: int): ...\ndef docs_input_example(self): return {'x': 'a'}"
    assert len(check_body(body, rule="broken-sample")) == 1
    assert check_body(body, rule="broken-sample", extra={"check_types": "false"}) == []


def test_samples_of_all_endpoints_are_judged_each_at_its_line(check_body: Check) -> None:
    body = """
    def perform(self, x: int): ...
    def explain(self, y: str): ...
    def auxiliary_endpoints(self): return {"/explain": self.explain}
    def auxiliary_endpoints_v2(self): return [EndpointConfig("/v/{y}", "GET", self.explain)]
    def docs_input_example(self): return {"unused": 1}
    def docs_input_examples(self):
        return {
            "perform": [{"x": 1}, {"x": "a"}],
            "/api/v1/explain": {"x": 1},
            "/v/{y}": {"y": 1},
            "/explian": {},
        }
    """
    found = check_body(body, head=V2, rule="broken-sample")
    assert [one.line for one in found] == [12, 13, 14, 15]
    assert "sample of /perform" in found[0].message
    assert found[3].message == "docs_input_examples: there is no endpoint /explian"
    assert found[3].remedy == "did you mean '/explain'?"


def test_strangers_are_not_told_where_endpoints_are_computed(check_body: Check) -> None:
    body = """
    def perform(self): ...
    def auxiliary_endpoints(self): return compute()
    def docs_input_examples(self): return {"/stranger": {}}
    """
    assert check_body(body, head="compute = dict\n", rule="broken-sample") == []


def test_perform_without_a_sample_is_advised_of_one(check_body: Check) -> None:
    (found,) = check_body("def perform(self, x: int): ...", rule="sample")
    assert found.severity is ADVICE
    assert 'return {"x": ...}' in found.remedy
    assert check_body("def perform(self): ...", rule="sample") == []
    body = "def perform(self, x: int): ...\ndef docs_input_examples(self): return {'/perform': {'x': 1}}"
    assert check_body(body, rule="sample") == []


# Endpoints


@pytest.mark.parametrize(
    ("endpoints", "message"),
    [
        ('"/a": self.explane', "auxiliary_endpoints /a: class Job has no `explane`"),
        ('"/a b": self.explain', "holds a blank"),
        ('"/a/{x}": self.explain', "names in braces need auxiliary_endpoints_v2"),
        ('"/perform": self.explain', "both answer POST /perform"),
        ('"/a": self.explain, "a": self.explain', "both answer POST /a"),
        ('"/a": "explain"', "expected a method to call, found 'explain'"),
        ("1: self.explain", "expected a path as a str, found int"),
    ],
)
def test_an_auxiliary_endpoint_that_is_wrong_is_an_error(
    check_body: Check, endpoints: str, message: str
) -> None:
    body = """
    def perform(self): ...
    def explain(self, x): ...
    def auxiliary_endpoints(self):
        return {%s}
    """
    (found,) = check_body(body % endpoints, rule="endpoints")
    assert (found.severity, found.line) == (ERROR, 6)
    assert message in found.message
    assert check_body(body % '"/a": self.explain', rule="endpoints") == []


@pytest.mark.parametrize(
    ("config", "severity", "message"),
    [
        ('"/a/{y}", "GET", self.explain', ERROR, "holds {y}, but its handler has no parameter 'y'"),
        ('"/a/{x}", "PUT", self.explain', ERROR, "expected GET or POST, found 'PUT'"),
        ('"/a/{x}", HTTPMethod.PUT, self.explain', ERROR, "expected GET or POST, found HTTPMethod.PUT"),
        ('"/a/{x}", "GET"', ERROR, "EndpointConfig: missing: handler"),
        ('"/a/{x}", "GET", self.explain, {"colour": 1}', WARNING, "other_options: colour not used"),
        ('"/a/{x}", "GET", self.explain, {"tags": "mine"}', ERROR, "tags: expected a list of str"),
        ('"/a/{x}", "GET", self.explain, name="x"', ERROR, "EndpointConfig: too much: name"),
        ('"/a/{x", "GET", self.explain', ERROR, "a brace without its partner"),
    ],
)
def test_an_endpoint_config_that_is_wrong_is_told(
    check_body: Check, config: str, severity: Severity, message: str
) -> None:
    body = """
    def explain(self, x): ...
    def auxiliary_endpoints_v2(self):
        return [EndpointConfig(%s)]
    """
    (found,) = check_body(body % config, head=V2, rule="endpoints")
    assert (found.severity, found.line) == (severity, 7)
    assert message in found.message
    good = '"/a/{x}", "GET", self.explain, {"tags": ["mine"]}'
    assert check_body(body % good, head=V2, rule="endpoints") == []


def test_a_web_view_without_the_base_url_is_an_error(check_body: Check) -> None:
    (found,) = check_body("def perform(self): ...\ndef webview_app(self): ...", rule="endpoints")
    assert (found.severity, found.line) == (ERROR, 3)
    assert "def webview_app(self, base_url)" in found.remedy
    assert check_body("def webview_app(self, base_url): ...", rule="endpoints") == []


# Files


@pytest.mark.parametrize(
    ("value", "rule", "severity", "message"),
    [
        ('"../up.txt"', "static-files", ERROR, "expected a file inside"),
        ('"secret.env"', "static-files", ERROR, "is a secret file of the manifest"),
        ('("page.html", "html")', "static-files", ERROR, "expected a mime type such as text/html"),
        ("3", "static-files", ERROR, "expected a file"),
        ('"missing.html"', "static-files", WARNING, "'missing.html': there is no such file"),
        ('"page.unheard-of"', "mime-type", ADVICE, "no mime type is given"),
    ],
)
def test_a_static_endpoint_that_is_wrong_is_told(
    check_body: Check, value: str, rule: str, severity: Severity, message: str
) -> None:
    body = "def perform(self): ...\ndef static_endpoints(self):\n    return {'/page': %s}"
    files = {"page.html": "", "page.unheard-of": "", "secret.env": "", "pages/x.html": ""}
    options = {"files": files, "fields": "secret_runtime_env_file: secret.env"}
    found = [one for one in check_body(body % value, **options) if one.rule in ("static-files", "mime-type")]
    (one,) = found
    assert (one.rule, one.severity, one.line) == (rule, severity, 4)
    assert message in one.message
    for good in ('"page.html"', '("page.unheard-of", "text/plain")', '"pages"', "compute"):
        found = check_body(body % good, head="compute = 1\n", **options)
        assert [one.rule for one in found if one.rule in ("static-files", "mime-type")] == []


def test_absolute_paths_in_calls_are_warned_of(check: Check, tmp_path: Path) -> None:
    own = f"{tmp_path}/sample/model.bin"
    code = f"""\
    import sib
    A = open({own!r}), open("/src/job/model.bin"), open(file="/home/ada/model.bin")
    B = open("C:\\\\models\\\\model.bin"), open("/Users/ada/m/model.bin")
    C = open("model.bin"), open("/etc/hosts"), print("/home/"), "/home/ada/x"
    if __name__ == "__main__":
        open("/home/ada/model.bin")
    class Job:
        def perform(self): ...
        def webview_app(self, base_url):
            app = make()
            @app.route("/home/page/x")
            def page(): ...
    """
    found = check(code, rule="relative-paths", files={"sib.py": "x = open('/home/ada/model.bin')"})
    assert [one.place for one in found] == [
        "job.py:2",
        "job.py:2",
        "job.py:2",
        "job.py:3",
        "job.py:3",
        "sib.py:1",
    ]
    assert all(one.severity is WARNING and '"./model.bin"' in one.remedy for one in found)


def test_files_that_the_code_names_are_listed(make_job: MakeJob) -> None:
    code = """\
    import os, pickle, sib
    from pathlib import Path
    import pathlib
    A = open("a.txt"), Path("b.txt"), pathlib.Path("./c.txt"), os.path.join("models", "d.bin")
    B = sib.load_model("models"), sib.read_csv("e.csv"), pickle.load(open("a.txt", "rb"))
    C = open("out.txt", "w"), open("missing.txt"), Path("."), Path("../x"), open("/etc/hosts"), print("f.txt")
    D = Path("\\0"), Path("x" * 3), Path("y"), Path(""), open(*[]), Path()
    class Job:
        def perform(self): ...
        def static_endpoints(self):
            return {"/f": ("f.txt", "text/plain"), "/models": "models"}
    """
    names = ["a.txt", "b.txt", "c.txt", "models/d.bin", "e.csv", "f.txt", "out.txt", "g.txt"]
    files = {**dict.fromkeys(names, ""), "sib.py": "x = open('g.txt')\n"}
    folder = make_job(code, files=files)
    assert files_referred_to(manifest_of(folder)) == [
        Reference(folder / "a.txt", "job.py", 4),
        Reference(folder / "a.txt", "job.py", 5),
        Reference(folder / "b.txt", "job.py", 4),
        Reference(folder / "c.txt", "job.py", 4),
        Reference(folder / "e.csv", "job.py", 5),
        Reference(folder / "f.txt", "job.py", 11),
        Reference(folder / "g.txt", "sib.py", 1),
        Reference(folder / "models", "job.py", 5),
        Reference(folder / "models", "job.py", 11),
        Reference(folder / "models/d.bin", "job.py", 4),
    ]


PATHS = [
    'open(Path(__file__).parent / "w.bin")',
    'open(Path(__file__).resolve().parent / "a" / "w.bin")',
    'open(pathlib.Path(__file__).resolve(strict=True).parent.joinpath("a", "w.bin"))',
    'load_model(Path(__file__).with_name("w.bin"))',
    'open(os.path.join(os.path.dirname(__file__), "w.bin"))',
    'open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "a", "w.bin"))',
    'open(os.path.dirname(os.path.realpath(__file__)) + "/w.bin")',
    '(HERE / "w.bin").read_bytes()',
    'load_model(str(HERE / "w.bin"))',
    'open(f"{HERE}/a/w.bin")',
    'open(f"{FOLDER}/w.bin")',
    "open(MODEL)",
    "load_model(MODEL)",
    'open(file="w.bin")',
]
CONSTANTS = """
import os, pathlib
from pathlib import Path
from lib import load_model
HERE = Path(__file__).parent
FOLDER = os.path.dirname(os.path.abspath(__file__))
MODEL = "w.bin"
"""


@pytest.mark.parametrize("opened", PATHS)
def test_paths_that_are_put_together_are_followed(make_job: MakeJob, opened: str) -> None:
    files = {"lib.py": "def load_model(path): ...", "w.bin": "", "a/w.bin": ""}
    folder = make_job(f"{CONSTANTS}\n{opened}\n{GOOD}", files=files)
    found = {one.path for one in files_referred_to(manifest_of(folder))}
    assert found == {folder / ("a/w.bin" if '"a"' in opened or "/a/" in opened else "w.bin")}


@pytest.mark.parametrize(
    "used",
    [
        "print(MODEL)",
        "def f(MODEL): return open(MODEL)",
        "MODEL = choose()\nopen(MODEL)",
        "open(HERE / name())",
        'open(f"{HERE!r}/w.bin")',
        'open(HERE / "w.bin", "wb")',
        'OUT = HERE / "w.bin"\nOUT.write_bytes(b"")',
        'OUT = HERE / "w.bin"\nOUT.parent.mkdir()\ndef f(x): x.save(OUT)',
        'if __name__ == "__main__":\n    open(HERE / "w.bin")',
    ],
)
def test_what_is_computed_or_written_is_no_file_that_the_job_needs(make_job: MakeJob, used: str) -> None:
    files = {"lib.py": "def load_model(path): ...", "w.bin": ""}
    folder = make_job(f"{CONSTANTS}\nfrom lib2 import choose, name\n{used}\n{GOOD}", files=files)
    assert files_referred_to(manifest_of(folder)) == []


@pytest.mark.parametrize("opened", [one for one in PATHS if "load_model" not in one])
def test_a_file_that_the_start_opens_and_that_is_not_there_is_a_warning(check: Check, opened: str) -> None:
    code = f"{CONSTANTS}\nDATA = {opened}\n{GOOD}"
    files = {"lib.py": "def load_model(path): ..."}
    (found,) = check(code, files=files)
    assert (found.rule, found.severity, found.line) == ("files-in-git", WARNING, 9)
    missing = "a/w.bin" if '"a"' in opened or "/a/" in opened else "w.bin"
    assert found.message == f"job.py opens '{missing}', and there is no such file"
    assert check(code, files={**files, "w.bin": "", "a/w.bin": ""}) == []


def test_a_missing_file_is_looked_for_in_init_and_in_imported_modules_too(check_body: Check) -> None:
    body = GOOD.partition(":\n")[2] + "    def __init__(self):\n        with open('modle.json') as file:\n"
    body += "            self.model = file.read() + open('b.txt').read()\n"
    files = {"sib.py": "TEXT = open('c.txt').read()\n", "model.json": ""}
    found = check_body(body, head="import sib\n", files=files)
    assert [one.message.split(",")[0] for one in found] == [
        "job.py opens 'modle.json'",
        "job.py opens 'b.txt'",
        "sib.py opens 'c.txt'",
    ]
    assert found[0].remedy == "did you mean 'model.json'?"


@pytest.mark.parametrize(
    "code",
    [
        "if CONDITION: open('missing.bin')",
        "try:\n    open('missing.bin')\nexcept OSError: pass",
        "with contextlib.suppress(OSError):\n    open('missing.bin')",
        "def later(): open('missing.bin')",
        "X = lambda: open('missing.bin')",
        "X = CONDITION and open('missing.bin')",
        "X = [open('missing.bin') for _ in CONDITION]",
        "open('missing.bin', 'w')",
        "open('missing.bin', 'a+')",
        "open('missing.bin', MODE)",
        "open('missing.bin', mode='x')",
        "open('/etc/no-such-file')",
        "open('../missing.bin')",
        "open(3)",
        "open('secret.env')",
        "prepare()\nopen('missing.bin')",
        "urlretrieve('https://example.com', NAME)\nopen('missing.bin')",
        "hub.snapshot_download()\nopen('missing.bin')",
        "os.makedirs('x')\nopen('missing.bin')",
        "os.chdir('/tmp')\nopen('missing.bin')",
        "frame.to_csv('missing.bin')\nopen('missing.bin')",
        "if not os.path.exists('missing.bin'): sys.exit()\nopen('missing.bin')",
        "def save(x): x.dump('missing.bin')\nopen('missing.bin')",
    ],
)
def test_a_file_that_may_be_there_by_then_is_no_warning(check: Check, code: str) -> None:
    head = "import contextlib, os, sys\nfrom lib import *\n"
    fields = "secret_runtime_env_file: secret.env"
    found = check(f"{head}{code}\n{GOOD}", files={"lib.py": "CONDITION = MODE = NAME = 1"}, fields=fields)
    assert [one for one in found if one.rule == "files-in-git"] == []


# Metrics


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ('{"value": 1}', "a metric without 'name'"),
        ('{"name": "a"}', "a metric without 'value'"),
        ('{"name": "a b", "value": 1}', "'a b' is not the name of a metric"),
        ('{"name": "a", "value": "many"}', "the value 'many' is no number"),
        ('{"name": "a", "value": [1]}', "the value [1] is no number"),
        ('{"name": "a", "value": 1, "labels": {"a-b": 1}}', "'a-b' is not the name of a label"),
        ('{"name": "a", "value": 1, "labels": ["x"]}', "labels: expected a dict"),
        ('{"name": "a", "value": 1}, {"name": "a", "value": 2}', "a is reported twice"),
        ('("a", 1)', "expected a dict with name and value"),
    ],
)
def test_a_metric_that_prometheus_cannot_read_is_an_error(
    check_body: Check, metric: str, message: str
) -> None:
    body = "def perform(self): ...\ndef metrics(self):\n    return [%s]"
    (found,) = check_body(body % metric, rule="metrics")
    assert (found.severity, found.line) == (ERROR, 4)
    assert message in found.message
    good = [
        '{"name": "a", "value": None}',
        '{"name": "a", "value": compute(), "labels": {"x": compute()}}',
        '{"name": compute(), **compute()}',
        '{"name": "a", "value": 1, "labels": {"x": 1}}, {"name": "a", "value": 1, "labels": {"x": 2}}',
        "compute()",
    ]
    for one in good:
        assert check_body(body % one, head="compute = dict\n", rule="metrics") == []


def test_metrics_that_are_no_list_are_an_error(check_body: Check) -> None:
    body = "def perform(self): ...\ndef metrics(self): return %s"
    (found,) = check_body(body % '{"name": "a", "value": 1}', rule="metrics")
    assert "expected a list of dicts, found a dict" in found.message
    (found,) = check_body("def perform(self): ...\ndef metrics(self, x): ...", rule="metrics")
    assert "metrics asks for x, but it is called without arguments" in found.message
    assert check_body(body % "None", rule="metrics") == []


# Imports


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        (
            "import not_there_at_all",
            "there is no module 'not_there_at_all'",
            "a file of the job that is missing",
        ),
        ("import modell", "there is no module 'modell'", "did you mean 'model'?"),
        ("from pack.partt import x", "there is no module 'pack.partt'", "did you mean 'pack.part'?"),
        ("from model import lod", "model has no name 'lod'", "did you mean 'load'?"),
        ("from .model import load", "is relative to a package", "write `from model import load`"),
        ("from . import model", "is relative to a package", "write `import model`"),
        ("x: List = 1", "the name 'List' is used, but nothing defines", "from typing import List"),
    ],
)
def test_an_import_that_leads_nowhere_is_an_error(check: Check, line: str, message: str, remedy: str) -> None:
    files = {"model.py": "def load(): ...", "pack/part.py": "x = 1", "broken.py": "\nx = ("}
    (found,) = check(f"\n{line}\n{GOOD}", files=files)
    assert (found.rule, found.severity, found.place) == ("imports", ERROR, "job.py:2")
    assert message in found.message
    assert remedy in found.remedy
    good = "import model, json, pack.part\nfrom model import load\nfrom pack import part\n"
    assert check(good + GOOD, files=files) == []


def test_a_missing_module_is_a_warning_with_the_command_where_requirements_are_named(
    make_job: MakeJob,
) -> None:
    folder = make_job("import not_there_at_all\n" + GOOD, extra={"requirements_path": "my needs.txt"})
    (found,) = check_code(manifest_of(folder))
    assert (found.rule, found.severity) == ("imports", WARNING)
    assert found.remedy == "pip install -r 'my needs.txt'"
    (found,) = check_code(manifest_of(folder), folder.parent)
    assert found.remedy == "pip install -r 'sample/my needs.txt'"
    (found,) = check_code(manifest_of(folder), folder / "elsewhere")
    assert found.remedy == f"pip install -r '{folder}/my needs.txt'"


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("wekrzeug", "did you mean 'werkzeug'?"),
        ("jsno", "did you mean 'json'?"),
        ("modle", "did you mean 'model'?"),
        ("bs4", "the package is called beautifulsoup4: pip install beautifulsoup4, and name it in the file"),
    ],
)
def test_a_misspelt_module_and_a_package_of_another_name_are_named(
    check: Check, monkeypatch: pytest.MonkeyPatch, module: str, remedy: str
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(ModuleFinder, "_find", nowhere(module, ModuleFinder._find))
    files = {"model.py": "x = 1", "needs.txt": ""}
    (found,) = check(f"import {module}\n{GOOD}", files=files)
    assert (found.rule, found.severity) == ("imports", ERROR)
    assert found.remedy.startswith(remedy)
    (found,) = check(f"import {module}\n{GOOD}", files=files, extra={"requirements_path": "needs.txt"})
    assert found.severity is (ERROR if module == "modle" else WARNING)
    assert ("pip install -r needs.txt" in found.remedy) is (module != "modle")


def nowhere(
    module: str, find: Callable[[ModuleFinder, str], object]
) -> Callable[[ModuleFinder, str], object]:
    """A finder as on a machine without ``module``."""
    return lambda finder, name: Place.NOWHERE if name == module else find(finder, name)


def test_a_sibling_that_cannot_be_read_is_told_where_it_is_broken(check: Check) -> None:
    (found,) = check("import broken\n" + GOOD, files={"broken.py": "\nx = ("})
    assert (found.rule, found.severity, found.place) == ("imports", ERROR, "broken.py:2")
    assert found.message == "SyntaxError: '(' was never closed, so job.py cannot import it"
    assert check("import broken\n" + GOOD, files={"broken.py": "\nx = ()"}) == []


def test_a_broken_sibling_is_a_warning_where_it_is_imported_late(check: Check) -> None:
    code = GOOD + "    def later(self):\n        import broken\n"
    (found,) = check(code, files={"broken.py": "("})
    assert (found.rule, found.severity) == ("imports", WARNING)


def test_faults_of_siblings_are_told_with_their_file(check: Check) -> None:
    files = {"one.py": "import two", "two.py": "import json\nimport not_there_at_all"}
    (found,) = check("import one\n" + GOOD, files=files)
    assert found.place == "two.py:2"


def test_nothing_is_imported_by_a_check(check: Check, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w')\n"
    check(
        code + "import one, package.part\n" + GOOD,
        files={"one.py": code, "package/__init__.py": code, "package/part.py": code},
    )
    assert not (tmp_path / "ran").exists()
