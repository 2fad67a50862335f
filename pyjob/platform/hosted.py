"""What is known of a job before its process runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from pyjob.environment.mask import Mask
from pyjob.errors import ConflictError, ManifestError
from pyjob.logs.setting_up import LogSettings
from pyjob.manifest.manifest import valid_name
from pyjob.own import JobSource

TOKEN = "AUTH_TOKEN"  # nosec B105 # the name of a variable


@dataclass(frozen=True)
class HostedJob:
    """The job at ``path``, as it was named: its ``name`` and ``version``.

    Where its manifest cannot be read, the name is the folder's, and there is no version. ``mask`` hides its
    secrets; ``is_structured``: whether its log is JSON; ``has_token``: whether it has an AUTH_TOKEN.
    """

    path: Path
    name: str
    version: str = ""
    mask: Mask = field(default_factory=Mask)
    is_structured: bool = False
    has_token: bool = False


def hosted_jobs(sources: Iterable[JobSource]) -> list[HostedJob]:
    """The jobs of ``sources``.

    Raises `ConflictError` where two have one name and version, `ManifestError` where nothing is at a path.
    """
    jobs = [_hosted(source) for source in sources]
    seen: dict[tuple[str, str], HostedJob] = {}
    for job in jobs:
        other = seen.setdefault((job.name, job.version), job)
        if other is not job and job.version:
            raise ConflictError(
                f"{other.path} and {job.path} are both called {job.name} {job.version}: "
                "give one of them another name or version, in its job.yaml or in one beside it"
            )
    return jobs


def _hosted(source: JobSource) -> HostedJob:
    path = source.path or Path()
    try:
        manifest, environment = source.configuration()
    except ManifestError:
        if not path.exists():
            raise
        # Its process tells of it, and may mend it with --reload.
        token = os.environ.get(TOKEN, "")
        name = valid_name(source.folder.resolve().name)
        return HostedJob(path, name, mask=Mask([token]), has_token=bool(token))
    variables = {**os.environ, **environment.variables}
    token = variables.get(TOKEN, "")
    secrets = [environment.variables[name] for name in environment.secret if name in environment.variables]
    return HostedJob(
        path,
        manifest.name,
        manifest.version,
        Mask([*secrets, token]),
        LogSettings.from_environment(variables).structured,
        bool(token),
    )
