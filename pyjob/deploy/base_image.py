"""The image that a job's is made from: Python by `python_version` on Debian by `debian_version`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from pyjob.errors import ManifestError, Problem
from pyjob.manifest import Manifest
from pyjob.manifest.document import found
from pyjob.manifest.manifest import PYTHON_VERSION

# Where the manifest says nothing: old enough that what is built there runs on later ones, too.
DEFAULT_RELEASE = "bookworm"
_RELEASES = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
_RELEASE = re.compile("(?:slim-)?([a-z]+)")
_NO_RELEASES = ("alpine", "slim")  # of which there are images of Python, too


def base_image(manifest: Manifest) -> str:
    """The official image of Python, by a tag that names its minor version and the release of Debian.

    Raises `ManifestError` where the manifest names a Python that pyjob does not run on, or no release.
    """
    problems = [manifest.located(one) for one in _problems(manifest)]
    if problems:
        raise ManifestError(manifest.source, problems)
    extra = manifest.jobtype_extra
    python = extra.python_version or f"{sys.version_info.major}.{sys.version_info.minor}"
    release = extra.debian_version.removeprefix("slim-") or DEFAULT_RELEASE
    return f"python:{python}-slim-{_RELEASES.get(release, release)}"


def _problems(manifest: Manifest) -> Iterator[Problem]:
    python, release = manifest.jobtype_extra.python_version, manifest.jobtype_extra.debian_version
    if python and not PYTHON_VERSION.fullmatch(python):
        expected = "a version of Python from 3.11, which pyjob needs, such as 3.12"
        yield Problem("jobtype_extra.python_version", expected, found(python))
    named = _RELEASE.fullmatch(release)
    if release and release not in _RELEASES and (named is None or named[1] in _NO_RELEASES):
        expected = "the name of a release of Debian, such as bookworm"
        yield Problem("jobtype_extra.debian_version", expected, found(release))
