"""What a caller likes, by its `Accept` headers (RFC 9110, 12.5).

By hand, since the parser of werkzeug fails on some of what callers may send.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

QUALITY = re.compile(r"[01](\.[0-9]*)?\Z")
# Of such a header, so many characters are read: more say nothing new, and strangers may send them.
LONGEST = 1000


def choices(header: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Each value of such a header, with its options and its quality: 0 where that is no number."""
    for choice in header[:LONGEST].lower().split(","):
        value, *parameters = choice.split(";")
        pairs = (parameter.partition("=") for parameter in parameters)
        options = {name.strip(): text.strip(' "') for name, _, text in pairs}
        quality = options.get("q", "1")
        yield value.strip(), options, float(quality) if QUALITY.match(quality) else 0.0


def wants_gzip(accept_encoding: str) -> bool:
    """Whether gzip is named and not refused, and plain bytes are not liked better."""
    if not accept_encoding:
        return False
    qualities = {coding: quality for coding, _, quality in choices(accept_encoding)}
    others = qualities.get("*", 0.0)
    gzip_quality = qualities.get("gzip", others)
    return gzip_quality > 0 and gzip_quality >= qualities.get("identity", others)


def wants_html(accept: str) -> bool:
    """Whether a page is named, as browsers do that go to one, and JSON is not liked better."""
    if "text/html" not in accept.lower():
        return False
    qualities = {media: quality for media, _, quality in choices(accept)}
    html = qualities.get("text/html", 0.0)
    return html > 0 and html >= qualities.get("application/json", 0.0)
