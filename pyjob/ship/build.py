"""From a folder or a repository to one file: `pyjob build`, step by step."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyjob
from pyjob.environment import Environment, environment_of
from pyjob.environment.build import build_environment
from pyjob.environment.mask import Mask
from pyjob.errors import BuildError, ManifestError, one_line
from pyjob.manifest import Manifest
from pyjob.ship.leaks import CERTAIN, leaks_in_archive, leaks_in_wheels
from pyjob.ship.package import Package, normalized, package_of
from pyjob.ship.packing.archive import write_archive
from pyjob.ship.packing.assembly import assemble
from pyjob.ship.packing.contents import Contents
from pyjob.ship.packing.preamble import python_here
from pyjob.ship.requirements.gather import gather
from pyjob.ship.requirements.prepared import prepared
from pyjob.ship.runtime import COMPAT, extras_here, write_compat, write_wheels
from pyjob.ship.source.source import Source, Wanted, source_of
from pyjob.ship.written_logins import refuse_written_logins

Tell = Callable[[str], None]
_MOST_NAMED = 5


@dataclass(frozen=True)
class Order:
    """What is to be built, and how.

    ``output``: the file, by default NAME-VERSION.pex in the current folder. ``docs``: whether Swagger UI is
    packed. ``wheelhouse``: a folder of wheels, in place of any index. ``env_file`` is read in place of the
    manifest's secret build file.
    """

    wanted: Wanted
    output: Path | None = None
    docs: bool = True
    wheelhouse: Path | None = None
    env_file: Path | None = None


@dataclass(frozen=True)
class Built:
    """What was built: ``size`` in bytes; ``files``: how many of the job's; ``warnings`` are to be told."""

    file: Path
    contents: Contents
    size: int
    sha256: str
    files: int
    packages: tuple[Package, ...]
    warnings: tuple[str, ...]


def build(order: Order, cwd: Path, tell: Tell, step: Tell) -> Built:
    """Build what is ordered; ``tell`` hears of each stage, ``step`` of what pip does meanwhile.

    Nothing is left where it fails, but for a log beside the file that was to be. Raises `BuildError` and
    `ManifestError`.
    """
    _check_pex()
    with tempfile.TemporaryDirectory(prefix="pyjob-build-") as private, _told_in_words():
        folder = Path(private)
        return _build(order, cwd, folder, tell, step)


def _build(order: Order, cwd: Path, folder: Path, tell: Tell, step: Tell) -> Built:
    def target_of(manifest: Manifest) -> Path:
        return cwd / (order.output or f"{manifest.name}-{manifest.version}.pex")

    if order.output:
        _target(cwd / order.output)  # before anything is done for it
    source = source_of(order.wanted, folder, cwd=cwd, target_of=target_of)
    manifest = source.manifest
    target = _target(target_of(manifest))
    refuse_written_logins(manifest)
    environment = build_environment(manifest, os.environ, cwd=cwd, env_file=_env_file(order, source))
    warnings = [*source.warnings, *map(str, (*manifest.warnings, *environment.remarks))]
    warnings += _other_python(manifest)
    tell(f"{manifest.name} {manifest.version}: {len(source.files)} files{_commit_of(source)}")
    archive = folder / "job.tar"
    write_archive(archive, source.root, source.files, source.date)
    secrets = _secrets(source, environment, cwd)
    warnings += _without_leaks(archive, secrets)
    wheels = _wheels(order, manifest, environment, folder, target, tell, step)
    _refuse_leaks(leaks_in_wheels(wheels, secrets))
    contents = Contents(
        manifest.name,
        manifest.version,
        source.run.relative_to(source.root).as_posix(),
        source.commit,
        pyjob.__version__,
    )
    tell("packing")
    packages = tuple(sorted(map(package_of, wheels), key=lambda one: one.name.lower()))
    made = folder / "job.pex"
    is_checked = manifest.jobtype_extra.check_requirements is not False
    assemble(made, contents, archive, wheels, folder, is_checked=is_checked)
    size, digest = _put(made, target)
    return Built(target, contents, size, digest, len(source.files), packages, tuple(warnings))


def _env_file(order: Order, source: Source) -> Path | None:
    """The file of build secrets that is not where the manifest says: a clone never has it."""
    name = source.manifest.secret_build_env_file
    if order.env_file is not None or not name or source.secrets == source.manifest.folder:
        return order.env_file
    file = source.secrets / name
    if not file.is_file():
        raise BuildError(
            f"{source.manifest.source}: secret_build_env_file: expected the file {file}, since no repository "
            "has it (another one is named by --env-file)"
        )
    return file


def _check_pex() -> None:
    import importlib.util

    if importlib.util.find_spec("pex") is None:
        raise BuildError(
            "pex is not installed here, which builds the file: pip install pex, or pyjob's extra build"
        )


def _target(target: Path) -> Path:
    if target.exists() and not target.is_file():
        what = "a folder" if target.is_dir() else "something else"
        raise BuildError(f"{target}: expected the name of a file, found {what}")
    if not target.parent.is_dir():
        raise BuildError(f"{target}: there is no folder {target.parent}")
    if target.is_file() and target.stat().st_size and not zipfile.is_zipfile(target):
        raise BuildError(f"{target}: expected a built file or none, found something else: remove it")
    return target


def _other_python(manifest: Manifest) -> Iterator[str]:
    wanted = manifest.jobtype_extra.python_version
    if wanted and ".".join(wanted.split(".")[:2]) != python_here():
        yield (
            f"{manifest.source}: jobtype_extra.python_version is {wanted}, but this is Python "
            f"{python_here()}, and so the file needs that: build with Python {wanted} for that"
        )


def _commit_of(source: Source) -> str:
    return f", commit {source.commit}" if source.commit else ""


def _wheels(
    order: Order,
    manifest: Manifest,
    environment: Environment,
    folder: Path,
    target: Path,
    tell: Tell,
    step: Tell,
) -> list[Path]:
    """The wheels of pyjob, and of what the job requires."""
    runtime, gathered, private = folder / "runtime", folder / "wheels", folder / "requirements"
    for one in (runtime, gathered):
        one.mkdir()
    private.mkdir(mode=0o700)
    extras = extras_here(docs=order.docs)
    write_wheels(runtime, extras)
    tell("requirements" if manifest.jobtype_extra.requirements_path else "no requirements")
    log = target.with_name(f"{target.name}.build.log")
    try:
        wheels = gather(
            prepared(manifest, environment, private, wheelhouse=order.wheelhouse),
            gathered,
            runtime=runtime,
            log=log,
            extras=extras,
            report=step,
        )
    except BuildError:  # it tells where the log is
        raise
    except BaseException:
        log.unlink(missing_ok=True)
        raise
    log.unlink(missing_ok=True)
    if not any(normalized(package_of(wheel).name) == COMPAT for wheel in wheels):
        wheels += write_compat(gathered)
    return sorted(wheels)


def _secrets(source: Source, environment: Environment, cwd: Path) -> dict[str, str]:
    """Values that may be in nothing that is packed, by their names: those of both secret files."""
    found = {name: environment.variables[name] for name in environment.secret}
    name = source.manifest.secret_runtime_env_file
    is_elsewhere = name and source.secrets != source.manifest.folder and (source.secrets / name).is_file()
    file = source.secrets / name if is_elsewhere else None
    try:
        runtime = environment_of(source.manifest, os.environ, cwd=cwd, env_file=file, with_identity=True)
    except ManifestError:  # it is not needed here
        return found
    return found | {name: runtime.variables[name] for name in runtime.secret if name in runtime.variables}


def _without_leaks(archive: Path, secrets: Mapping[str, str]) -> Iterator[str]:
    mask = Mask(secrets.values())  # the value may be in the file's name
    found = [(one_line(mask(file)), name) for file, name in leaks_in_archive(archive, secrets)]
    _refuse_leaks([(file, name) for file, name in found if len(secrets[name]) >= CERTAIN])
    for file, name in found:
        yield f"{file} holds the value of the secret {name}, or a word like it"


def _refuse_leaks(found: list[tuple[str, str]]) -> None:
    if found:
        places = ", ".join(f"{file} holds the value of {name}" for file, name in found[:_MOST_NAMED])
        raise BuildError(f"a secret would be packed: {places}: take it out, and read it from the environment")


def _put(made: Path, target: Path) -> tuple[int, str]:
    """Move the file to its place, whole or not at all; its size, and its SHA-256."""
    with made.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    number, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(number, "wb") as out, made.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1024 * 1024)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o755 & ~_umask())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return target.stat().st_size, digest


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextmanager
def _told_in_words() -> Iterator[None]:
    """What the system refuses, as a `BuildError`."""
    try:
        yield
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        remedy = " (TMPDIR says where work is done)" if error.errno == errno.ENOSPC else ""
        raise BuildError(f"{what}{error.strerror or error}{remedy}") from None
    except KeyboardInterrupt:
        raise BuildError("interrupted: nothing was written") from None
