"""Documents on top of each other: the base that a manifest `extends`, values given by `--set` (SPEC 2, 2.3).

Layers are merged as RFC 7396 has it: mappings key by key, anything else is replaced, and null removes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from posixpath import normpath

from pyjob.errors import ManifestError, Problem, Remark
from pyjob.manifest.document import LARGEST, Document, found, key_label, parse, parse_value, refused
from pyjob.manifest.fields import FieldError, base_path
from pyjob.manifest.file import read_text, shown
from pyjob.manifest.table import DEPRECATED, SECTIONS, deprecated, ignored

OPTION = "--set"
_MOST_KEYS = 10
_LONGEST_KEY = 60
_DEEPEST = 50  # merged; labels may be no deeper


def extended(document: Document, folder: Path) -> tuple[Document, Path | None]:
    """``document`` on top of the base manifest that it extends, if any, and that one's file.

    The base's path is relative to ``folder``. A base that cannot be read becomes a problem of the document,
    which is partial then.
    """
    written = document.values.get("extends")
    if written is None or written == "":
        return document, None
    try:
        path = base_path(written)
        source = normpath(PurePosixPath(document.source).parent / path)
        file = _base_file(path, document, folder)
        if source == document.source:
            raise refused(document.source, "another manifest", "this one")
        base = parse(read_text(file, source, LARGEST), source)
    except FieldError:
        return _without_base(document, []), None  # told when the field is read
    except ManifestError as error:
        return _without_base(document, _problems_of_base(document, error)), None
    return _merged(_without_extends(base), document, document.source), file


def with_settings(document: Document, settings: Sequence[str]) -> Document:
    """``document`` with each of ``settings`` (``jobtype_extra.max_concurrency=4``) on top of it.

    Values are read as YAML; what is no setting becomes a problem of the document.
    """
    for setting in settings:
        try:
            document = _merged(document, _setting(setting), document.source)
        except ManifestError as error:
            problems = [replace(one, line=None, source=error.source) for one in error.problems]
            document = replace(document, problems=(*document.problems, *problems))
    return document


def _setting(text: str) -> Document:
    path, equals, value = text.partition("=")
    keys = path.strip().split(".", _MOST_KEYS)
    are_keys = all(key.isprintable() and 0 < len(key) <= _LONGEST_KEY for key in keys)
    if not equals or not are_keys or len(keys) > _MOST_KEYS:
        # The value may be a secret.
        raise refused(OPTION, "FIELD=VALUE, such as jobtype_extra.max_concurrency=4", found(path))
    path = ".".join(map(key_label, keys))
    if keys[0] == "extends":
        raise refused(f"{OPTION} {path}", "a field that has a value", "one that says what the manifest is")
    part = parse_value(value, f"{OPTION} {path}", path)
    patch: dict[object, object] = {keys[-1]: part.value}
    for key in reversed(keys[:-1]):
        patch = {key: patch}
    problems = tuple(replace(one, line=None) for one in part.problems)
    return Document(OPTION, patch, problems, part.places.without_lines(OPTION))


def _base_file(path: str, document: Document, folder: Path) -> Path:
    """Where the base manifest is. Raises `ManifestError` where that is outside of the repository."""
    root = repository_of(folder.resolve(), document.values)
    file = folder / path
    try:
        inside = file.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a circle of links
        inside = True  # reading it will tell
    if not inside:
        where = f"a file inside the repository (by .git, or else git.directory, that is {shown(root)})"
        raise refused(document.source, where, found(path))
    return file


def repository_of(folder: Path, values: Mapping[object, object]) -> Path:
    """The root of the repository that a folder is in, which is given without links.

    That of its git work tree; without one, what `git.directory` says; else the folder itself.
    """
    for parent in (folder, *folder.parents):
        if os.path.exists(parent / ".git"):  # noqa: PTH110  Path.exists raises where it may not look
            return parent
    git = values.get("git")
    directory = git.get("directory") if isinstance(git, Mapping) else None
    parts = PurePosixPath(normpath(directory)).parts if isinstance(directory, str) else ()
    if parts and ".." not in parts and folder.parts[-len(parts) :] == parts:
        return Path(*folder.parts[: -len(parts)])
    return folder


def _without_base(document: Document, problems: list[Problem]) -> Document:
    """The document on top of nothing: null still removes, and is no value."""
    values = _patched_fields({}, document.values)
    return replace(document, values=values, problems=(*document.problems, *problems), is_partial=True)


def _problems_of_base(document: Document, error: ManifestError) -> list[Problem]:
    """What is wrong with a base as a whole is a problem of the field that names it."""
    place = document.place_of("extends")
    problems = []
    for one in error.problems:
        if one.line is None:
            what = one.found if error.source == document.source else f"{one.found} ({error.source})"
            problems.append(Problem("extends", one.expected, what, place.line, place.source))
        else:
            problems.append(replace(one, source=error.source))
    return problems


def _without_extends(base: Document) -> Document:
    """The base; that it extends another is a problem, and then nobody knows what the other one has."""
    if not base.values.get("extends"):
        return base
    values = {key: value for key, value in base.values.items() if key != "extends"}
    problem = base.located(Problem("extends", "a base manifest that extends no other", "one that does"))
    return replace(base, values=values, problems=(*base.problems, problem), is_partial=True)


def _merged(under: Document, over: Document, source: str) -> Document:
    under, over = _modern(under), _modern(over)
    return Document(
        source,
        _patched_fields(under.values, over.values),
        tuple(
            one if one.source else replace(one, source=layer.source)
            for layer in (under, over)
            for one in layer.problems
        ),
        under.places.under(over.places),
        under.is_partial or over.is_partial,
        (*under.remarks, *over.remarks),
    )


def _modern(document: Document) -> Document:
    """The document in modern spelling: a layer must not miss another's field for the sake of its name."""
    values, places, remarks = dict(document.values), document.places, list(document.remarks)

    def remark(path: str, text: str) -> None:
        place = document.place_of(path)
        remarks.append(Remark(place.source, text, place.line))

    for old, modern in DEPRECATED.items():
        value, present = values.get(old), values.get(modern)
        if old in values and present is None:
            values[modern] = values.pop(old)
            places = places.renamed(old, modern)
            remark(old, deprecated(old))
        elif isinstance(value, Mapping) and isinstance(present, Mapping):
            del values[old]
            remark(old, deprecated(old))
            for key, item in value.items():
                label = key_label(key)
                if present.get(key) is None:
                    present = values[modern] = {**present, key: item}
                    places = places.renamed(f"{old}.{label}", f"{modern}.{label}")
                else:
                    remark(f"{old}.{label}", ignored(f"{old}.{label}", f"{modern}.{label}"))
    return replace(document, values=values, places=places, remarks=tuple(remarks))


def _patched_fields(target: Mapping[object, object], patch: Mapping[object, object]) -> dict[object, object]:
    """The fields patched; what null was to remove and is not there stays, to be told where it is unknown."""
    result = _patched(target, patch)
    for key, value in patch.items():
        if value is None and key not in target:
            result[key] = None
        elif key in SECTIONS and isinstance(value, Mapping):
            inner = target.get(key)
            result[key] = _patched_fields(inner if isinstance(inner, Mapping) else {}, value)
    return result


def _patched(target: object, patch: object, depth: int = 0) -> dict[object, object]:
    """RFC 7396, down to a depth: a mapping at hand may contain itself."""
    result: dict[object, object] = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items() if isinstance(patch, Mapping) else ():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and depth < _DEEPEST:
            result[key] = _patched(result.get(key), value, depth + 1)
        else:
            result[key] = value
    return result
