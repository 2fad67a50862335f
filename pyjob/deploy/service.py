"""A job as those see it that run it: its names, its secrets' names, what its image looks like, its end."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from pyjob.environment.environment import secret_names
from pyjob.manifest import Manifest, find_manifest, remarks_on
from pyjob.serving.server import DEFAULT_GRACE

# The image that `pyjob render dockerfile` makes: its entry point is the .pex, which takes options of
# `pyjob run`. All folders but these two may be read-only.
IMAGE_USER = 10001  # and group
WORK_FOLDER = "/job"  # the working directory: the .pex unpacks the job there (`--workdir`)
TEMPORARY_FOLDER = "/tmp"  # nosec B108 # written into files, not used here

# How long those who run several processes may need until they send nobody to one that ends.
DRAIN_DELAY = 10.0
# From the end of the grace to that of the process: the last answers, and what the job does at its end.
MARGIN_SECONDS = 5

_LABEL = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?")
_LONGEST_LABEL = 63
_NO_LETTERS = re.compile("[^a-z0-9]+")
_PLAIN_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_DIGEST_LENGTH = 8


@dataclass(frozen=True)
class Service:
    """A job that is to be run somewhere else.

    ``label``: its name as a DNS label. ``versioned_label``: name and version as one; another version has
    another, so that several live side by side. ``secrets``: the names of its secret variables, as far as
    they are known. ``remarks`` are to be told.
    """

    manifest: Manifest
    label: str
    versioned_label: str
    secrets: tuple[str, ...]
    remarks: tuple[str, ...]


def service_of(path: Path | None, manifest_file: Path | None, *, cwd: Path) -> Service:
    """The job of ``path``, as `pyjob run` finds it (SPEC 2.1). Raises `ManifestError`.

    Of secret files only the names are read, and never kept with their values.
    """
    manifest = find_manifest(path, environ=os.environ, cwd=cwd, manifest=manifest_file)
    secrets, remarks = secret_names(manifest, cwd)
    return Service(
        manifest,
        dns_label(manifest.name),
        versioned_label(manifest.name, manifest.version),
        secrets,
        (*remarks_on(manifest), *map(str, remarks)),
    )


def stop_seconds(grace: float = DEFAULT_GRACE, drain_delay: float = 0.0) -> int:
    """How long after SIGTERM it may be killed at the earliest, in whole seconds."""
    return math.ceil(grace + drain_delay) + MARGIN_SECONDS


def dns_label(text: str) -> str:
    """``text`` as a DNS label that begins with a letter (RFC 1035), as names of Services in Kubernetes do.

    What is none is made one that ends in a digest of the text, so that no other text has the same.
    """
    if _LABEL.fullmatch(text) and len(text) <= _LONGEST_LABEL:
        return text
    return _label_by_digest(text)


def versioned_label(name: str, version: str) -> str:
    """A job's name and version as one DNS label, such as ``house-price-v1-2-3``."""
    label = f"{name}-v{version.replace('.', '-')}"
    if _LABEL.fullmatch(name) and _PLAIN_VERSION.fullmatch(version) and len(label) <= _LONGEST_LABEL:
        return label  # which can be read back in one way only
    return _label_by_digest(f"{name}-v{version}")


def _label_by_digest(text: str) -> str:
    label = _NO_LETTERS.sub("-", text.lower()).strip("-")
    if not label[:1].isalpha():
        label = f"job-{label}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
    return f"{label[: _LONGEST_LABEL - _DIGEST_LENGTH - 1].rstrip('-')}-{digest}"
