"""What SPEC 8 and 4.1 say of a request target, worked out again on bytes: a second opinion for tests.

It shares no code with the package, on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

HEX = b"0123456789abcdefABCDEF"
LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
IN_A_SCHEME = LETTERS + b"0123456789+-."
OPEN_ALWAYS = (b"/live", b"/ready", b"/health", b"/sign-in", b"/sign-out")
# Of what our pages are made; those of the sign-in page are for those who have not signed in.
ASSETS = (b"/docs/_assets/", b"/status/_assets/", b"/sign-in/_assets/")
# Routes that are no short form of one below /api/v1 (SPEC 4.1).
OF_THE_SERVICE = (
    *OPEN_ALWAYS,
    b"/",
    b"/metrics",
    b"/openapi.json",
    b"/docs",
    b"/favicon.ico",
    b"/status",
    b"/status/data",
)


class Judgement(Enum):
    """What has to become of a request without a token."""

    OPEN = "goes on"
    CLOSED = "401"
    REFUSED = "400"


@dataclass(frozen=True)
class Route:
    """Something that tells its ``word`` when it runs: at ``path``, or below it where that ends with a slash.

    No ``methods`` means every method.
    """

    path: bytes
    word: bytes
    methods: tuple[str, ...] = ()


class Model:
    """Judges requests without a token.

    ``listed`` is what the manifest lists as public, ``approved`` what an administrator has approved for this
    name and version; both as they were written. ``routes`` are those of the job that are or may be open.
    ``mount`` is what the server takes off the front of paths.
    """

    def __init__(
        self,
        listed: Iterable[bytes],
        approved: Iterable[bytes],
        routes: Iterable[Route] = (),
        mount: bytes = b"",
    ) -> None:
        self.public = {resource(path) for path in listed} & {resource(path) for path in approved}
        self.routes = tuple(routes)
        self.mount = mount

    def judge(self, target: bytes) -> Judgement:
        """What becomes of a request for ``target``, as it stands in the request line."""
        path = self.path(target)
        if path is None:
            return Judgement.REFUSED
        if path in OPEN_ALWAYS or path.startswith(b"/sign-in/_assets/"):
            return Judgement.OPEN
        own = resource(path)
        is_public = any(own == one or own.startswith(one + b"/") for one in self.public)
        return Judgement.OPEN if is_public else Judgement.CLOSED

    def runs(self, target: bytes, method: str) -> bytes | None:
        """The word of what runs for an open ``target``, as ``routes`` say; None where nothing does."""
        path = self.path(target)
        if path is None or self.judge(target) is not Judgement.OPEN or path in OPEN_ALWAYS:
            return None
        own = path if path.startswith(b"/api/v1/") else b"/api/v1" + path
        for route in self.routes:
            is_here = own.startswith(route.path) if route.path.endswith(b"/") else own == route.path
            if is_here and method in (route.methods or (method,)):
                return route.word
        return None

    def path(self, target: bytes) -> bytes | None:
        """The path of ``target`` below the caller's prefix; None where it is refused as it stands.

        Of `/pub/job/N/V` without its slash, it is empty.
        """
        if any(byte <= 0x20 or byte >= 0x7F for byte in target):  # RFC 3986 has none of them
            return None
        path = decoded(raw_path(target))
        if path == self.mount or path.startswith(self.mount + b"/"):
            path = path[len(self.mount) :]
        if is_refused(path):
            return None
        parts = path.split(b"/", 5)  # "", "pub", "job", N, V, and what follows
        is_prefixed = parts[:2] == [b"", b"pub"] and parts[2:3] in ([b"job"], [b"fatman"])
        if is_prefixed and len(parts) >= 5 and parts[3] and parts[4]:
            return b"/" + parts[5] if len(parts) == 6 else b""
        return path


def raw_path(target: bytes) -> bytes:
    """The path of a request target in any form of RFC 9112, 3.2, still encoded."""
    for end in (b"#", b"?"):
        target = target.split(end, 1)[0]
    scheme, colon, rest = target.partition(b":")
    if colon and scheme[:1] in set_of(LETTERS) and all(byte in IN_A_SCHEME for byte in scheme):
        if not rest.startswith(b"//"):
            return rest
        _, slash, path = rest[2:].partition(b"/")
        return slash + path
    return target


def set_of(letters: bytes) -> set[bytes]:
    return {letters[at : at + 1] for at in range(len(letters))}


def decoded(path: bytes) -> bytes:
    """``path`` with every `%` and two hexadecimal digits as a byte, once; any other `%` is itself."""
    result = bytearray()
    at = 0
    while at < len(path):
        digits = path[at + 1 : at + 3]
        if path[at] == 0x25 and len(digits) == 2 and all(digit in HEX for digit in digits):
            result.append(int(digits, 16))
            at += 3
        else:
            result.append(path[at])
            at += 1
    return bytes(result)


def is_refused(path: bytes) -> bool:
    """Whether a decoded path is one that others may read in another way (SPEC 8.3)."""
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return True
    if b"\\" in path or b"\0" in path or b"//" in path:
        return True
    return any(segment in (b".", b"..") for segment in path.split(b"/"))


def resource(path: bytes) -> bytes:
    """The path by which access to ``path`` is decided: that below /api/v1, for its short form."""
    path = path.rstrip(b"/") or b"/"
    below_api = path == b"/api/v1" or path.startswith(b"/api/v1/")
    if below_api or path in OF_THE_SERVICE or path.startswith(ASSETS):
        return path
    return b"/api/v1" + path
