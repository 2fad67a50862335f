"""Every example is served and sent its own sample; those in other applications run there."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest

import pyjob
from pyjob.access.store.ledger import Ledger
from tests.conftest import ClientOf, JobClient

EXAMPLES = Path(__file__).parents[1] / "examples"
# What private_requirements needs; tests/test_build_private.py has it built from a repository.
LIBRARIES = Path(__file__).parent / "libraries"
JOBS = sorted(manifest.parent for manifest in EXAMPLES.rglob("job.yaml"))
RESULTS = {
    "supersmart": 100,
    "maintenance": {"probability": 0.71, "needs_maintenance": True},
    "words": {"to": 2, "be": 2, "or": 1, "not": 1},
    "discount": 45.0,
    "delivery-time": 20.0,
    "power-demand": 20.1,
    "bike-rentals": 360,
    "ticket-triage": {"team": "billing", "words": ["charged", "refund"]},
    "air-quality": {"air": "poor", "worst": "pm25"},
    "greeter": "Good evening, Ada!!",
    "signer": "eea1cfd825db29b8dc1121e0098619d2d1a79d83f9958c8fc5961f7977b7f070",
    "temperature": 68.0,
    "harbour-talk": ["of", "the", "strangers", "come.", "The", "strangers", "sit", "on"],
    "column-statistics": {
        "count": 6,
        "empty": 0,
        "lowest": -2.5,
        "highest": 6.5,
        "mean": 2.5,
        "deviation": 3.013857,
    },
    "adder": 42,
    "multiplier": 42.0,
    "trip": {"advice": {"weather": None, "traffic": None, "parking": None}, "go": True},  # alone
    "weather": {"good": True, "why": "sun"},
    "traffic": {"good": True, "why": "free roads"},
    "parking": {"good": True, "why": "free places"},
    "best-offer": {"offers": {"north": 49.0, "south": 42.0, "east": 46.5}, "best": "south"},
    "pixel-art": "image/png",
    "tide-tables": 0.7,
    "ferry-speed": 20.0,
}
# What an example needs beside pyjob, at its start.
NEEDS = {
    "web_view_flask": ("flask",),
    "web_view_django": ("django",),
    "web_view_fastapi": ("fastapi", "a2wsgi"),
    "image": ("PIL",),
}

Running = Callable[..., AbstractContextManager[str]]


def name_of(folder: Path) -> str:
    return str(folder.relative_to(EXAMPLES))


def jobs() -> list[Any]:
    """Every job, to be skipped where something that it needs is not installed."""
    return [
        pytest.param(folder, marks=needing(*NEEDS.get(folder.name, ())), id=name_of(folder))
        for folder in JOBS
    ]


def needing(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def sample_of(document: dict[str, Any]) -> Any:
    """The first sample of `perform`."""
    content = document["paths"]["/api/v1/perform"]["post"]["requestBody"]["content"]
    return next(iter(content["application/json"]["examples"].values()))["value"]


def result_of(content_type: str, body: bytes) -> Any:
    """What an answer says; of one that is no JSON, its content type."""
    return json.loads(body) if content_type == "application/json" else content_type


@pytest.fixture(autouse=True)
def a_template_stands_in_for_secrets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """An example with secrets finds those of its template, as its README says."""
    folder = request.node.callspec.params.get("folder") if hasattr(request.node, "callspec") else None
    if folder is not None and (folder / ".env.dist").is_file():
        monkeypatch.setenv("PYJOB_RUNTIME_ENV_FILE", str(folder / ".env.dist"))


@pytest.fixture(autouse=True)
def libraries_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What examples need that no index has is there, in this process and in those that it starts."""
    monkeypatch.syspath_prepend(LIBRARIES)
    monkeypatch.setenv("PYTHONPATH", str(LIBRARIES))


@pytest.fixture(autouse=True)
def django_as_before() -> Iterator[None]:
    """Take back the settings of an example that was loaded in this process: it has one Django."""
    if importlib.util.find_spec("django") is None:
        yield
        return
    from django.conf import settings

    before = settings._wrapped
    yield
    settings._wrapped = before


@pytest.mark.parametrize("folder", jobs())
def test_an_example_answers_its_own_sample(folder: Path, client_of: ClientOf) -> None:
    client = client_of(folder)
    sample = sample_of(client.get("/openapi.json").json)
    answer = client.perform(**sample)
    result = result_of(answer.content_type, answer.data)
    assert (answer.status_code, result) == (200, RESULTS[client.application.manifest.name])


@pytest.mark.parametrize("folder", jobs())
def test_an_example_starts_without_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pyjob.create(folder, load="now")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("folder", jobs())
def test_pyjob_run_serves_an_example(folder: Path, running: Running) -> None:
    with running(folder) as url:
        document = json.load(urlopen(f"{url}/openapi.json", timeout=30))
        request = Request(f"{url}/api/v1/perform", data=json.dumps(sample_of(document)).encode())
        answer = urlopen(request, timeout=30)
        result = result_of(answer.headers["Content-Type"], answer.read())
        assert result == RESULTS[document["info"]["title"]]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("[!.]*/")), ids=name_of)
def test_an_example_has_a_readme_and_a_job(example: Path) -> None:
    assert (example / "README.md").is_file()
    assert [job for job in JOBS if job.is_relative_to(example)]


def test_the_model_file_is_what_train_makes(tmp_path: Path) -> None:
    source = EXAMPLES / "model_file"
    subprocess.run([sys.executable, str(source / "train.py")], cwd=tmp_path, check=True, timeout=60)
    made = json.loads((tmp_path / "model.json").read_text())
    kept = json.loads((source / "model.json").read_text())
    assert made.keys() == kept.keys()
    for name in ("means", "scales", "weights", "bias", "accuracy"):
        assert made[name] == pytest.approx(kept[name], abs=0.01)  # libraries of mathematics differ a little


def test_a_wrong_number_of_features_is_the_callers_fault(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "model_file")
    answer = client.perform(features=[1.5])
    assert (answer.status_code, answer.json["type"]) == (400, "ValueError")
    assert 'model_accuracy{model="logistic_regression"}' in client.get("/metrics").text


def test_the_auxiliary_endpoints_take_path_query_and_a_list(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "auxiliary_endpoints")
    parcel = {"weight": 2.5, "distance": 463}
    assert sum(client.post("/api/v1/explain", json=parcel).json.values()) == pytest.approx(19.97)
    assert client.get("/depots/bergen/hours?weight=2.5&speed=express").json == 10.0
    assert client.post("/batch?weight=2.5", json=[463, 12]).json == [20.0, 12.4]
    unknown = client.get("/depots/rome/hours")
    assert (unknown.status_code, unknown.json["type"]) == (404, "JobError")
    wrong = client.post("/batch", json=[463, "12"])
    assert (wrong.status_code, wrong.json["error"]) == (400, 'distances[1]: expected float, got "12"')


def test_every_sample_of_the_auxiliary_endpoints_is_shown(client_of: ClientOf) -> None:
    paths = client_of(EXAMPLES / "auxiliary_endpoints").get("/openapi.json").json["paths"]
    bodies = {
        path: paths[f"/api/v1{path}"]["post"]["requestBody"]["content"]["application/json"]["examples"]
        for path in ("/perform", "/explain", "/batch")
    }
    assert {path: len(samples) for path, samples in bodies.items()} == {
        "/perform": 2,
        "/explain": 1,
        "/batch": 1,
    }
    assert bodies["/batch"]["sample"]["value"] == [463, 12]
    depot = paths["/api/v1/depots/{depot}/hours"]["get"]
    assert [one["examples"]["sample"]["value"] for one in depot["parameters"][:2]] == ["bergen", 2.5]
    assert depot["tags"] == ["depots"]


EVENTS = {"Accept": "text/event-stream"}


def test_the_page_of_the_text_generator_hears_its_words_as_events(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "stream_text")
    page = client.get(client.get("/").headers["Location"].removeprefix(client.mount))
    assert 'new EventSource("words?" + asked' in page.text
    answer = client.get("/api/v1/words?prompt=The+wind&words=2", headers=EVENTS)
    assert answer.text == "id: 1\ndata: comes\n\nid: 2\ndata: from\n\n"
    refused = client.get("/api/v1/words?prompt=The+wind&words=501", headers=EVENTS)
    assert (refused.status_code, refused.json["error"]) == (400, "words: expected 1 to 500")


def test_a_text_begins_anew_where_no_word_has_followed(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "stream_text")
    for prompt in ("", "Nobody knows this phrase"):
        first = client.perform(prompt=prompt, words=1).json[0]
        assert first[0].isupper()


@needing("PIL")
def test_the_picture_is_what_draw_makes(tmp_path: Path) -> None:
    from PIL import Image, ImageChops

    source = EXAMPLES / "image"
    subprocess.run([sys.executable, str(source / "draw.py")], cwd=tmp_path, check=True, timeout=60)
    with Image.open(tmp_path / "cat.png") as made, Image.open(source / "cat.png") as kept:
        assert made.size == kept.size
        # Edges differ a little between versions of Pillow.
        assert sum(ImageChops.difference(made, kept).convert("L").histogram()[1:]) < 200


@needing("PIL")
def test_a_picture_comes_back_in_squares_of_few_colors(client_of: ClientOf) -> None:
    from PIL import Image

    client = client_of(EXAMPLES / "image")
    cat = (EXAMPLES / "image" / "cat.png").read_bytes()
    form = {"picture": (io.BytesIO(cat), "cat.png"), "squares": "8", "colors": "4"}
    answer = client.post("/perform", data=form)
    assert (answer.status_code, answer.content_type) == (200, "image/png")
    with Image.open(io.BytesIO(answer.data)) as picture:
        colors = picture.convert("RGB")
    assert colors.size == (128, 128)
    assert len(colors.getcolors() or []) == 4
    # Of each square of 16 pixels a side, one has the color of all.
    assert colors.resize((8, 8), Image.Resampling.NEAREST).resize((128, 128), 0) == colors


def with_size(picture: bytes, side: int) -> bytes:
    """A PNG that says so of its width and height."""
    head = b"IHDR" + struct.pack(">II", side, side) + picture[24:29]
    return picture[:12] + head + struct.pack(">I", zlib.crc32(head)) + picture[33:]


@needing("PIL")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda cat: b"", "Pillow cannot read it: "),
        (lambda cat: b"no picture", "Pillow cannot read it: "),
        (lambda cat: cat[:300], "Pillow cannot read it: "),
        (lambda cat: cat[:33] + bytes(4) + cat[37:], "Pillow cannot read it: broken PNG file"),
        (lambda cat: with_size(cat, 8000), "expected at most 50000000 pixels"),
        (lambda cat: with_size(cat, 20000), "Pillow cannot read it: Image size (400000000 pixels)"),
    ],
    ids=["empty", "text", "cut off", "spoiled", "large", "huge"],
)
def test_what_is_no_picture_is_the_callers_fault(
    client_of: ClientOf, spoil: Callable[[bytes], bytes], message: str
) -> None:
    client = client_of(EXAMPLES / "image")
    part = spoil((EXAMPLES / "image" / "cat.png").read_bytes())
    answer = client.post("/perform", data=part, content_type="image/png")
    assert (answer.status_code, answer.json["type"]) == (400, "ValueError")
    assert answer.json["error"].startswith(f"picture: {message}")


def sum_up(client: JobClient, table: bytes, column: str = "n") -> Any:
    return client.post("/perform", data={"table": (io.BytesIO(table), "t.csv"), "column": column})


def test_the_csv_file_may_come_from_anywhere(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "csv_upload")
    answer = sum_up(client, b'\xef\xbb\xbfn,text\r\n1,"two\r\nlines, and ""quotes"""\r\n,\r\n3,x\r\n')
    expected = {"count": 2, "empty": 1, "lowest": 1.0, "highest": 3.0, "mean": 2.0, "deviation": 1.0}
    assert (answer.status_code, answer.json) == (200, expected)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (b"", "column: expected one of "),
        (b"m\n1\n", "column: expected one of m"),
        (b"n\n", "table: there are no numbers in n"),
        (b"n\n1\ntwo\n", "table: line 3: expected a number, got 'two'"),
        (b"n\nnan\n", "table: line 2: expected a number, got 'nan'"),
        (b"n\n" + b"1" * 200_000, "table: line "),
        (b"n\n\xff\n", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(client_of: ClientOf, table: bytes, message: str) -> None:
    answer = sum_up(client_of(EXAMPLES / "csv_upload"), table)
    assert answer.status_code == 400
    assert answer.json["error"].startswith(message)


def test_all_shops_are_asked_at_once(client_of: ClientOf, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(EXAMPLES / "async_fan_out")
    shops = asyncio.Barrier(3)

    async def asked(shop: str, item: str) -> float:
        async with asyncio.timeout(60):
            await shops.wait()  # for the other two
        return float(len(shop))

    monkeypatch.setattr(sys.modules["job_entrypoint"], "asked", asked)
    assert client.perform(item="kettle").json == {
        "offers": {"north": 5.0, "south": 5.0, "east": 4.0},
        "best": "east",
    }


LINK = re.compile(r'(?:href|src)="([^"]+)"')


def page_of(client: JobClient, path: str, links: int) -> Any:
    """The page at ``path``, whose ``links`` to other files all lead to something."""
    page = client.get(path)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    found = [link for link in LINK.findall(page.text) if not link.startswith("data:")]
    assert len(found) == links
    for link in found:
        target = urljoin(f"{client.mount}{path}", link)
        assert target.startswith(f"{client.mount}/"), target
        assert client.get(target.removeprefix(client.mount)).status_code == 200, target
    return page


@pytest.mark.parametrize("start", ["", "/api/v1", "/pub/job/power-demand/1.2.0/api/v1"])
def test_the_report_of_the_static_endpoints_is_whole(start: str, client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "static_endpoints")
    page = page_of(client, f"{start}/report/", links=5)
    assert "How good it is" in page.text
    picture = client.get(f"{start}{urljoin('/report/', 'day.svg')}")
    assert picture.content_type == "image/svg+xml" and picture.data.startswith(b"<svg")
    assert client.get("/").headers["Location"] == f"{client.mount}/api/v1/report/"


def test_single_files_have_the_type_of_their_name_or_the_authors(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "static_endpoints")
    types = {path: client.get(path).content_type for path in ("/xrai", "/manifest", "/docs/readme")}
    assert types == {
        "/xrai": "application/yaml",
        "/manifest": "text/plain; charset=utf-8",
        "/docs/readme": "text/markdown; charset=utf-8",
    }


def test_what_the_public_endpoints_open_and_what_they_do_not(tmp_path: Path, client_of: ClientOf) -> None:
    ledger = Ledger(tmp_path / "access.db")
    ledger.make()
    client = client_of(EXAMPLES / "public_endpoints", access=str(tmp_path / "access.db"))
    paths = ("/next-tide", "/webview")
    assert [client.post(path, json={"hour": 30}).status_code for path in paths] == [401, 401]
    for path in paths:
        ledger.approve("tide-tables", "0.0.1", f"/api/v1{path}")
    client = client_of(EXAMPLES / "public_endpoints", access=str(tmp_path / "access.db"))
    assert client.post("/next-tide", json={"hour": 30}).json == 37.26
    page_of(client, "/webview/", links=1)
    asked = client.post("/webview/", data={"hour": "30"})
    assert '<p role="status">High tide is at hour 37.26.</p>' in asked.text
    for hour in ("x", "nan", "<b>", ""):
        wrong = client.post("/webview/", data={"hour": hour})
        assert wrong.status_code == 400 and "has to be a number" in wrong.text and "<b>" not in wrong.text
    assert client.perform(hour=30).status_code == 401
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/status"):
        assert client.get(path).status_code == 401, path


@needing("flask")
@pytest.mark.parametrize("start", ["", "/api/v1", "/pub/job/bike-rentals/0.0.1/api/v1"])
def test_the_pages_in_flask_lead_on(start: str, client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "web_view_flask")
    home = page_of(client, f"{start}/webview/", links=4)
    action = re.findall(r'action="([^"]+)"', home.text)
    forecast = f"{client.mount}/pub/job/bike-rentals/0.0.1/api/v1/webview/forecast"
    assert action == [forecast]
    path = forecast.removeprefix(client.mount)
    asked = {"temperature": "19", "rain": "0", "day": "weekend"}
    answer = client.post(path, data=asked)
    assert answer.status_code == 200 and "<strong>360</strong> bikes" in answer.text
    wrong = client.post(path, data={**asked, "rain": "-1"})
    assert wrong.status_code == 400 and "rain: expected 0 or more" in wrong.text
    assert client.get("/").headers["Location"] == f"{client.mount}/api/v1/webview/"


@needing("fastapi", "a2wsgi")
def test_the_pages_in_fastapi_lead_on(client_of: ClientOf) -> None:
    client = client_of(EXAMPLES / "web_view_fastapi")
    home = page_of(client, "/api/v1/webview/", links=3)
    assert "Harbour</a></th><td>31.5</td><td>22</td><td>poor</td>" in home.text
    assert client.get("/webview/stations/Park").json == {"air": "good", "worst": "pm25"}
    assert client.get("/webview/stations/Moon").status_code == 404
    client.application.close(5)


@needing("django")
def test_the_form_in_django_wants_its_token(running: Running) -> None:
    browser = build_opener(HTTPCookieProcessor())
    with running(EXAMPLES / "web_view_django") as url:
        home = browser.open(f"{url}/", timeout=30)
        assert home.url == f"{url}/api/v1/webview/"
        page = home.read().decode()
        token = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[0]
        target = urljoin(url, re.findall(r'action="([^"]+)"', page)[0])
        assert target == f"{url}/pub/job/ticket-triage/0.0.1/api/v1/webview/ticket"
        form = {"text": "My password was reset", "csrfmiddlewaretoken": token}
        answer = browser.open(target, urlencode(form).encode(), timeout=30).read().decode()
        assert "<strong>login</strong>, because of: password, reset" in answer
        with pytest.raises(HTTPError) as refused:
            browser.open(target, urlencode({"text": "no token"}).encode(), timeout=30)
        assert refused.value.code == 403
        refused.value.close()


# In a process of its own: both examples have modules with common names, and Django is set up once a process.
SESSION = """
import json, sys
from importlib import import_module
from wsgiref.validate import validator
from werkzeug.test import Client

module, attribute, *requests = sys.argv[1:]
client = Client(validator(getattr(import_module(module), attribute)))
for request in requests:
    path, _, body = request.partition(" ")
    options = {"method": "POST", "json": json.loads(body)} if body else {"method": "GET"}
    answer = client.open(path, base_url="http://localhost", buffered=True, **options)
    print(answer.status_code, answer.headers.get("Location") or answer.text.partition("\\n")[0])
"""


def served_inside(example: str, module: str, attribute: str, *requests: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SESSION, module, attribute, *requests],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES / example), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_job_in_flask_answers_below_its_prefix_and_in_process() -> None:
    pytest.importorskip("flask")
    asked = [
        "/",
        '/model/perform {"text": "a bb a"}',
        "/model/",
        "/longest?text=a+bb",
        "/model/nothing",
        "/perform",
    ]
    home, result, redirect, longest, unknown, outside = served_inside("in_flask", "app", "app", *asked)
    assert home == '200 <a href="/model/docs">The model</a>'
    assert result == '200 {"a":2,"bb":1}'
    assert redirect == "307 /model/docs"
    assert longest == '200 {"longest":"bb"}'
    assert unknown.startswith('404 {"error": "there is nothing at /nothing"')
    assert outside.startswith("404 <!doctype html>")


def test_the_job_in_django_answers_below_its_prefix() -> None:
    pytest.importorskip("django")
    asked = ["/", '/model/perform {"price": 50}', '/model/perform {"price": -1}', "/model/", "/nothing"]
    home, result, refused, redirect, unknown = served_inside("in_django", "wsgi", "application", *asked)
    assert home == '200 <a href="/model/docs">The model</a>'
    assert result == "200 50"
    assert refused == '400 {"error": "price: expected 0 or more", "type": "ValueError"}'
    assert redirect == "307 /model/docs"
    assert unknown.startswith("404")
