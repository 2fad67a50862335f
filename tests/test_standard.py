"""The snippets that a job's author reads in the standard, put together in one job, work as printed there."""

from __future__ import annotations

import pytest

from tests.conftest import ClientOf, JobClient, MakeJob

CODE = '''
import random
from typing import Callable, Dict

from flask import Flask, jsonify, render_template, request

from supersmart.model import just_do_it


class JobEntrypoint:
    def perform(self, x: float, y: float) -> float:
        """
        Return the product of two numbers.
        :param x: The first number.
        :param y: The second number.
        :return: The product of x and y.
        """
        return just_do_it(x, y)

    def docs_input_example(self) -> dict:
        return {
            'x': 20,
            'y': 5,
        }

    def auxiliary_endpoints(self) -> Dict[str, Callable]:
        """Dict of custom endpoint paths (besides "/perform") handled by Entrypoint methods"""
        return {
            '/explain': self.explain,
        }

    def explain(self, x: float, y: float) -> Dict[str, float]:
        """
        Explain feature importance of a model result.
        :param x: First element to add.
        :param y: Second element to add.
        :return: Dict of feature importance.
        """
        result = self.perform(x, y)
        return {'x_importance': x / result, 'y_importance': y / result}

    def docs_input_examples(self) -> Dict[str, Dict]:
        """Return mapping of Job's endpoints to corresponding exemplary inputs."""
        return {
            '/explain': {
                'x': 1,
                'y': 2,
            },
        }

    def static_endpoints(self):
        """Dict of endpoint paths mapped to corresponding static files that ought be served."""
        return {
            '/xrai': 'xrai.yaml',
            '/manifest': ('job.yaml', 'application/x-yaml'),
            '/docs/readme': 'README.md',
        }

    def webview_app(self, base_url: str):
        """
        Create WSGI app serving custom UI pages
        :param base_url Base URL prefix where WSGI app is deployed.
        """
        app = Flask(__name__, template_folder='templates')

        @app.route(base_url + '/')
        def index():
            return render_template('index.html', base_url=base_url)

        @app.route(base_url + '/postme', methods=['POST'])
        def postme():
            return jsonify({"hello": request.json})

        return app.wsgi_app

    def metrics(self):
        return [
            {
                'name': 'job_is_crazy',
                'description': 'Whether your job is crazy or not',
                'value': random.random(),
                'labels': {
                    'color': 'blue',
                },
            },
        ]
'''
FILES = {
    "supersmart/model.py": "def just_do_it(x: float, y: float) -> float:\n    return x * y\n",
    "xrai.yaml": "kind: xrai\n",
    "README.md": "# Größe\n",
    "templates/index.html": '<a href="{{ base_url }}/postme">post</a>',
    "static/style.css": "body {}\n",
}


@pytest.fixture
def standard(make_job: MakeJob, client_of: ClientOf) -> JobClient:
    pytest.importorskip("flask")
    folder = make_job(
        CODE,
        name="supersmart",
        entry="job_entrypoint.py",
        files=FILES,
        extra={"max_concurrency": 1, "max_concurrency_queue": 10, "home_page": "/api/v1/webview"},
    )
    return client_of(folder)


def test_calls(standard: JobClient) -> None:
    assert standard.post("/perform", json={"x": 20, "y": 5}).json == 100
    assert standard.get("/parameters").json == [
        {"name": "x", "type": "float"},
        {"name": "y", "type": "float"},
    ]
    explained = standard.post("/api/v1/explain", json={"x": 1, "y": 2}).json
    assert explained == {"x_importance": 0.5, "y_importance": 1.0}


def test_samples_of_both_methods_are_shown(standard: JobClient) -> None:
    paths = standard.get("/openapi.json").json["paths"]
    shown = {
        path: methods["post"]["requestBody"]["content"]["application/json"]["examples"]["sample"]["value"]
        for path, methods in paths.items()
        if "post" in methods
    }
    assert shown == {"/api/v1/perform": {"x": 20, "y": 5}, "/api/v1/explain": {"x": 1, "y": 2}}


def test_files(standard: JobClient) -> None:
    xrai = standard.get("/api/v1/xrai")
    assert (xrai.text, xrai.mimetype) == ("kind: xrai\n", "application/yaml")
    manifest = standard.get("/manifest")
    assert (manifest.text.splitlines()[0], manifest.mimetype) == ("name: supersmart", "application/x-yaml")
    readme = standard.get("/api/v1/docs/readme")
    assert (readme.text, readme.content_type) == ("# Größe\n", "text/markdown; charset=utf-8")


def test_pages(standard: JobClient, mount: str) -> None:
    home = standard.get("/")
    assert home.headers["Location"] == f"{mount}/api/v1/webview"
    assert standard.get("/api/v1/webview").headers["Location"] == f"{mount}/api/v1/webview/"
    base = "/pub/job/supersmart/0.0.1/api/v1/webview"
    for alias in ("/api/v1/webview", "/webview", base, "/pub/job/supersmart/latest/api/v1/webview"):
        assert standard.get(f"{alias}/").text == f'<a href="{base}/postme">post</a>'
        assert standard.post(f"{alias}/postme", json=[1]).json == {"hello": [1]}
    assert standard.get("/webview/static/style.css").text == "body {}\n"


def test_metrics(standard: JobClient) -> None:
    assert 'job_is_crazy{color="blue"} 0.' in standard.get("/metrics").text
