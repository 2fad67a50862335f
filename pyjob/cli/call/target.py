"""Whom `pyjob call` calls: a URL, as far as people write it out, or a job on the disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from pyjob.cli.call.items import UsageError
from pyjob.openapi.document import CALLS

DEFAULT_ENDPOINT = "/perform"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Without a scheme: `localhost`, a name with a dot, an address in brackets, or any with a port.
_HOST = re.compile(
    r"(localhost|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+|\[[0-9A-Fa-f:.]+\])(:\d*)?([/?].*)?"
    r"|[A-Za-z0-9.-]*:\d+([/?].*)?"
)
_FILE = re.compile(r".*\.(py|ya?ml)")
# Where the platform has a job, whatever stands before (SPEC 4.1).
_JOB = re.compile(r"(.*?/pub/(?:job|fatman)/[^/]+/[^/]+)(/.*)?")
_PART_OF_JOB = re.compile(r".*?/pub/(?P<kind>job|fatman)(?:/(?P<name>[^/]*))?/?")
# What stays as it is in a path; a percent sign stands before two digits already.
_SAFE = "/%:@!$&'()*+,;=~"


@dataclass(frozen=True)
class Address:
    """An endpoint on the network: the ``base`` URL of its job, and the ``path`` below it, quoted.

    ``query`` is what the command line has of it, as it is.
    """

    base: str
    path: str
    query: str = ""


@dataclass(frozen=True)
class JobOnDisk:
    """An endpoint of a job that is to be loaded: its folder, manifest or file, and the path."""

    file: Path
    path: str
    query: str = ""


def target_of(text: str, endpoint: str | None) -> Address | JobOnDisk:
    """Read URL or folder, and the endpoint, if one is given. Raises `UsageError`."""
    path, query = _parted(DEFAULT_ENDPOINT if endpoint is None else endpoint)
    scheme = _SCHEME.match(text)
    if scheme is not None and scheme[1].lower() not in ("http", "https"):
        raise UsageError(f"{scheme[1]}://: expected http:// or https://")
    if scheme is None and not text.startswith(":"):
        if text and Path(text).exists():
            return JobOnDisk(Path(text), path, query)
        if _FILE.fullmatch(text) or not _HOST.fullmatch(text):
            raise UsageError(f"{text!a}: no such folder or file; a server is http://HOST, HOST:PORT or :PORT")
    url = text if scheme else f"http://{'localhost' if text.startswith(':') else ''}{text}"
    return _address(url, None if endpoint is None else (path, query))


def _address(url: str, endpoint: tuple[str, str] | None) -> Address:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_host = False
    if not has_host or any(char.isspace() or not char.isprintable() for char in url):
        raise UsageError("expected a URL such as http://localhost:7000, a host with its port, or a folder")
    if parts.username is not None or parts.password is not None:
        raise UsageError("no name or password in a URL, where others see it: --token-file has the token")
    root = f"{parts.scheme}://{parts.netloc}"
    path = quote(parts.path, safe=_SAFE)
    if (part := _PART_OF_JOB.fullmatch(path)) is not None:
        what = f"version of {part['name']}" if part["name"] else "job"
        raise UsageError(f"the URL names no {what}: expected .../pub/{part['kind']}/NAME/VERSION")
    if endpoint is not None:
        if parts.query:
            raise UsageError("the URL has a query: put it behind the endpoint, or write name==value")
        return Address(root + path.rstrip("/"), *endpoint)
    prefix, rest = _divided(path)
    return Address(root + prefix, rest, parts.query)


def _divided(path: str) -> tuple[str, str]:
    """Where the job is, and the path of its endpoint; the default one where there is none."""
    job = _JOB.fullmatch(path)
    if job is not None:
        prefix, rest = job[1], job[2] or ""
    elif (start := path.find(f"{CALLS}/")) >= 0:
        prefix, rest = path[:start], path[start:]
    elif path.endswith("/"):  # where a proxy has it
        prefix, rest = path.rstrip("/"), ""
    else:
        prefix, rest = "", path
    return prefix, rest if rest not in ("", "/") else DEFAULT_ENDPOINT


def _parted(endpoint: str) -> tuple[str, str]:
    path, _, query = endpoint.partition("#")[0].partition("?")
    try:
        return quote(path, safe=_SAFE), quote(query, safe=f"{_SAFE}?")
    except UnicodeEncodeError:
        raise UsageError(f"{endpoint!a}: expected UTF-8") from None
