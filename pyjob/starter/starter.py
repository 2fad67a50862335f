"""A new job: a folder with all that a job wants, made from a template."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from pyjob.errors import StarterError
from pyjob.starter.origin import Origin, origin_of

TEMPLATES = ("minimal", "model", "flask")
EMAIL = "you@example.com"
MOST_NAMED = 5

_TOKEN = re.compile(r"@([A-Z_]+)@")
_PLAIN = re.compile(r"[A-Za-z0-9][-._/:@+~A-Za-z0-9]*")


@dataclass(frozen=True)
class Starter:
    """A job that was made: ``files`` are relative to ``folder``; ``placeholders`` are fields to fill in."""

    folder: Path
    name: str
    files: tuple[str, ...]
    placeholders: tuple[str, ...]


def start_job(folder: Path, template: str) -> Starter:
    """Make a job in ``folder``, which must be empty (but for `.git`) or not there yet.

    Raises `StarterError`, and then leaves everything as it was.
    """
    _refuse_what_is_there(folder)
    target = folder.resolve()
    if not str(target).isprintable():
        raise StarterError(f"{str(folder)!r}: expected a path of printable characters")
    name, origin = job_name(target.name), origin_of(folder)
    values = _values(name, origin)
    texts = {_filled(path, values): _filled(text, values) for path, text in _template(template)}
    try:
        _write(target, texts)
    except OSError as error:
        raise StarterError(f"{folder}: {error.strerror}: {error.filename}") from error
    fields = {"git.remote": origin.remote, "owner_email": origin.email}
    return Starter(
        folder, name, tuple(sorted(texts)), tuple(key for key, value in fields.items() if not value)
    )


def job_name(text: str) -> str:
    """A job's name that is a DNS label, made of a folder's."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:63].strip("-") or "job"


def _refuse_what_is_there(folder: Path) -> None:
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name != ".git")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StarterError(f"{folder}: expected a new or an empty folder: {error.strerror}") from None
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        told = ", ".join(name if name.isprintable() else repr(name) for name in names[:MOST_NAMED])
        raise StarterError(f"{folder}: expected a new or an empty folder, found {told}{more} in it")


def _values(name: str, origin: Origin) -> dict[str, str]:
    """What stands in the templates as `@NAME@`, safe inside YAML."""
    git = [f"remote: {_yaml(origin.remote)}"]
    if not origin.remote:
        git = ["# A placeholder: the https:// address of the repository belongs here."]
        git.append(f"remote: https://example.com/you/{name}")
    git += [f"branch: {_yaml(origin.branch)}"] * bool(origin.branch)
    git += [f"directory: {_yaml(origin.directory)}"] * bool(origin.directory)
    return {
        "NAME": name,
        "NAME_IN_YAML": _yaml(name),
        "MODULE": name.replace("-", "_"),
        "OWNER_EMAIL": _yaml(origin.email or EMAIL),
        "GIT": "\n  ".join(git),
    }


def _yaml(value: str) -> str:
    """``value`` as a YAML string on one line."""
    if _PLAIN.fullmatch(value) and yaml.safe_load(value) == value:
        return value
    quoted: str = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=10**9)
    return quoted.rstrip("\n")


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _TOKEN.sub(lambda found: values[found[1]], text)


def _template(name: str) -> Iterator[tuple[str, str]]:
    """Paths and texts of what all jobs have, and of what those of the template ``name`` have."""
    folder = files("pyjob.starter") / "templates"
    for part in ("shared", name):
        yield from _files_below(folder / part, "")


def _files_below(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files_below(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(".in"):
            # As they are called in the package, they are no modules, tests or hidden files of it.
            name = re.sub("^dot-", ".", entry.name.removesuffix(".in"))
            yield f"{path}{name}", entry.read_text(encoding="utf-8")


def _write(target: Path, texts: Mapping[str, str]) -> None:
    """Write all ``texts`` below ``target``, over nothing; if that fails, remove what was made."""
    made: list[Path] = []
    try:
        for path, text in texts.items():
            file = target / path
            for folder in reversed([file, *file.parents][1:]):
                if not folder.is_dir():
                    folder.mkdir()
                    made.append(folder)
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                made.append(file)
                stream.write(text)
    except BaseException:
        for one in reversed(made):
            one.rmdir() if one.is_dir() else one.unlink()
        raise
