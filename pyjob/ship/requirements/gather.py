"""The wheels of a job, of pyjob and of all that they need, gathered by pip."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pyjob.errors import BuildError, one_line
from pyjob.ship.package import normalized
from pyjob.ship.requirements.handover import write_privately
from pyjob.ship.requirements.pip import run_pip, settings
from pyjob.ship.requirements.prepared import Prepared
from pyjob.ship.requirements.reason import is_about, is_conflict_of, is_silent, reason_of

OWN = "pyjob"
_ASKED, _FIXED, _RUNTIME = "pyjob.txt", "fixed.txt", "runtime"
_MOST_LINES = 5000
_WAY_OUT = "(check_requirements: false packs them as they are)"
_STEP = re.compile(
    r"\s*(?P<step>(Collecting|Processing|Downloading|Cloning|Preparing metadata|Building wheel for"
    r"|Installing build dependencies)\b.*?)( \(from .*| to .*|: started)?"
)


def gather(
    prepared: Prepared,
    destination: Path,
    *,
    runtime: Path,
    log: Path,
    extras: Sequence[str] = (),
    report: Callable[[str], None],
) -> list[Path]:
    """Fill ``destination``, a new folder, with the wheels of a job, of pyjob and of what they stand on.

    ``runtime`` is a folder with wheels of pyjob and of what it stands on, with ``extras``; these are used
    wherever the job does not ask for others. What pip prints gets into ``log``, and ``report`` is told each
    step, both without secrets. Raises `BuildError` with pip's reason.
    """
    wheels = sorted(runtime.glob("*.whl"))
    try:
        destination.mkdir(exist_ok=True)
        if prepared.file is None:
            _add(wheels, destination)
        else:
            _Gathering(prepared, destination, runtime, log, report).gather(wheels, extras)
    except OSError as error:
        raise BuildError(f"the requirements cannot be gathered: {error}") from None
    return sorted(destination.glob("*.whl"))


def distribution(wheel: Path) -> str:
    """The name of what is in a wheel, normalized."""
    return normalized(wheel.name.partition("-")[0])


def _identity(wheel: Path) -> tuple[str, str]:
    """Name and version of what is in a wheel."""
    return distribution(wheel), "".join(wheel.name.split("-")[1:2])


class _PipError(BuildError):
    """pip failed; ``said`` is what it told."""

    def __init__(self, message: str, said: Sequence[str]) -> None:
        super().__init__(message)
        self.said = said


class _Gathering:
    """Runs pip, once or twice."""

    def __init__(
        self, prepared: Prepared, destination: Path, runtime: Path, log: Path, report: Callable[[str], None]
    ) -> None:
        self._prepared = prepared
        self._destination = destination
        self._runtime = runtime.resolve()
        self._log = log
        self._report = report

    def gather(self, wheels: Sequence[Path], extras: Sequence[str]) -> None:
        """Gather what the job asks for and pyjob; ``wheels`` are those of the runtime."""
        own = next(wheel for wheel in wheels if distribution(wheel) == OWN)
        if not self._prepared.is_checked:
            self._run([], [self._line(own)])
            gathered = {distribution(wheel) for wheel in self._destination.glob("*.whl")}
            _add([wheel for wheel in wheels if distribution(wheel) not in gathered], self._destination)
            return
        others = [
            wheel for wheel in wheels if wheel != own and distribution(wheel) not in self._prepared.names
        ]
        try:
            self._run([self._line(own, extras)], map(self._line, others))
        except _PipError as error:
            if not is_about(error.said, map(distribution, others)):
                raise
            # The job, or what it asks for, needs others than those that are here.
            self._run([self._line(own, extras)], [])

    def _line(self, wheel: Path, extras: Sequence[str] = ()) -> str:
        """A requirement that is met by ``wheel`` alone."""
        name = f"{distribution(wheel)}[{','.join(extras)}]" if extras else distribution(wheel)
        line = f"{name} @ {wheel.resolve().as_uri()}"
        if self._prepared.has_hashes:
            line += f" --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
        return line

    def _run(self, asked: Iterable[str], fixed: Iterable[str]) -> None:
        """Have pip gather what the job asks for and ``asked``, wherever it needs them by ``fixed``."""
        # What is left, since a program that is killed may still be writing, goes with the folder around it.
        with tempfile.TemporaryDirectory(dir=self._prepared.folder, ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary)
            if self._prepared.has_hashes:  # then pip takes none from constraints
                asked, fixed = [*asked, *fixed], []
            arguments = [
                *("wheel", "--wheel-dir", str(self._destination)),
                *("--requirement", str(self._prepared.file)),
                *("--requirement", _written(folder / _ASKED, asked)),
                *("--constraint", _written(folder / _FIXED, fixed)),
            ]
            code, said = self._heard(arguments, folder, self._report)
            details: Sequence[str] = ()
            if code and self._prepared.wheelhouse is None and is_silent(said):
                _, details = self._heard([*arguments, "-vv"], folder, lambda _: None)
        if code:
            reason = reason_of(said, details, self._prepared.wheelhouse)
            if self._prepared.is_checked and is_conflict_of(said, OWN):
                reason += f" {_WAY_OUT}"
            raise _PipError(f"pip cannot gather the requirements: {reason} (its output: {self._log})", said)

    def _heard(
        self, arguments: Sequence[str], folder: Path, report: Callable[[str], None]
    ) -> tuple[int, Sequence[str]]:
        """Run pip; its exit code, and the last of what it prints, as others may read it."""
        said = deque[str](maxlen=_MOST_LINES)
        with self._log.open("a", encoding="utf-8") as log:

            def hear(line: str) -> None:
                told = self._told(line, folder)
                said.append(told)
                log.write(f"{told}\n")
                if (step := _STEP.fullmatch(told)) and "finished with" not in told:
                    report(step["step"])

            code = run_pip(arguments, cwd=self._prepared.cwd, variables=self._variables(folder), hear=hear)
        return code, tuple(said)

    def _variables(self, folder: Path) -> dict[str, str]:
        variables = settings(
            self._prepared.variables, temporary=folder, without_cache=self._prepared.is_secret
        )
        if self._prepared.wheelhouse is not None:
            # As variables, they hold for every pip that pip starts, and in place of those of pip's files.
            links = (self._prepared.wheelhouse, self._others(self._prepared.wheelhouse, folder))
            variables["PIP_FIND_LINKS"] = " ".join(one.resolve().as_uri() for one in links)
            variables["PIP_NO_INDEX"] = "1"
        return variables

    def _others(self, wheelhouse: Path, folder: Path) -> Path:
        """A folder of those wheels of the runtime that ``wheelhouse`` does not have.

        Of two that are the same version, pip takes one by where they are, and knows the hash of one at most.
        """
        others = folder / _RUNTIME
        others.mkdir(exist_ok=True)
        there = {_identity(wheel) for wheel in wheelhouse.glob("*.whl")}
        for wheel in () if self._prepared.has_hashes else self._runtime.glob("*.whl"):
            if _identity(wheel) not in there and not (others / wheel.name).exists():
                (others / wheel.name).symlink_to(wheel)
        return others

    def _told(self, line: str, folder: Path) -> str:
        """A line of pip's as others may read it: without secrets, and with names that they know."""
        own = {str(folder / _ASKED): "pyjob", str(folder / _FIXED): "pyjob"}
        runtimes = (self._runtime, folder / _RUNTIME)
        wheels = {f"{shown}/": "" for one in runtimes for shown in (one.resolve().as_uri(), one)}
        for path, shown in {**self._prepared.shown, **own, **wheels}.items():
            line = line.replace(path, shown)
        return one_line(self._prepared.mask(line))


def _written(file: Path, lines: Iterable[str]) -> str:
    write_privately(file, "".join(f"{line}\n" for line in lines))
    return str(file)


def _add(wheels: Iterable[Path], destination: Path) -> None:
    for wheel in wheels:
        shutil.copy(wheel, destination)
