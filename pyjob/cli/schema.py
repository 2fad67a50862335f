"""`pyjob schema`: the JSON Schema of job.yaml, for editors."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

from pyjob.manifest.json_schema import manifest_schema

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

EXAMPLES = """examples:
  pyjob schema > job.schema.json    write it beside a job.yaml

Then begin that job.yaml with the line

  # yaml-language-server: $schema=./job.schema.json

and an editor completes and checks it: VS Code with the YAML extension of Red Hat, and whatever else asks
yaml-language-server. In PyCharm and other editors of JetBrains, add the file under Settings, Languages &
Frameworks, Schemas and DTDs, JSON Schema Mappings.
"""


def add_to(commands: Commands) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of job.yaml, for editors",
        description="Print the JSON Schema (draft 2020-12) by which editors complete and check a job.yaml.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)


def _run(_options: argparse.Namespace) -> int:
    sys.stdout.write(json.dumps(manifest_schema(), indent=2) + "\n")
    return 0
