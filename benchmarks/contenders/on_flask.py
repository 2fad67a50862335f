"""The works under Flask: `gunicorn on_flask:app`."""

from __future__ import annotations

from typing import Any

import work
from flask import Flask, Response, jsonify, request

app = Flask(__name__)


def arguments() -> dict[str, Any]:
    """The body."""
    read: dict[str, Any] = request.get_json()
    return read


@app.post("/api/v1/perform")
def perform() -> Response:
    return jsonify(work.add(**arguments()))


@app.post("/api/v1/record")
def record() -> Response:
    return jsonify(work.record(**arguments()))


@app.post("/api/v1/floats")
def floats() -> Response:
    return jsonify(work.floats(**arguments()))


@app.post("/api/v1/sleep")
def sleep() -> Response:
    return jsonify(work.sleep(**arguments()))


@app.post("/api/v1/cpu")
def cpu() -> Response:
    return jsonify(work.cpu(**arguments()))
