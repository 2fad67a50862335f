"""pip in a process of its own: heard line by line, and ended with everything that it started."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pyjob.errors import BuildError

_PATIENCE = 5.0  # for processes that are told to end
# Settings under which pip would do something else than what is asked here, or write what nobody masks.
_NOT_OURS = (
    *("PIP_DRY_RUN", "PIP_EDITABLE", "PIP_LOG", "PIP_LOG_FILE", "PIP_NO_CLEAN"),
    *("PIP_NO_DEPENDENCIES", "PIP_NO_DEPS", "PIP_PREFIX", "PIP_PYTHON", "PIP_QUIET", "PIP_REPORT"),
    *("PIP_REQUIREMENT", "PIP_ROOT", "PIP_SRC", "PIP_TARGET", "PIP_USER", "PIP_WHEEL_DIR"),
)
# What builds wheels dates their files by it, so that the same sources make the same wheel: zip's earliest.
_DATE = {"SOURCE_DATE_EPOCH": "315532800"}
_OURS = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_COLOR": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PYTHONUNBUFFERED": "1",
    "LC_ALL": "C.UTF-8",
}


def settings(environ: Mapping[str, str], *, temporary: Path, without_cache: bool) -> dict[str, str]:
    """The environment of pip: ``environ``, but for what must not be in force here.

    ``temporary``: its folder for what it unpacks and builds.
    """
    variables = {name: value for name, value in (_DATE | dict(environ)).items() if name not in _NOT_OURS}
    variables |= {**_OURS, "TMPDIR": str(temporary)}
    if "@" in variables.get("PIP_PROXY", ""):  # it has a login, which pip gives to every pip that it starts
        variables |= dict.fromkeys(("http_proxy", "https_proxy"), variables.pop("PIP_PROXY"))
    if without_cache:
        variables["PIP_NO_CACHE_DIR"] = "1"
        variables.pop("PIP_CACHE_DIR", None)
    return variables


def run_pip(
    arguments: Sequence[str], *, cwd: Path, variables: Mapping[str, str], hear: Callable[[str], None]
) -> int:
    """Run ``pip ARGUMENTS`` to its end, and return its exit code; ``hear`` is told every line that it prints.

    Whatever ends the wait, pip and all that it has started end, too. Raises `BuildError` where this Python
    has no pip.
    """
    if importlib.util.find_spec("pip") is None:
        remedy = f"run `{sys.executable} -m ensurepip`, or install pip with the system's packages"
        raise BuildError(f"{sys.executable} has no pip, which gathers the requirements: {remedy}")
    # -P: a module of the job is none of pip's.
    command = [sys.executable, "-P", "-m", "pip", *arguments]
    with subprocess.Popen(  # nosec B603 # a list of words, without a shell
        command,
        cwd=cwd,
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a group, which a terminal does not interrupt by itself
    ) as process:
        try:
            for line in process.stdout or ():
                hear(line.rstrip())
            return process.wait()
        except BaseException:
            _end_group(process)
            raise


def _end_group(process: subprocess.Popen[str]) -> None:
    """End a process with all that it has started, whoever interrupts that, too."""
    try:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
