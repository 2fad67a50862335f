"""Every example is served and sent its own sample; those in other applications run there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

import pyjob
from tests.conftest import ClientOf

EXAMPLES = Path(__file__).parents[1] / "examples"
JOBS = sorted(manifest.parent for manifest in EXAMPLES.rglob("job.yaml"))
RESULTS = {
    "supersmart": 100,
    "maintenance": {"probability": 0.71, "needs_maintenance": True},
    "words": {"to": 2, "be": 2, "or": 1, "not": 1},
    "discount": 45.0,
}

Running = Callable[..., AbstractContextManager[str]]


def name_of(folder: Path) -> str:
    return str(folder.relative_to(EXAMPLES))


def sample_of(document: dict[str, Any]) -> Any:
    content = document["paths"]["/api/v1/perform"]["post"]["requestBody"]["content"]
    return content["application/json"]["examples"]["sample"]["value"]


@pytest.mark.parametrize("folder", JOBS, ids=name_of)
def test_an_example_answers_its_own_sample(folder: Path, client_of: ClientOf) -> None:
    client = client_of(folder)
    sample = sample_of(client.get("/openapi.json").json)
    answer = client.perform(**sample)
    assert (answer.status_code, answer.json) == (200, RESULTS[client.application.manifest.name])


@pytest.mark.parametrize("folder", JOBS, ids=name_of)
def test_an_example_starts_without_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    pyjob.create(folder, load="now")
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == []


@pytest.mark.parametrize("folder", JOBS, ids=name_of)
def test_pyjob_run_serves_an_example(folder: Path, running: Running) -> None:
    with running(folder) as url:
        document = json.load(urlopen(f"{url}/openapi.json", timeout=30))
        request = Request(f"{url}/api/v1/perform", data=json.dumps(sample_of(document)).encode())
        assert json.load(urlopen(request, timeout=30)) == RESULTS[document["info"]["title"]]


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
