"""`pyjob version`: what is installed, for a report of a fault."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pyjob

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

PARTS = ("werkzeug", "waitress", "PyYAML", "prometheus-client")
EXTRAS = {
    "swagger-ui-bundle-v2": "Swagger UI (extra docs)",
    "a2wsgi": "ASGI web views (extra asgi)",
    "orjson": "JSON, faster (extra fast)",
    "pex": "pyjob build (extra build)",
    "cyclonedx-python-lib": "bills of materials (extra build)",
    "packaging": "versions of requirements (extra check)",
}


def add_to(commands: Commands) -> None:
    """Declare the command's arguments."""
    parser = commands.add_parser(
        "version",
        help="show the versions of pyjob and its parts",
        description="Show the versions of pyjob, of Python, of what pyjob stands on and of its extras.",
    )
    parser.set_defaults(run=_run)


def _run(_options: argparse.Namespace) -> int:
    python = f"{platform.python_implementation()} {platform.python_version()}"
    lines = [f"pyjob {pyjob.__version__}", f"Python {python} ({platform.system()} {platform.machine()})"]
    lines += [f"{name} {_version(name) or 'is missing'}" for name in PARTS]
    lines += [f"{name} {_version(name) or 'is not installed'}: {use}" for name, use in EXTRAS.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
