"""Why pip failed, in one line, from what it printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyjob.ship.package import normalized

_LONGEST = 500
_MOST_FILES = 5
_FULL = "No space left on device"
_NO_MATCH = re.compile(r"ERROR: No matching distribution found for (?P<wanted>.+)")
_VERSIONS = re.compile(
    r"ERROR: Could not find a version that satisfies the requirement (?P<wanted>.*) "
    r"\(from versions: (?P<versions>.*)\)"
)
_OTHER_PYTHON = re.compile(
    r"ERROR: Ignored the following versions that require a different python version: (.+)"
)
# Of the details: where pip has looked for a distribution, and what it has found there.
_SOUGHT = re.compile(r"\d+ location\(s\) to search for versions of (?P<name>\S+):")
_LOCATION = re.compile(r"\* (?P<url>\S+)")
_NOT_THERE = re.compile(r"Could not fetch URL (?P<url>\S+): 404 Client Error")
_LINK_OF_OTHER_PYTHON = re.compile(r"Skipping link: (?P<version>\S+ Requires-Python .+?): \S+://")
_OTHER_PLATFORM = re.compile(r"none of the wheel's tags \((?P<tags>.*?)\) are compatible")
_CONFLICT = re.compile(r"The conflict is caused by:|ERROR: Cannot install .* conflicting dependencies")
_DEPENDS = re.compile(r"(?P<name>[A-Za-z0-9][-._A-Za-z0-9]*)(\[.*?\])? \S+ depends on ")
_OTHER_HASH = re.compile(r"ERROR: THESE PACKAGES DO NOT MATCH THE HASHES")
_PROGRAM = re.compile(r"[×x] (?P<what>.+?)( --?\w.*)? did not run successfully\.")
_OF_SOURCES = ("Preparing metadata", "Getting requirements", "Installing build dependencies")
_SOURCES = re.compile(r"(Collecting|Processing) (?P<name>[^\s@]+)")
_FILE = re.compile(r"^Processing (?P<path>.+?)( \(from .*)?$")
_SOURCE_FILES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")
_OUTPUT = re.compile(r"> \[\d+ lines? of output\]")
_ERROR = re.compile(r"\b(ERROR|error|fatal): (?P<text>.+)")
# Behind the last one, a traceback ends with what does.
_SAYS_NOTHING = (
    "subprocess-exited-with-error",
    "metadata-generation-failed",
    "Failed to build",
    "Exception:",
)
# The line before says more, where there is one.
_SAYS_LITTLE = "Could not read from remote repository"
_HINT = re.compile(r"^Hint: (?P<text>.+?)\.?$")
_REFUSED = re.compile(r"(?P<status>401|403) Client Error: .*? for url: (?P<url>\S+)")
_NOT_REACHED = re.compile(r"WARNING: Retrying .* after connection broken by '(?P<why>\w+)")
_NO_COMPILER = re.compile(
    r"\b(cc|gcc|g\+\+|clang|c\+\+)\b.* No such file|Unknown compiler|No CMAKE_C", re.IGNORECASE
)
_NAME = re.compile(r"[A-Za-z0-9][-._A-Za-z0-9]*")


def is_about(said: Sequence[str], names: Iterable[str]) -> bool:
    """Whether distributions do not fit each other, one of ``names`` (normalized) among them."""
    told = _of_conflict(said) or _of_no_match(said, (), None)
    words = {normalized(word.rstrip(".")) for word in _NAME.findall(told)}
    return not words.isdisjoint(names)


def is_conflict_of(said: Sequence[str], name: str) -> bool:
    """Whether what the distribution ``name`` (normalized) depends on does not fit something else."""
    found = (match for cause in _causes(said) if (match := _DEPENDS.match(cause)))
    return any(normalized(match["name"]) == name for match in found)


def is_silent(said: Sequence[str]) -> bool:
    """Whether pip says that an index has nothing, and not why: it says more where it is asked to."""
    versions = _last(_VERSIONS, said)
    return versions is not None and versions["versions"] == "none" and _last(_NOT_REACHED, said) is None


def reason_of(said: Sequence[str], details: Sequence[str], wheelhouse: Path | None) -> str:
    """What pip's lines come to; ``details`` are more of them. ``wheelhouse`` may have files for others."""
    if any(_FULL in line for line in said):
        return f"{_FULL} (TMPDIR names another folder for what is temporary)"
    told = _of_conflict(said) or _of_source(said, wheelhouse) or _of_no_match(said, details, wheelhouse)
    told = told or _of_program(said) or _of_hash(said) or _of_error(said)
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 3]}..."


def _of_conflict(said: Sequence[str]) -> str:
    if not any("ERROR: ResolutionImpossible" in line for line in said):
        return ""
    return f"ResolutionImpossible: {'; '.join(_causes(said))}"


def _causes(said: Sequence[str]) -> list[str]:
    """What does not fit what."""
    start = max((at for at, line in enumerate(said) if _CONFLICT.search(line)), default=len(said))
    causes: list[str] = []
    for line in said[start + 1 :]:
        if line.startswith("    "):
            causes.append(line.strip())
        elif causes:
            break
    return causes


def _of_source(said: Sequence[str], wheelhouse: Path | None) -> str:
    """A source that the wheelhouse has nothing to build with."""
    file, match = _last(_FILE, said), _last(_NO_MATCH, _output(said))
    if wheelhouse is None or file is None or match is None:
        return ""
    path = file["path"]
    name = Path(path).name if path.endswith(_SOURCE_FILES) else path
    return (
        f"{name} is there as source only, and {match['wanted']}, which builds it, is not in the wheelhouse: "
        f"have a wheel of it there (`pip wheel {name}` makes one)"
    )


def _of_no_match(said: Sequence[str], details: Sequence[str], wheelhouse: Path | None) -> str:
    match = _last(_NO_MATCH, said)
    if match is None:
        return ""
    match = _last(_VERSIONS, said) or match  # which knows, too, who wants it
    told = f"no matching distribution found for {match['wanted']}"
    name = _NAME.match(match["wanted"])
    there = _whats_there(said, _about(name[0], details) if name else details)
    return f"{told}{there or _whats_in(wheelhouse, match['wanted'])}"


def _about(name: str, details: Sequence[str]) -> Sequence[str]:
    """Of pip's details, those about a distribution: the others have versions and platforms, too."""
    for at in range(len(details) - 1, -1, -1):
        sought = _SOUGHT.search(details[at])
        if sought and normalized(sought["name"]) == normalized(name):
            return details[at:]
    return details


def _whats_there(said: Sequence[str], details: Sequence[str]) -> str:
    """Why what an index has is no match."""
    versions = _last(_VERSIONS, said)
    if versions is not None and versions["versions"] not in ("", "none"):
        return f" (there are {versions['versions']})"
    if refused := _last(_REFUSED, details):
        return f": {_refusal(refused)}"
    if others := _for_other_pythons(said, details):
        return f" for this Python (there are {others})"
    tags = dict.fromkeys(match["tags"] for line in details if (match := _OTHER_PLATFORM.search(line)))
    if tags:
        return f" for this platform (there are wheels for {', '.join(list(tags)[:_MOST_FILES])})"
    if broken := _last(_NOT_REACHED, said):
        return f": the index cannot be reached ({broken['why']})"
    asked = {match["url"] for line in details if (match := _LOCATION.fullmatch(line))}
    missing = [match["url"] for line in details if (match := _NOT_THERE.search(line))]
    if asked and asked.issubset(missing):
        return f": the index has no package of that name (404 for {missing[-1]})"
    return ""


def _for_other_pythons(said: Sequence[str], details: Sequence[str]) -> str:
    if details:  # without them, pip does not tell of what the versions are
        links = (match for line in details if (match := _LINK_OF_OTHER_PYTHON.search(line)))
        return "; ".join(dict.fromkeys(match["version"] for match in links))
    others = _last(_OTHER_PYTHON, said)
    return others[1] if others else ""


def _whats_in(wheelhouse: Path | None, wanted: str) -> str:
    name = _NAME.match(wanted)
    if wheelhouse is None or name is None:
        return ""
    files = sorted(file.name for file in wheelhouse.iterdir())
    there = [file for file in files if normalized(file.partition("-")[0]) == normalized(name[0])]
    shown = ", ".join(there[:_MOST_FILES])
    if there and all(file.endswith(_SOURCE_FILES) for file in there):
        return f" as a wheel (the wheelhouse has {shown}, of which `pip wheel` makes one)"
    if there:
        return f" for this platform (the wheelhouse has {shown})"
    return " in the wheelhouse"


def _refusal(match: re.Match[str]) -> str:
    what = "does not know this user and password" if match["status"] == "401" else "does not let this user in"
    return f"the server {what} ({match['status']} for {match['url'].rstrip(',')})"


def _of_program(said: Sequence[str]) -> str:
    """What a program said that pip ran."""
    program = _last(_PROGRAM, said)
    if program is None:
        return ""
    output = _output(said)
    told = (_error(output) or next(iter(output[::-1]), "")) if output else _error(said)
    if any(map(_NO_COMPILER.search, output)):
        told += " (there is no compiler: install one, or have a wheel of it)"
    what = program["what"]
    if what.startswith(_OF_SOURCES) and (sources := _last(_SOURCES, said)):
        what = f"{sources['name']}: {what}"
    return f"{what} failed: {told.strip()}"


def _output(said: Sequence[str]) -> list[str]:
    """What the last program printed, as pip repeats it; nothing where that stands between pip's own lines."""
    output: list[str] = []
    is_inside = False
    for line in said:
        if _OUTPUT.search(line):
            output, is_inside = [], True
        elif "[end of output]" in line:
            is_inside = False
        elif is_inside and line.strip():
            output.append(line)
    return output


def _of_hash(said: Sequence[str]) -> str:
    at = next((at for at, line in enumerate(said) if _OTHER_HASH.search(line)), None)
    if at is None:
        return ""
    return (
        f"another hash than in the requirements: {' '.join(line.strip() for line in said[at + 1 : at + 4])}"
    )


def _of_error(said: Sequence[str]) -> str:
    if refused := _last(_REFUSED, said):
        return _refusal(refused)
    lines = [line.strip() for line in said if line.strip()]
    told = _error(said)
    if told and (hint := _last(_HINT, said)):
        told = f"{told}. {hint['text']}"
    return told or (lines[-1] if lines else "it says nothing")


def _error(said: Sequence[str]) -> str:
    """The last error that says something."""
    errors = [match["text"] for line in said if (match := _ERROR.search(line))]
    telling = [text for text in errors if not text.startswith(_SAYS_NOTHING)]
    telling = [text for text in telling if not text.startswith(_SAYS_LITTLE)] or telling
    return telling[-1] if telling else ""


def _last(pattern: re.Pattern[str], said: Sequence[str]) -> re.Match[str] | None:
    return next((match for line in reversed(said) if (match := pattern.search(line))), None)
