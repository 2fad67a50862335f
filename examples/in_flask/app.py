"""A Flask application that serves a job below /model, and calls it from a view of its own."""

import logging.config
from pathlib import Path
from typing import Any

from flask import Flask, request
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import pyjob

# The filter knows the id and the caller of each request to the job.
logging.config.dictConfig(
    {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request": {"()": "pyjob.logs.ContextFilter"}},
        "formatters": {"line": {"format": "%(levelname)s %(message)s, id=%(tracing_id)s"}},
        "handlers": {"log": {"class": "logging.StreamHandler", "filters": ["request"], "formatter": "line"}},
        "root": {"level": "INFO", "handlers": ["log"]},
    }
)

# "now": an application that comes up has a job that works.
model = pyjob.create(Path(__file__).parent / "job", prefix="/model", load="now")

app = Flask(__name__)
app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/model": model})  # type: ignore[method-assign]


@app.get("/")
def home() -> str:
    return '<a href="/model/docs">The model</a>'


@app.get("/longest")
def longest() -> dict[str, str]:
    """In process: no HTTP, but the same checks and metrics."""
    words: Any = model.call("/perform", {"text": request.args.get("text", "")})
    return {"longest": max(words, key=len, default="")}
