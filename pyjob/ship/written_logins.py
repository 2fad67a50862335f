"""Logins in the files of a job that are packed as they are (SPEC 3.3)."""

from __future__ import annotations

from pyjob.errors import ManifestError
from pyjob.manifest import Manifest
from pyjob.requirements.files import RequirementsFiles
from pyjob.requirements.login import login_in_remote


def refuse_written_logins(manifest: Manifest) -> None:
    """Raise `ManifestError` where the manifest or a requirements file has a login written out."""
    problems = login_in_remote(manifest)
    if manifest.jobtype_extra.requirements_path:
        problems += RequirementsFiles(manifest).logins
    if problems:
        raise ManifestError(manifest.source, problems)
