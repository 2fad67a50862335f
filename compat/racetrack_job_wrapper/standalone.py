"""Serving a class or an instance at hand until interrupted."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyjob
from pyjob.cli.arguments import port as port_of
from pyjob.manifest.document import parse

MANIFEST = "job.yaml"
EVERYWHERE = "0.0.0.0"  # noqa: S104  # nosec B104 # as the reference listens
PORT = "7000"


def serve_job_class(entrypoint_class: type) -> None:
    """Serve ``entrypoint_class``; it is made while probes are answered already.

    At 0.0.0.0 and the port that ``PORT`` in the environment says, else 7000, by the manifest of
    ``JOB_MANIFEST_YAML`` or of the current folder, if there is one. Raises what `pyjob.serve` raises.
    """
    _serve(entrypoint_class)


def serve_job_instance(entrypoint: object) -> None:
    """Serve ``entrypoint``, an instance, likewise."""
    _serve(entrypoint)


def _serve(job: Any) -> None:
    port = port_of(os.environ.get("PORT") or PORT)
    pyjob.serve(job, manifest=_manifest(os.environ), host=EVERYWHERE, port=port)


def _manifest(environ: Mapping[str, str]) -> dict[str, object]:
    text, source, file = environ.get("JOB_MANIFEST_YAML", ""), "JOB_MANIFEST_YAML", Path(MANIFEST)
    if text.strip():
        text = text if "\n" in text else text.replace("\\n", "\n")
    elif file.is_file():
        text, source = file.read_text(encoding="utf-8"), MANIFEST
    values = parse(text, source).values if text.strip() else {}
    document = {str(name): value for name, value in values.items()}
    for field, variable in (("name", "JOB_NAME"), ("version", "JOB_VERSION")):
        if environ.get(variable):
            document[field] = environ[variable]
    return document
