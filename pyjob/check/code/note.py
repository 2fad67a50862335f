"""A finding with its place in the author's code."""

from __future__ import annotations

import ast

from pyjob.check.code.reading.project import Module
from pyjob.check.finding import Finding, Severity
from pyjob.errors import one_line

ERROR, WARNING, ADVICE = Severity.ERROR, Severity.WARNING, Severity.ADVICE


def note(
    rule: str, severity: Severity, module: Module, node: ast.AST | None, message: str, remedy: str = ""
) -> Finding:
    """What is wrong with ``node``, or with the file as a whole."""
    line = getattr(node, "lineno", 1)
    return Finding(rule, severity, one_line(message), one_line(remedy), module.source.name, line)
