"""A grammar of the ways in which a path can be written to mean another one, and all that it generates.

    target  = start prefix { slash segment } end
    segment = { letter } [ parameters ]

Everything here is bytes, as they would stand in a request line.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote_from_bytes

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FROBNICATE")

# Before the path: forms of a request target (RFC 9112, 3.2), and what looks like one.
STARTS = (
    b"",
    b"http://other.example",
    b"HTTPS://other.example:1",
    b"http://user:word@other.example",
    b"http://[::1]",
    b"http://",
    b"http:",
    b"x-made.up+1:",
    b"//other.example",
    b"///other.example",
    b"/other.example",
    b"other.example",
    b"*",
    b".",
    b"..",
    b"?",
    b"#",
)
# Ways to the same resource, and what looks like one (SPEC 4.1).
PREFIXES = (
    b"",
    b"/pub/job/NAME/latest",
    b"/pub/fatman/x/1",
    b"/pub/job/NAME/latest/pub/job/NAME/latest",
    b"/pub/job/NAME/latest/pub/fatman/x/1",
    b"/pub/job/NAME",
    b"/pub/job",
    b"/pub",
    b"/pub/jobs/NAME/latest",
    b"/PUB/JOB/NAME/latest",
    b"/pub/job//latest",
    b"/pub/job/NAME/",
    b"/pub/job/../latest",
    b"/pub/job/NAME/..",
    b"/pub/job/%2e%2e/%2E%2e",
    b"/pub/job/NAME%2flatest/x",
    b"/pub/job/a%2fb",
    b"/pub%2fjob%2fNAME%2flatest",
    b"/pub/job/%252e%252e/latest",
    b"/pub/job/NAME;x=1/latest;y=2",
    b"/pub/job/%/%zz",
    b"/pub/job/live/docs",
)
# Those under which every other spelling is tried.
USUAL_PREFIXES = PREFIXES[:3]
SLASHES = (
    *(b"//", b"///", b"/./", b"/.//", b"/%2e/", b"/x/../", b"/x/%2e%2e/", b"/x/.%2E/", b"/../", b"/.../"),
    *(b"%2f", b"%2F", b"/%2f", b"%2f/", b"%252f", b"%25252F", b"%c0%af", b"%e0%80%af", b"%f0%80%80%af"),
    *(b"%ef%bc%8f", b"%e2%81%84", b"%u002f", b"%u2215", b"\\", b"/\\", b"%5c", b"%5C", b"%255c", b"\\..\\"),
    *(b"/;/", b";/", b"/..;/", b"/x/..;/", b"%3b/", b"/;x=1/", b":", b"/%20/", b"/%00/", b"/%09/", b"/%0a/"),
)
# At the end of a segment.
PARAMETERS = (b";", b";x=1", b";x=/open", b";jsessionid=1", b"%3b", b"%3Bx=1", b",x", b".", b"..", b"%20")
ENDS = (
    *(
        b"/",
        b"//",
        b"/.",
        b"/..",
        b"/./",
        b"/%2e",
        b"/%2e%2e",
        b"/..;",
        b"%2f",
        b"%2F",
        b"%2f.",
        b"\\",
        b"%5c",
    ),
    *(b".", b"..", b"%2e", b"%252e", b".json", b"%00", b"%00.json", b"%20", b"+", b"%09", b"%0a", b"%0d%0a"),
    *(b"%", b"%2", b"%zz", b"%ff", b"%c0%80", b"%ed%a0%80", b"%ef%bb%bf", b"%e2%80%8b", b"~", b"*", b"$"),
    *(
        b"?",
        b"?/open",
        b"?x=/../open",
        b"#",
        b"#/open",
        b"#?",
        b"?#",
        b"%3f",
        b"%3f/open",
        b"%23",
        b"%23/open",
    ),
    *(b"/open", b"/open/", b"/x/y", b"//x", b"/%2e%2e/open", b"/_assets/", b"/favicon.ico", b"&", b"=1"),
)
# From below an open path to another one.
UPS = (
    *(
        b"/..",
        b"/../",
        b"//..",
        b"/./..",
        b"/%2e%2e",
        b"/%2E.",
        b"/.%2e",
        b"/%252e%252e",
        b"/..;",
        b"/..;x=1",
    ),
    *(b"%2f..", b"%2F%2e%2e", b"%252f..", b"\\..", b"%5c..", b"/..%2f", b"/..%5c", b"/%c0%ae%c0%ae", b"/..."),
    *(
        b"/%u002e%u002e",
        b"/%00/..",
        b"/x/../..",
        b"/%ef%bc%8e%ef%bc%8e",
        b"?/..",
        b"#/..",
        b"/.. ",
        b"/..%20",
    ),
)
# Between an open path and another one, with no way up: whoever takes it for the latter forgets the former.
JOINTS = (b"", b";", b"%00", b"%0a", b"%20", b"?", b"#", b"@", b"%40", b",", b"&", b"|", b"%7c")
# As no client would send them: not printable, or not in ASCII.
RAW = (
    b"\x00",
    b"\x01",
    b"\t",
    b"\x0b",
    b"\x1f",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xc3\xa9",
    b"\xc0\xaf",
    b"\xef\xbc\x8f",
)

# What a proxy in front might have said, or another framework might hear; ``OPEN`` is an open path.
HEADERS = (
    *(("X-Original-URL", "OPEN"), ("X-Rewrite-URL", "OPEN"), ("X-Original-URI", "OPEN"), ("X-Path", "OPEN")),
    *(("X-Forwarded-Uri", "OPEN"), ("X-Forwarded-Path", "OPEN"), ("X-Forwarded-Prefix", "OPEN")),
    *(("X-Forwarded-Prefix", "/pub/job/NAME/latest"), ("X-Script-Name", "OPEN"), ("Script-Name", "OPEN")),
    *(("Path-Info", "OPEN"), ("Request-Uri", "OPEN"), ("Raw-Uri", "OPEN"), ("Referer", "OPEN")),
    *(("X-HTTP-Method-Override", "GET"), ("X-HTTP-Method", "OPTIONS"), ("X-Method-Override", "HEAD")),
    *(("X-Forwarded-Method", "GET"), ("X-Caller-Name", "alice"), ("X-Remote-User", "alice")),
    *(("Remote-User", "alice"), ("X-Forwarded-User", "alice"), ("X-Authenticated-User", "alice")),
    *(("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("Forwarded", "for=127.0.0.1;host=x")),
    *(("X-Forwarded-Host", "localhost"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "443")),
    *(("X-Client-Verify", "SUCCESS"), ("X-Accel-Redirect", "OPEN"), ("X-Sendfile", "OPEN")),
    *(("Destination", "OPEN"), ("Host", "localhost"), ("Host", "other.example"), ("Host", "")),
    *(("Sec-Fetch-Site", "same-origin"), ("Origin", "http://localhost"), ("Upgrade", "websocket")),
    *(("Access-Control-Request-Method", "GET"), ("Connection", "X-Racetrack-Auth"), ("Pyjob.admitted", "1")),
)


def spellings(path: bytes, through: bytes) -> Iterator[bytes]:
    """Targets that somebody may take for ``path``: each alternative of the grammar once, without a prefix.

    ``through`` is a path by which others may come to it.
    """
    yield path
    for start in STARTS[1:]:
        yield start + path
    segments = path.split(b"/")[1:]
    for at in sorted({0, len(segments) // 2, len(segments) - 1}):
        before = b"".join(b"/" + segment for segment in segments[:at])
        after = b"/".join(segments[at:])
        for slash in SLASHES:
            yield before + slash + after
        for parameters in PARAMETERS:
            yield b"/".join((before + b"/" + segments[at] + parameters, *segments[at + 1 :]))
        for segment in cases(segments[at]):
            yield b"/".join((before + b"/" + segment, *segments[at + 1 :]))
    for at in (1, len(path) - 1):
        for letter in letters(path[at : at + 1]):
            yield path[:at] + letter + path[at + 1 :]
        for raw in RAW:
            yield path[:at] + raw + path[at:]
    for end in ENDS:
        yield path + end
    depth = through.count(b"/")
    for up in UPS:
        yield through + up * depth + path
    for joint in JOINTS:
        yield through + joint + path
        yield path + joint + through


def letters(letter: bytes) -> Iterator[bytes]:
    """``letter`` written in other ways, some of which are other letters."""
    digits = letter.hex()
    yield from (b"%%%s" % text.encode() for text in dict.fromkeys((digits, digits.upper())))
    yield b"%25" + digits.encode()
    yield b"%2525" + digits.encode()
    yield b"%%u00%s" % digits.encode()
    yield b"%%%%%s" % digits.encode()
    code = letter[0]
    # Longer than it need be, which UTF-8 forbids; and full width, which is another letter.
    yield encoded(bytes((0xC0 | code >> 6, 0x80 | code & 0x3F)))
    yield encoded(bytes((0xE0, 0x80 | code >> 6, 0x80 | code & 0x3F)))
    yield encoded(chr(0xFEE0 + code).encode())
    yield letter + b"%cc%81"


def cases(segment: bytes) -> tuple[bytes, ...]:
    """``segment`` in other cases."""
    return segment.upper(), segment.title(), segment.swapcase()


def encoded(raw: bytes) -> bytes:
    """Every byte of ``raw`` as a percent and its digits."""
    return b"".join(b"%%%02x" % byte for byte in raw)


def prefixed(prefix: bytes, target: bytes) -> bytes:
    """``target`` with ``prefix`` before its path, whatever form it has."""
    for start in sorted(STARTS, key=len, reverse=True):
        if start and target.startswith(start + b"/"):
            return start + prefix + target[len(start) :]
    return prefix + target


def shown(target: bytes) -> str:
    """``target`` in a message."""
    return quote_from_bytes(target, safe=bytes(range(0x21, 0x7F)))
