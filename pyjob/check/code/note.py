"""A finding with its place in the author's code, or in the manifest that leads there."""

from __future__ import annotations

import ast
import os

from pyjob.check.code.reading.project import Module
from pyjob.check.finding import Finding, Severity
from pyjob.errors import Problem, one_line
from pyjob.manifest import Manifest

ERROR, WARNING, ADVICE = Severity.ERROR, Severity.WARNING, Severity.ADVICE


def note(
    rule: str, severity: Severity, module: Module, node: ast.AST | None, message: str, remedy: str = ""
) -> Finding:
    """What is wrong with ``node``, or with the file as a whole."""
    line = getattr(node, "lineno", 1)
    return Finding(rule, severity, one_line(message), one_line(remedy), module.source.name, line)


def note_of_field(
    rule: str, severity: Severity, manifest: Manifest, field: str, message: str, remedy: str = ""
) -> Finding:
    """What is wrong with a ``field`` of the manifest, seen from the code."""
    place = manifest.located(Problem(field, "", ""))
    file = (
        os.path.relpath(manifest.files[0].resolve(), manifest.folder) if manifest.files else manifest.source
    )
    line = place.line if place.source in ("", manifest.source) else None
    return Finding(rule, severity, one_line(message), one_line(remedy), file, line)
