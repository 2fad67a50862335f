"""What is told of an answer that is no result: its status, what the server says, and what to do."""

from __future__ import annotations

import difflib
import html
import json
import re
from collections.abc import Collection
from http import HTTPStatus
from http.client import HTTPMessage

from pyjob.cli.call.answers.output import MediaType
from pyjob.cli.call.answers.terminal import harmless, json_shown
from pyjob.cli.call.items import Item, Kind
from pyjob.errors import one_line

# Of the body; an error page may have any length.
LONGEST_READ = 64 * 1024
LONGEST_TOLD = 2000
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)


def phrase(status: int) -> str:
    """``400 Bad Request``."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def told(status: int, headers: HTTPMessage, body: bytes, items: Collection[Item]) -> str:
    """An answer of 300 and more as lines for people: nothing of it can do harm to a terminal.

    ``items`` are those that were sent: some of what is wrong with them can be told better here.
    """
    media = MediaType(headers.get("Content-Type") or "")
    message, details = _message(media, body)
    lines = [f"answered {phrase(status)}{f': {message}' if message else ''}", *details]
    remedies = _remedies(status, headers, sends_body=any(item.is_in_body for item in items))
    return "\n".join([*lines, *remedies, *hints(message, items)])


def hints(message: str, items: Collection[Item]) -> list[str]:
    """What to write in place of ``items`` that were sent as something else than they were meant."""
    found = []
    missing, unexpected = _named("missing", message), _named("unexpected", message)
    given = {item.name for item in items if item.kind is not Kind.HEADER}
    free = _named("expected", message) - given - {"none"}  # as it says where nothing is expected
    for item in items:
        name = item.name
        if name in unexpected:
            near = difflib.get_close_matches(name, sorted(free), n=1)
            found += [f"{name}: did you mean {near[0]}?"] if near else []
        elif item.kind is Kind.TEXT and _is_json(item.value) and _has_wrong_type(name, message):
            found.append(f"{name}= sends text; {name}:={item.value} sends JSON")
        elif item.kind is Kind.HEADER and name in missing:
            found.append(f"{name}: sends a header; {name}=text and {name}:=json are arguments")
        elif item.kind is Kind.QUERY and name in missing:
            found.append(f"{name}== goes into the query; {name}= and {name}:= into the body")
    return found


def _named(what: str, message: str) -> set[str]:
    """Of `missing argument: x; unexpected arguments: y, z; expected: x, a (optional)`, one of the lists."""
    names = re.search(rf"(?:^|; ){what}(?: arguments?)?: ([^;]*)", message)
    return set(re.sub(r" \([^)]*\)", "", names[1]).split(", ")) if names else set()


def _has_wrong_type(name: str, message: str) -> bool:
    """Whether it says `x: expected float, got "5"` or `x[2]: expected ...` of the argument ``name``."""
    return re.search(rf"(?:^|; ){re.escape(name)}(?:[.\[][^ ]*)?: expected ", message) is not None


def _message(media: MediaType, body: bytes) -> tuple[str, list[str]]:
    """What ``body`` says in one line, and the rest of it where that is not all."""
    text = media.decode(body).strip()
    if media.is_json:
        try:
            error = json.loads(text)
        except (ValueError, RecursionError):
            error = None
        if isinstance(error, dict) and isinstance(error.get("error"), str):
            kind = f" ({error['type']})" if isinstance(error.get("type"), str) else ""
            message = _cut(one_line(f"{error['error']}{kind}"))
            return message, [] if error.keys() <= {"error", "type"} else [
                _cut(json_shown(text, coloured=False))
            ]
        if error is not None:
            return "", [_cut(json_shown(text, coloured=False))]
    if media.name == "text/html":
        title = _TITLE.search(text)
        words = " ".join(html.unescape(title[1]).split()) if title else ""
        return f"a page of HTML{f', {_cut(one_line(words))}' if words else ''}", []
    if not media.is_text:
        return "", [f"({len(body)} bytes of {harmless(media.name) or 'no known type'})"] if body else []
    return ("", [_cut(harmless(text))]) if "\n" in text else (_cut(one_line(text)), [])


def _remedies(status: int, headers: HTTPMessage, *, sends_body: bool) -> list[str]:
    if 300 <= status < 400 and headers.get("Location"):
        return [f"it leads to {_cut(one_line(headers['Location']))}, which is not followed"]
    if status == 401:
        return ["a token is sent by --token-file FILE, or where PYJOB_TOKEN has it"]
    if status == 405 and headers.get("Allow"):
        return [_right_method(one_line(headers["Allow"][:100]), sends_body=sends_body)]
    after = headers.get("Retry-After") or ""
    if status in (429, 503) and after.isascii() and after.isdigit():
        return [f"try again after {after[:9]} s"]
    return []


def _right_method(allowed: str, *, sends_body: bool) -> str:
    methods = [name.strip() for name in allowed.split(",")]
    if "POST" in methods:
        remedy = "leave -X out"
    elif "GET" in methods:
        remedy = "-X GET, with name==value for arguments" if sends_body else "-X GET"
    else:
        remedy = f"-X {methods[0]}"
    return f"the endpoint takes {allowed}: {remedy}"


def _is_json(text: str) -> bool:
    """Whether ``text`` would be another value as JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]} ..."
