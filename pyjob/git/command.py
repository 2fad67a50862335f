"""Running git, tamed: nothing that a repository's configuration names is run, and nobody is asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 10.0
# A repository's own configuration must not make git run anything.
_TAMED = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager")
_TAMED_BY = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
# Of git's variables, those that do not name a repository: inside a hook, others do.
_KEPT = ("GIT_CONFIG_", "GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH")


class GitError(Exception):
    """git does not answer; ``remedy`` says what to do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.remedy = remedy


def run_git(
    folder: Path,
    *arguments: str,
    given: bytes = b"",
    protocols: str = "none",
    patience: float = PATIENCE,
    variables: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """What ``git ARGUMENTS`` in ``folder`` answers to ``given``, within ``patience`` seconds.

    ``protocols``: by which it may reach other repositories, such as ``https:ssh``. ``variables`` are added to
    its environment. Raises `GitError` where it does not answer.
    """
    command: Sequence[str] = ("git", *_TAMED, "-C", str(folder), *arguments)
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    try:
        return subprocess.run(  # nosec B603 # a list of words, without a shell
            command,
            input=given,
            capture_output=True,
            timeout=patience,
            env={**inherited, **_TAMED_BY, "GIT_ALLOW_PROTOCOL": protocols, **(variables or {})},
            check=False,
        )
    except FileNotFoundError:
        raise GitError("git is not installed here", "install git") from None
    except subprocess.TimeoutExpired:
        raise GitError(f"git did not answer within {patience:g} s") from None
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from None


def settings_of(values: Mapping[str, str]) -> dict[str, str]:
    """Variables that set ``values`` of git's configuration, whatever is in their names, over all others."""
    count = os.environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(values))}
    for number, (name, value) in enumerate(values.items(), first):
        variables |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return variables
