"""What is set for a job before its code is imported: where each variable comes from, and which are secret.

Precedence, low to high (SPEC 3.1): inherited environment, `runtime_env`, the secret file, what was given to
the command. Nothing here touches the process: the loader puts ``variables`` into `os.environ`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pyjob.environment.mask import LEAST, Mask
from pyjob.errors import ManifestError, Problem, Remark
from pyjob.manifest import Manifest
from pyjob.manifest.fields import RESERVED_NAMES
from pyjob.manifest.file import shown

FILE_VARIABLE = "PYJOB_RUNTIME_ENV_FILE"
SECRETS_VARIABLE = "PYJOB_SECRETS"
_ACCESS = "PYJOB_ACCESS"
_DEPLOYED = "JOB_DEPLOYMENT_TIMESTAMP"


@dataclass(frozen=True)
class Environment:
    """``variables`` are to be set; ``origins`` says where each came from.

    ``secret`` are names whose values must appear nowhere (SPEC 3.3), ``mask`` replaces these values.
    ``files`` were read, ``remarks`` are to be logged.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()
    mask: Mask = field(default_factory=Mask)
    files: tuple[Path, ...] = ()
    remarks: tuple[Remark, ...] = ()


def environment_of(
    manifest: Manifest,
    inherited: Mapping[str, str],
    *,
    cwd: Path,
    env_file: Path | None = None,
    given: Mapping[str, str] | None = None,
    with_identity: bool = False,
) -> Environment:
    """The environment of the job of ``manifest``, in a process that has inherited ``inherited``.

    ``env_file`` stands in for the manifest's secret file, as ``PYJOB_RUNTIME_ENV_FILE`` does; relative to
    ``cwd``. ``given`` wins over all. ``with_identity``: JOB_NAME and JOB_VERSION are set where they are not.
    Raises `ManifestError` for a secret file that is missing or wrong (SPEC 3.4), and where PYJOB_ACCESS is
    ``given``: it would be for the job alone, and let in everybody.
    """
    if given and _ACCESS in given:
        expected = "a variable of the job's own (a store is named by --access, in code by access=)"
        raise ManifestError("environment", [Problem(_ACCESS, expected, "one of the server's")])
    inherited = {**inherited, **(given or {})}  # what is given says which files count, too
    layers = _Layers(inherited)
    if with_identity:
        layers.add("the manifest", {"JOB_NAME": manifest.name, "JOB_VERSION": manifest.version}, keep=True)
    stands_in = environment_stands_in(inherited) and bool(manifest.secret_runtime_env_file)
    # Who says it expressly has set more than secrets: a ConfigMap of `pyjob render kubernetes`, say.
    is_set = stands_in or bool(inherited.get(SECRETS_VARIABLE))
    layers.add("runtime_env", manifest.runtime_env, keep=is_set)
    secrets = _Secrets(manifest, layers, cwd, stands_in=stands_in)
    secrets.read(_other_file(env_file, inherited, cwd))
    layers.add("given", given or {})
    values = {name: layers.now[name] for name in secrets.names if name in layers.now}
    return Environment(
        layers.variables,
        layers.origins,
        frozenset(secrets.names),
        Mask(values.values()),
        tuple(secrets.files),
        (*secrets.remarks, *remarks_of_short(values, secrets.source)),
    )


def secret_names(manifest: Manifest, cwd: Path) -> tuple[tuple[str, ...], tuple[Remark, ...]]:
    """The names that the manifest's secret runtime file sets, by its template, else by itself; never values.

    With remarks where they cannot be known. ``cwd`` is what messages call the files relative to.
    """
    if not manifest.secret_runtime_env_file:
        return (), ()
    from pyjob.environment.env_file import read_env_file

    file = manifest.folder / manifest.secret_runtime_env_file
    template = file.with_name(f"{file.name}.dist")
    for one in (template, file):
        if one.is_file():
            source = shown(one, cwd)
            try:
                return tuple(read_env_file(one, source, _AnyName()).values), ()
            except ManifestError as error:
                return (), _nothing_known(error, source)
    text = f"neither it nor {template.name} is there, so the names of the secret variables are not known"
    return (), (Remark(shown(file, cwd), text),)


def environment_stands_in(inherited: Mapping[str, str]) -> bool:
    """Whether a platform has put secrets into the environment itself (SPEC 3.4). Raises `ManifestError`."""
    chosen = inherited.get(SECRETS_VARIABLE)
    if chosen and chosen != "environment":
        problem = Problem(SECRETS_VARIABLE, '"environment", or nothing', "something else")
        raise ManifestError("environment", [problem])
    return bool(chosen or inherited.get(_DEPLOYED))


class _Layers:
    """Variables on top of each other; ``now`` is what a process would have."""

    def __init__(self, inherited: Mapping[str, str]) -> None:
        self.inherited = inherited
        self.now = dict(inherited)
        self.variables: dict[str, str] = {}
        self.origins: dict[str, str] = {}

    def add(self, origin: str, values: Mapping[str, str], *, keep: bool = False) -> None:
        """Set ``values``; with ``keep``, what was inherited is left alone."""
        for name, value in values.items():
            if keep and name in self.inherited:
                continue
            self.now[name] = self.variables[name] = value
            self.origins[name] = origin


class _Secrets:
    """The names of the job's secrets, and their values where a file has them."""

    def __init__(self, manifest: Manifest, layers: _Layers, cwd: Path, *, stands_in: bool) -> None:
        self._manifest = manifest
        self._layers = layers
        self._cwd = cwd
        self._stands_in = stands_in
        self.source = ""
        self.names: set[str] = set()
        self.files: list[Path] = []
        self.remarks: list[Remark] = []

    def read(self, other: tuple[Path, str] | None) -> None:
        """Read ``other``, or else the manifest's file, or else what stands in for it."""
        if other is not None:
            file, self.source = other
            self._take(file)
            return
        if not self._manifest.secret_runtime_env_file:
            return
        file = self._manifest.folder / self._manifest.secret_runtime_env_file
        self.source = shown(file, self._cwd)
        template = file.with_name(f"{file.name}.dist")
        if self._stands_in and template.is_file():
            self._take_names(template)
        elif self._stands_in:
            text = (
                f"there is no {template.name}, so it is not known which variables are secret: none is masked"
            )
            self.remarks.append(Remark(self.source, text))
        if os.path.lexists(file):
            self._take(file)
        elif not self._stands_in:
            raise missing_file(self._manifest, "secret_runtime_env_file")
        if self._stands_in:
            self._tell_of_unset(f"{self.source}.dist")

    def _take(self, file: Path) -> None:
        # Its patterns are compiled for jobs that have secrets.
        from pyjob.environment.env_file import read_env_file

        values = read_env_file(file, self.source, self._layers.now, reserved=RESERVED_NAMES).values
        self.names |= values.keys()
        self.files.append(file)
        self._layers.add(self.source, values, keep=self._stands_in)

    def _tell_of_unset(self, template: str) -> None:
        unset = sorted(name for name in self.names if name not in self._layers.now)
        if unset:
            text = f"{', '.join(unset)}: asked for here, but not set in the environment"
            self.remarks.append(Remark(template, text))

    def _take_names(self, template: Path) -> None:
        from pyjob.environment.env_file import read_env_file

        source = f"{self.source}.dist"
        try:
            self.names |= read_env_file(template, source, _AnyName()).values.keys()
        except ManifestError as error:
            self.remarks += _nothing_known(error, source)


def _nothing_known(error: ManifestError, source: str) -> tuple[Remark, ...]:
    return tuple(
        Remark(one.source or source, f"{one}; so it is not known what is secret", one.line)
        for one in error.problems
    )


class _AnyName(Mapping[str, str]):
    """An environment that has every name, for files of which only the names count."""

    def __getitem__(self, name: str) -> str:
        return ""

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def missing_file(manifest: Manifest, field: str) -> ManifestError:
    """The error of a secret file of the manifest that is not there; it names its template (SPEC 3.4)."""
    file = manifest.folder / getattr(manifest, field)
    template = file.with_name(f"{file.name}.dist")
    remedy = f": copy {template.name} to {file.name} and fill it in" if template.is_file() else ""
    problem = Problem(field, f"the file {getattr(manifest, field)}", f"nothing{remedy}")
    return ManifestError(manifest.source, [manifest.located(problem)])


def _other_file(env_file: Path | None, inherited: Mapping[str, str], cwd: Path) -> tuple[Path, str] | None:
    """A file that somebody names in place of the manifest's, and what to call it."""
    if env_file is not None:
        return cwd / env_file, str(env_file)
    named = inherited.get(FILE_VARIABLE)
    return (cwd / named, named) if named else None


def remarks_of_short(values: Mapping[str, str], source: str) -> Iterator[Remark]:
    """What is to be told of secrets that are too short to be masked."""
    names = sorted(name for name, value in values.items() if 0 < len(value) < LEAST)
    if names:
        yield Remark(
            source, f"{', '.join(names)}: shorter than {LEAST} characters, so not masked in logs and errors"
        )
