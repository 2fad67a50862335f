"""Lines of requirements files where there is no network: what they name is in a folder of wheels."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from pyjob.requirements.line import Line
from pyjob.requirements.requirement import LineError, shown

_AT_URL = re.compile(
    r"(?:(?:-e|--editable)(?:\s+|=))?(?:(?P<name>[A-Za-z0-9][-._A-Za-z0-9]*\s*(?:\[[^]]*\])?)\s*@\s*)?"
    r"(?P<url>(?:[a-z]+\+)?(?!file:)[a-z]+://\S+)(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9][-._A-Za-z0-9]*(\[[^]]*\])?)")


_INCLUDED = re.compile(r"(-r|-c|--requirement|--constraint)[\s=]*[a-z]+://", re.IGNORECASE)


def by_name(text: str) -> str:
    """A line that asks for something at a URL as one that asks for it by its name.

    Raises `LineError` where it has none, and for a file elsewhere that is included.
    """
    if _INCLUDED.match(text):
        raise LineError("a file: there is no network", "a URL")
    match = _AT_URL.fullmatch(text)
    if match is None:
        return text
    egg, (wheel, version) = _EGG.search(match["url"]), _wheel_at(match["url"])
    name = (match["name"] or (egg[1] if egg else wheel)).strip()
    if not name:
        raise LineError("a name for what is at the URL (NAME @ URL): there is no network", shown(text))
    return f"{name}=={version}{match['rest']}" if version else f"{name}{match['rest']}"


def needs_network(line: Line) -> bool:
    """Whether a line is about indexes or pages elsewhere, and asks for nothing."""
    options = line.options
    pages = [link for link in options.find_links or () if is_elsewhere(link)]
    return not line.requirements and bool(options.index_url or options.extra_index_url or pages)


def is_elsewhere(text: str) -> bool:
    """Whether it has a URL of what is not on this machine."""
    return "://" in text.replace("file://", "")


def _wheel_at(url: str) -> tuple[str, str]:
    """Name and version of a wheel at ``url``, empty where it is none."""
    file = PurePosixPath(unquote(urlsplit(url).path))
    parts = file.stem.split("-")
    return (parts[0], parts[1]) if file.suffix == ".whl" and len(parts) >= 5 else ("", "")
