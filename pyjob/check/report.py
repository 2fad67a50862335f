"""The outcome of a check: what was found, as text for people and as JSON for programs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from pyjob.check.finding import Finding, Severity
from pyjob.errors import one_line

# What a finding may be about in place of a file.
NO_FILES = ("JOB_MANIFEST_YAML", "environment")
_NOUNS = {
    Severity.ERROR: ("error", "errors"),
    Severity.WARNING: ("warning", "warnings"),
    Severity.ADVICE: ("piece of advice", "pieces of advice"),
}
_SEVERITIES = list(Severity)
# Rules of which an error stops the start.
STOPPING = (
    *("entry-file", "entry-class", "imports", "star-args", "named-parameters", "init-arguments"),
    *("endpoints", "static-files"),
)
RULE_OF_PYJOB = "cause=EntryPointError"
# Rules whose warnings are errors once they have stopped a start.
COME_TRUE = ("files-in-git", "imports")
# What a message about a method begins with: `docs_input_examples, sample of /explain`.
_ABOUT = re.compile(r"\w+(?:, [^:]+)?")
_COLOURS = {Severity.ERROR: "31;1", Severity.WARNING: "33;1", Severity.ADVICE: "36"}


@dataclass(frozen=True)
class Report:
    """``findings`` about the job in ``folder``; ``rules`` are the names of those that were held.

    ``name`` and ``version`` are empty where the manifest does not tell.
    """

    folder: Path
    name: str
    version: str
    findings: tuple[Finding, ...]
    rules: tuple[str, ...]

    def count(self, severity: Severity) -> int:
        """How many findings are of this severity."""
        return sum(finding.severity is severity for finding in self.findings)

    def with_run(self, found: Iterable[Finding]) -> Report:
        """The report with what a run has ``found``; of one fault that both have found, only the worse."""
        known, new = list(self.findings), []
        for one in found:
            if any(_tells(other, one) for other in known):
                continue
            known = [other for other in known if not _is_outdone(other, one)]
            new.append(one)
        return replace(self, findings=(*known, *new), rules=(*self.rules, "start"))

    def is_fine(self, *, strict: bool = False) -> bool:
        """Whether there is no error; if ``strict``, no warning either."""
        return not (self.count(Severity.ERROR) or (strict and self.count(Severity.WARNING)))

    def as_json(self, *, strict: bool = False) -> str:
        """One JSON object; files are named relative to the job's folder."""
        findings = [
            {
                "rule": one.rule,
                "severity": one.severity.value,
                "file": one.file,
                "line": one.line,
                "message": one.message,
                "remedy": one.remedy,
            }
            for one in self._in_order()
        ]
        outcome = {
            "job": {"name": self.name, "version": self.version, "folder": str(self.folder)},
            "findings": findings,
            "errors": self.count(Severity.ERROR),
            "warnings": self.count(Severity.WARNING),
            "advice": self.count(Severity.ADVICE),
            "ok": self.is_fine(strict=strict),
        }
        return f"{json.dumps(outcome, indent=2)}\n"

    def as_text(self, cwd: Path, *, coloured: bool = False) -> str:
        """Lines for people; files are named relative to ``cwd``, so that terminals and editors find them."""
        lines: list[str] = []
        file = None
        for one in self._in_order():
            if lines and one.file != file:
                lines.append("")
            file = one.file
            severity = _painted(one.severity.value, _COLOURS[one.severity], coloured)
            place = _painted(one_line(self._place(one, cwd)), "1", coloured)
            rule = _painted(f"({one.rule})", "2", coloured)
            lines.append(f"{place}  {severity}  {one_line(one.message)}  {rule}")
            if one.remedy:
                lines.append(f"    {one_line(one.remedy)}")
        if lines:
            lines.append("")
        return "\n".join([*lines, self._summary()]) + "\n"

    def _in_order(self) -> list[Finding]:
        """File by file as they were looked at, each from its first line to its last."""
        files = list(dict.fromkeys(finding.file for finding in self.findings))
        return sorted(self.findings, key=lambda one: (files.index(one.file), one.line or 0))

    def _place(self, finding: Finding, cwd: Path) -> str:
        if finding.file in NO_FILES:
            return finding.place
        path = Path(os.path.normpath(self.folder / finding.file))
        shown = str(path.relative_to(cwd) if path.is_relative_to(cwd) else path)
        return shown if finding.line is None else f"{shown}:{finding.line}"

    def _summary(self) -> str:
        counts = {severity: self.count(severity) for severity in Severity}
        parts = [f"{n} {_NOUNS[severity][n != 1]}" for severity, n in counts.items() if n]
        if not (counts[Severity.ERROR] or counts[Severity.WARNING]):
            checks = f"{len(self.rules)} checks"
            parts = [f"fine: {self.name} {self.version}", checks, *parts]
        return ", ".join(parts)


def _tells(known: Finding, run: Finding) -> bool:
    """Whether reading has found what the run met, and not called it less."""
    if _SEVERITIES.index(known.severity) > _SEVERITIES.index(run.severity):
        return False
    if known.message and known.message.replace(":", "") in run.message.replace(":", ""):
        return True
    if known.severity is not Severity.ERROR:
        return False
    if run.line is not None:
        return run.rule == "start" and known.place == run.place
    if run.rule == "start":  # a rule of pyjob has stopped it, not the job's code
        return known.rule in STOPPING and run.message.endswith(RULE_OF_PYJOB)
    about = _ABOUT.match(run.message)
    return (
        known.rule == run.rule
        and about is not None
        and bool(re.match(rf"{re.escape(about[0])}\b(?!_)", known.message))
    )


def _is_outdone(known: Finding, run: Finding) -> bool:
    """Whether a warning has come true: the run ended in what it told of."""
    if known.severity is not Severity.WARNING or run.severity is not Severity.ERROR:
        return False
    is_there = run.line is not None and known.place == run.place and known.rule in COME_TRUE
    return run.rule == "start" and (is_there or known.message in run.message)


def _painted(text: str, colour: str, coloured: bool) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text
