"""Where a manifest comes from (SPEC 2.1): a path, the environment, the current folder, a mapping at hand."""

from __future__ import annotations

import errno
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pyjob.manifest.document import LARGEST, Document, decode, found, parse, refused
from pyjob.manifest.manifest import Manifest, Missing, read, valid_name

VARIABLE = "JOB_MANIFEST_YAML"
FILE_NAME = "job.yaml"
OLD_FILE_NAME = "fatman.yaml"


def find_manifest(
    path: Path | None, *, environ: Mapping[str, str], cwd: Path, manifest: Path | None = None
) -> Manifest:
    """Find and read the manifest of a job.

    ``path`` is the job's folder, its manifest, or its entry file (``.py``); without it, the environment's
    ``JOB_MANIFEST_YAML`` or the manifest in ``cwd`` counts. ``manifest`` is the manifest's file where it is
    not the folder's own. Raises :class:`ManifestError` for what is not there, not readable or not right.
    """
    target = cwd if path is None else cwd / path
    shown = _shown(target, cwd)
    mode = _mode(target, shown)
    if stat.S_ISDIR(mode):
        chosen = _choose(target, environ if path is None else {}, cwd, manifest)
        if chosen is None:
            raise refused(
                shown,
                f"a {FILE_NAME} (put one into this folder, or serve a single file with `pyjob run FILE.py`)",
                _instead(target),
            )
        return chosen.read(target)
    if target.suffix == ".py":
        if not stat.S_ISREG(mode):
            raise refused(shown, "a file", _kind(mode))
        return _of_entry_file(target, shown, _choose(target.parent, environ, cwd, manifest))
    if manifest is not None:
        raise refused(shown, "a folder or a .py file beside the manifest that is given", "another manifest")
    return _of_file(target, cwd).read(target.parent)


def manifest_of(document: Mapping[str, object] | None, *, name: str, folder: Path) -> Manifest:
    """Return the manifest of a class at hand, which need not have any field.

    ``name`` counts where ``document`` has none. Raises :class:`ManifestError` when a rule is broken.
    """
    source = "manifest"
    values: object = {} if document is None else document
    if not isinstance(values, Mapping):
        raise refused(source, "a mapping of fields to values", found(values))
    return read(
        Document(source, values), folder=folder.resolve(), missing=Missing.DEFAULT, name=valid_name(name)
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A document that was found, and what is special about the place where it was."""

    document: Document
    old_name: bool = False
    unknown_fields_warn: bool = False

    def read(
        self, folder: Path, missing: Missing = Missing.ERROR, name: str = "", entry: str = ""
    ) -> Manifest:
        manifest = read(
            self.document,
            folder=folder.resolve(),
            missing=missing,
            unknown_fields_warn=self.unknown_fields_warn,
            name=name,
            entrypoint_path=entry,
        )
        if not self.old_name:
            return manifest
        warning = f"{manifest.source}: a deprecated file name, call it {FILE_NAME}"
        return replace(manifest, warnings=(warning, *manifest.warnings))


def _choose(folder: Path, environ: Mapping[str, str], cwd: Path, manifest: Path | None) -> _Chosen | None:
    if manifest is not None:
        return _of_file(cwd / manifest, cwd)
    text = environ.get(VARIABLE, "")
    if text.strip():
        lines = text if "\n" in text else text.replace("\\n", "\n")
        # A newer platform may have written it.
        if lines.strip().endswith((".yaml", ".yml")) and "\n" not in lines.strip():
            raise refused(VARIABLE, "the text of a manifest", "a path (name it on the command line instead)")
        return _Chosen(parse(lines, VARIABLE), unknown_fields_warn=True)
    for name in (FILE_NAME, OLD_FILE_NAME):
        if _is_there(folder / name, cwd):
            return _of_file(folder / name, cwd)
    return None


def _instead(folder: Path) -> str:
    """What stands where a manifest was looked for: one under another name, or in a folder below."""
    for name in ("job.yml", "fatman.yml"):
        if (folder / name).is_file():
            return f"{name}: rename it to {FILE_NAME}"
    try:
        below = sorted(path.parent.name for path in folder.glob(f"*/{FILE_NAME}"))[:3]
    except OSError:
        below = []
    return f"none here, but in {', '.join(below)}: name that folder" if below else "nothing"


def _of_entry_file(file: Path, shown: str, chosen: _Chosen | None) -> Manifest:
    name = valid_name(file.stem)
    if chosen is not None:
        return chosen.read(file.parent, Missing.WARNING, name, file.name)
    manifest = _Chosen(Document(shown, {})).read(file.parent, Missing.DEFAULT, name, file.name)
    warning = f"{shown}: no manifest, so the job is called {name} {manifest.version}"
    return replace(manifest, warnings=(warning,))


def _of_file(file: Path, cwd: Path) -> _Chosen:
    source = _shown(file, cwd)
    if file.suffix not in ("", ".yaml", ".yml"):
        raise refused(source, "a folder, a .yaml or a .py file", f"a {file.suffix} file")
    document = parse(decode(_bytes(file, source), source), source)
    return _Chosen(document, old_name=file.name == OLD_FILE_NAME)


def _bytes(file: Path, source: str) -> bytes:
    mode = _mode(file, source)
    if not stat.S_ISREG(mode):  # opening a FIFO would wait for its writer
        raise refused(source, "a file", _kind(mode))
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        raise refused(source, "a file that can be read", _reason(error, file)) from None


def _mode(path: Path, source: str) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise refused(source, "an existing file or folder", _reason(error, path)) from None
    except ValueError:
        raise refused(source, "a path", "what cannot be one") from None


def _is_there(file: Path, cwd: Path) -> bool:
    """Whether the folder has an entry of this name, be it a broken link; one that hides it is a fault."""
    try:
        file.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise refused(_shown(file, cwd), "a file that can be read", _reason(error, file)) from None
    return True


def _reason(error: OSError, path: Path) -> str:
    match error.errno:
        case errno.ENOENT:
            return "a symbolic link to nothing" if path.is_symlink() else "nothing"
        case errno.ELOOP:
            return "symbolic links that go round in a circle"
        case errno.EACCES | errno.EPERM:
            return "no permission"
        case _:
            return f"an error ({error.strerror})"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _shown(path: Path, cwd: Path) -> str:
    """Name a path as the caller knows it: relative where it was given so."""
    text = str(path.relative_to(cwd) if path != cwd and path.is_relative_to(cwd) else path)
    return text if text.isprintable() else found(text)
