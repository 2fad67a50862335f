"""Where a manifest comes from (SPEC 2.1): a path, the environment, the current folder, a mapping at hand."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pyjob.errors import Remark
from pyjob.manifest.document import LARGEST, Document, found, parse, refused
from pyjob.manifest.file import kind_of, mode_of, read_text, reason_of, shown
from pyjob.manifest.layers import extended, with_settings
from pyjob.manifest.manifest import Manifest, Missing, read, valid_name

VARIABLE = "JOB_MANIFEST_YAML"
FILE_NAME = "job.yaml"
OLD_FILE_NAME = "fatman.yaml"


def find_manifest(
    path: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path,
    manifest: Path | None = None,
    settings: Sequence[str] = (),
) -> Manifest:
    """Find and read the manifest of a job.

    ``path`` is the job's folder, its manifest, or its entry file (``.py``); without it, the environment's
    ``JOB_MANIFEST_YAML`` or the manifest in ``cwd`` counts. ``manifest`` is the manifest's file where it is
    not the folder's own. ``settings`` (``FIELD=VALUE``) override single values. Raises
    :class:`ManifestError` for what is not there, not readable or not right.
    """
    target = cwd if path is None else cwd / path
    source = shown(target, cwd)
    mode = mode_of(target, source)
    if stat.S_ISDIR(mode):
        chosen = _choose(target, environ if path is None else {}, cwd, manifest)
        if chosen is None:
            raise refused(
                source,
                f"a {FILE_NAME} (put one into this folder, begin a job with `pyjob new DIR`, or serve a "
                "single file with `pyjob run FILE.py`)",
                _instead(target),
            )
        return chosen.read(target, settings)
    if target.suffix == ".py":
        if not stat.S_ISREG(mode):
            raise refused(source, "a file", kind_of(mode))
        chosen = _choose(target.parent, environ, cwd, manifest)
        return _of_entry_file(target, source, chosen, settings)
    if manifest is not None:
        raise refused(source, "a folder or a .py file beside the manifest that is given", "another manifest")
    return _of_file(target, cwd).read(target.parent, settings)


def manifest_of(document: Mapping[str, object] | None, *, name: str, folder: Path) -> Manifest:
    """Return the manifest of a class at hand, which need not have any field.

    ``name`` counts where ``document`` has none. Raises :class:`ManifestError` when a rule is broken.
    """
    source = "manifest"
    values: object = {} if document is None else document
    if not isinstance(values, Mapping):
        raise refused(source, "a mapping of fields to values", found(values))
    return _Chosen(Document(source, values)).read(folder, missing=Missing.DEFAULT, name=valid_name(name))


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A document that was found, and what is special about the place where it was."""

    document: Document
    file: Path | None = None
    unknown_fields_warn: bool = False

    def read(
        self,
        folder: Path,
        settings: Sequence[str] = (),
        *,
        missing: Missing = Missing.ERROR,
        name: str = "",
        entry: str = "",
    ) -> Manifest:
        home = folder if self.file is None else self.file.parent
        document, base = extended(self.document, home)
        manifest = read(
            with_settings(document, settings),
            folder=folder.resolve(),
            missing=missing,
            unknown_fields_warn=self.unknown_fields_warn,
            name=name,
            entrypoint_path=entry,
            files=tuple(file for file in (self.file, base) if file is not None),
        )
        if self.file is None or self.file.name != OLD_FILE_NAME:
            return manifest
        warning = Remark(manifest.source, f"a deprecated file name, call it {FILE_NAME}")
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


def _of_entry_file(file: Path, source: str, chosen: _Chosen | None, settings: Sequence[str]) -> Manifest:
    name = valid_name(file.stem)
    if chosen is not None:
        return chosen.read(file.parent, settings, missing=Missing.WARNING, name=name, entry=file.name)
    empty = _Chosen(Document(source, {}))
    manifest = empty.read(file.parent, settings, missing=Missing.DEFAULT, name=name, entry=file.name)
    text = f"no manifest, so the job is called {manifest.name} {manifest.version}"
    return replace(manifest, warnings=(Remark(source, text), *manifest.warnings))


def _of_file(file: Path, cwd: Path) -> _Chosen:
    source = shown(file, cwd)
    if file.suffix not in ("", ".yaml", ".yml"):
        raise refused(source, "a folder, a .yaml or a .py file", f"a {file.suffix} file")
    return _Chosen(parse(read_text(file, source, LARGEST), source), file)


def _is_there(file: Path, cwd: Path) -> bool:
    """Whether the folder has an entry of this name, be it a broken link; one that hides it is a fault."""
    try:
        file.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise refused(shown(file, cwd), "a file that can be read", reason_of(error, file)) from None
    return True
