"""What git knows of files: which are in a repository, and which may not get there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from pyjob.git.command import GitError, run_git, settings_of


class WorkTree:
    """The work tree of a git repository; ``root`` has no links in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def around(cls, folder: Path) -> WorkTree | None:
        """The work tree that ``folder`` is in, if any. Raises `GitError` where git does not tell."""
        places = [place for place in (folder, *folder.parents) if os.path.lexists(place / ".git")]
        if not places:
            return None
        ended = run_git(folder, "rev-parse", "--is-inside-work-tree", "--show-toplevel")
        answer = os.fsdecode(ended.stdout)
        if ended.returncode == 0 and answer.startswith("true\n"):
            root = Path(answer.removeprefix("true\n").removesuffix("\n"))
            # As git spells it, which is not as we do where upper and lower case are the same.
            return cls(root) if folder.is_relative_to(root) else None
        if b"dubious ownership" in ended.stderr:
            trust = f"git config --global --add safe.directory {shlex.quote(str(places[0]))}"
            raise GitError(
                "git does not trust this repository, which belongs to somebody else", f"if you do: {trust}"
            )
        return None

    def tracked(self, paths: Iterable[Path]) -> set[Path]:
        """Those of ``paths`` that git tracks; of folders, those in which it tracks anything."""
        names = {path: name for path in paths if (name := self._name(path))}
        if not names:
            return set()
        answer = self._ask("--literal-pathspecs", "ls-files", "-z", "--", *sorted(set(names.values())))
        known = set(answer)
        for name in answer:
            while name := name.rpartition("/")[0]:
                if name in known:
                    break
                known.add(name)
        return {path for path, name in names.items() if name in known}

    def ignored(self, paths: Iterable[Path]) -> set[Path]:
        """Those of ``paths`` that git ignores; what it tracks is never among them."""
        names = {path: name for path in paths if (name := self._name(path))}
        if not names:
            return set()
        # With "./", a name cannot begin with what has a meaning for git.
        data = "".join(f"./{name}\0" for name in names.values())
        known = set(self._ask("check-ignore", "-z", "--stdin", given=os.fsencode(data)))
        return {path for path, name in names.items() if f"./{name}" in known}

    def holds(self, path: Path) -> bool:
        """Whether ``path`` is one of this repository's, and not of another one inside or outside of it."""
        return bool(self._name(path))

    def files(self, folder: Path) -> list[Path]:
        """The files below ``folder``, or the one that it is, that git tracks; of a submodule, its folder."""
        return self._paths("ls-files", "-z", "--", self._spec(folder))

    def untracked(self, folder: Path) -> list[Path]:
        """The files below ``folder`` that git neither tracks nor ignores."""
        return self._paths("ls-files", "-z", "--others", "--exclude-standard", "--", self._spec(folder))

    def ignored_below(self, folder: Path) -> list[Path]:
        """Files below ``folder`` that git ignores; where it ignores a whole folder, that one."""
        options = ("-z", "--others", "--ignored", "--exclude-standard", "--directory")
        return self._paths("ls-files", *options, "--", self._spec(folder))

    def changed(self, folder: Path) -> list[Path]:
        """The files below ``folder`` that differ from what the last commit has; all, where there is none."""
        if not self.commit():
            return self.files(folder)
        options = ("--no-ext-diff", "--no-textconv", "--name-only", "--no-renames", "-z")
        spec = self._spec(folder)
        return self._paths("diff", *options, "HEAD", "--", spec, variables=self._without_filters())

    def commit(self) -> tuple[str, int] | None:
        """The last commit: its id, and its time in seconds since 1970; None where there is none yet."""
        ended = run_git(self.root, "log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD")
        words = ended.stdout.decode().split()
        return (words[0], int(words[1])) if ended.returncode == 0 and len(words) == 2 else None

    def remotes(self) -> list[str]:
        """The URLs of its remotes."""
        pairs = self._ask("config", "-z", "--get-regexp", r"^remote\..*\.url$")
        return [pair.partition("\n")[2] for pair in pairs]

    def _spec(self, folder: Path) -> str:
        return os.path.relpath(folder.parent.resolve() / folder.name, self.root)

    def _paths(self, *arguments: str, variables: Mapping[str, str] | None = None) -> list[Path]:
        found = self._ask("--literal-pathspecs", *arguments, variables=variables)
        return [self.root / name for name in found]

    def _without_filters(self) -> dict[str, str]:
        """Variables by which git runs none of the filters that this repository's own configuration has."""
        answer = self._ask("config", "-z", "--show-scope", "--name-only", "--get-regexp", r"^filter\.")
        scopes = zip(answer[::2], answer[1::2], strict=True)
        names = {key.rpartition(".")[0] for scope, key in scopes if scope in ("local", "worktree")}
        none = {"clean": "", "process": "", "required": "false"}
        return settings_of({f"{name}.{key}": value for name in names for key, value in none.items()})

    def _name(self, path: Path) -> str:
        """``path`` as git calls it, empty where git would refuse it."""
        try:
            place = path.parent.resolve() / path.name  # git does not follow links
        except (OSError, RuntimeError):
            return ""
        if place == self.root or not place.is_relative_to(self.root):
            return ""
        inner = place.relative_to(self.root)
        above = (self.root / parent for parent in inner.parents if parent != Path())
        if ".git" in inner.parts or any(os.path.lexists(parent / ".git") for parent in above):
            return ""
        return str(inner)

    def _ask(
        self, *arguments: str, given: bytes = b"", variables: Mapping[str, str] | None = None
    ) -> list[str]:
        ended = run_git(self.root, *arguments, given=given, variables=variables)
        if ended.returncode not in (0, 1):  # 1: nothing was found
            reason = os.fsdecode(ended.stderr).strip().partition("\n")[0]
            command = next(word for word in arguments if not word.startswith("-"))
            raise GitError(f"git {command} failed: {reason[:200]}")
        return [part for part in os.fsdecode(ended.stdout).split("\0") if part]
