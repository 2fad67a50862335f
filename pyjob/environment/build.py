"""What is set while a job is built: `build_env` and the secret build file (SPEC 3.1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pyjob.environment.env_file import read_env_file
from pyjob.environment.environment import Environment, missing_file, remarks_of_short
from pyjob.environment.mask import Mask
from pyjob.manifest import Manifest
from pyjob.manifest.file import shown


def build_environment(
    manifest: Manifest, inherited: Mapping[str, str], *, cwd: Path, env_file: Path | None = None
) -> Environment:
    """The environment of programs that build the job of ``manifest``: its ``variables`` are all they get.

    Precedence, low to high: ``inherited``, `build_env`, the secret build file, in place of which ``env_file``
    is read. ``cwd`` is what messages name files relative to. Raises `ManifestError` for a secret file that is
    missing or wrong; nothing stands in for that one.
    """
    variables = {**inherited, **manifest.build_env}
    origins = dict.fromkeys(manifest.build_env, "build_env")
    if not manifest.secret_build_env_file and env_file is None:
        return Environment(variables, origins)
    file = manifest.folder / manifest.secret_build_env_file if env_file is None else cwd / env_file
    if env_file is None and not os.path.lexists(file):
        raise missing_file(manifest, "secret_build_env_file")
    source = shown(file, cwd)
    values = read_env_file(file, source, variables).values
    return Environment(
        {**variables, **values},
        origins | dict.fromkeys(values, source),
        frozenset(values),
        Mask(values.values()),
        (file,),
        tuple(remarks_of_short(values, source)),
    )
