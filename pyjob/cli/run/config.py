"""What `pyjob run --print-config` shows: a manifest and its environment after everything that has a say."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter

import yaml

from pyjob.environment import Environment
from pyjob.environment.mask import MASKED
from pyjob.manifest import Manifest
from pyjob.manifest.manifest import USER_IN_URL
from pyjob.manifest.table import ROWS


def shown(manifest: Manifest, environment: Environment) -> str:
    """The configuration as YAML: every field with its value, every variable with its origin."""
    sources = [str(file) for file in (*manifest.files, *environment.files)] or [manifest.source]
    parts = {
        "folder": str(manifest.folder),
        "read_from": sources,
        "manifest": environment.mask.inside(_fields(manifest)),
        "environment": _variables(environment),
    }
    return yaml.safe_dump(parts, sort_keys=False, allow_unicode=True, width=100)


def _fields(manifest: Manifest) -> dict[str, object]:
    """The fields of the manifest as they are nested there; those that are empty are left out."""
    fields: dict[str, object] = {}
    sections: dict[str, dict[str, object]] = {}
    for row in ROWS:
        value = _plain(attrgetter(row.path)(manifest))
        if row.path == "git.remote":
            value = USER_IN_URL.sub("//", str(value))  # there may be a password
        if value in ("", None, [], {}):
            continue
        if row.section:
            sections.setdefault(row.section, {})[row.key] = value
        else:
            fields[row.key] = value
    return fields | sections


def _variables(environment: Environment) -> dict[str, dict[str, str]]:
    return {
        name: {
            "value": MASKED if name in environment.secret else environment.mask(value),
            "from": environment.origins[name],
        }
        for name, value in environment.variables.items()
    }


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
