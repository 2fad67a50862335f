"""Requirements files written again, in a folder that is private."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pyjob.requirements.files import RequirementsFile, RequirementsFiles, include_of
from pyjob.requirements.line import Line
from pyjob.ship.requirements.handover import write_privately

# What a line becomes; nothing where it is left out.
LineText = Callable[[RequirementsFile, Line], str]


class Copies:
    """Writes every file that was read as one of the same name, in a folder of its own."""

    def __init__(self, files: RequirementsFiles | None, folder: Path, text_of: LineText) -> None:
        self._files: Sequence[RequirementsFile] = files.read if files else ()
        self._text_of = text_of
        self._copies = {
            (one.file, one.constrains): folder / str(number) / one.file.name
            for number, one in enumerate(self._files)
        }
        self._included: set[Path] = set()

    @property
    def shown(self) -> dict[str, str]:
        """Names of the files, by paths of their copies."""
        return {str(self._copy_of(one)): one.shown for one in self._files}

    def write(self) -> Path | None:
        """Write them all; the copy of the first, None where there is no file."""
        if not self._files:
            return None
        first = self._copy_of(self._files[0])
        self._included = {first}
        for one in self._files:
            self._copy_of(one).parent.mkdir(mode=0o700)
            write_privately(self._copy_of(one), self._text(one))
        return first

    def _copy_of(self, file: RequirementsFile) -> Path:
        return self._copies[file.file, file.constrains]

    def _text(self, file: RequirementsFile) -> str:
        """Its lines, at the numbers by which pip will name them."""
        lines: list[str] = []
        for line in file.lines:
            lines += [""] * (line.number - 1 - len(lines))
            text = self._text_of(file, line)
            if line.options.editable and not line.asked:
                lines += map(_packed, line.options.editable)
            elif text and not line.asked and (line.includes or line.options.find_links):
                lines += self._options(file, line)
            else:
                lines.append(text)
        return "".join(f"{line}\n" for line in lines)

    def _options(self, file: RequirementsFile, line: Line) -> Iterator[str]:
        """The options of a line, one a line, with paths that lead to the same files from here."""
        for option, given in vars(line.options).items():
            name = f"--{option.replace('_', '-')}"
            if given is True:
                yield name
            for value in given if isinstance(given, list) else ():
                if option == "find_links":
                    yield f"{name} {shlex.quote(_beside(file.file, value))}"
                elif option not in ("requirement", "constraint"):
                    yield f"{name} {shlex.quote(value)}"
        for value, constrains in line.includes:
            name = "--constraint" if constrains else "--requirement"
            include = include_of(file, line, value, constrains=constrains)
            copy = self._copies.get((include.file, include.constrains)) if include else None
            if include is None:
                yield f"{name} {shlex.quote(value)}"
            elif copy is not None and copy not in self._included:
                # Each once: pip would go round in a circle where files include each other.
                self._included.add(copy)
                yield f"{name} {shlex.quote(str(copy))}"


def _packed(editable: str) -> str:
    """What was to be worked on where it is, as something to be packed as it is now."""
    is_plain = "://" not in editable and not editable.startswith((".", "/"))
    return f"./{editable}" if is_plain else editable  # by a mere name, pip would ask an index for it


def _beside(file: Path, link: str) -> str:
    """A folder of wheels as pip finds it: beside the file, else from where it works."""
    path = os.path.join(file.parent, link)  # noqa: PTH118  as pip does, also with a URL
    return path if os.path.exists(path) else link  # noqa: PTH110
