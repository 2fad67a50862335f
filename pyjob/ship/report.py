"""What was built, for people and programs."""

from __future__ import annotations

import json
from dataclasses import asdict

from pyjob.ship.build import Built
from pyjob.ship.packing.preamble import machine_here, python_here

_UNITS = ("B", "kB", "MB", "GB")


def summary(built: Built, seconds: float) -> str:
    """A few lines for a terminal."""
    packages = ", ".join(f"{one.name} {one.version}" for one in built.packages)
    rows = {
        "job": f"{built.contents.name} {built.contents.version}"
        + (f", commit {built.contents.commit}" if built.contents.commit else ""),
        "files": str(built.files),
        "packages": f"{len(built.packages)}: {packages}",
        "runs on": f"Python {python_here()}, {machine_here()}",
        "size": _size(built.size),
        "sha256": built.sha256,
        "took": f"{seconds:.1f} s",
    }
    lines = [f"{name:<9} {text}" for name, text in rows.items()]
    return "\n".join([str(built.file), *(f"  {line}" for line in lines)]) + "\n"


def as_json(built: Built, seconds: float) -> str:
    """The same for programs."""
    document = {
        "file": str(built.file),
        "size": built.size,
        "sha256": built.sha256,
        **asdict(built.contents),
        "python": python_here(),
        "platform": machine_here(),
        "files": built.files,
        "packages": [{"name": one.name, "version": one.version} for one in built.packages],
        "warnings": list(built.warnings),
        "seconds": round(seconds, 1),
    }
    return json.dumps(document, indent=2) + "\n"


def _size(size: float) -> str:
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.3g} {unit}" if unit != "B" else f"{size:.0f} {unit}"
