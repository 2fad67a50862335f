"""Users and passwords in the URLs of requirements, taken out of them.

Programs show their command lines to everybody on the machine, and pip gives URLs to programs: that of an
index to every pip that it starts, that of a repository to git.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from pyjob.requirements.requirement import LineError

_HIDDEN = ("http", "https", "git+http", "git+https")
_LOGIN = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<login>[^/?#\s\"'\\]*)@"
    r"(?P<host>\[[^]/?#\s\"'\\@]*\]|[^/?#\s\"'\\@:]*)(?P<port>:\d*)?(?P<path>[^\s\"'?#;]*)"
)
# Where a program may see one that the pattern above does not.
_LEFT = re.compile(r"(?P<scheme>[A-Za-z0-9+.-]*)://(?P<login>[^/?#]*)@")
_CONTROL = re.compile("[\0-\x1f\x7f]")
_ENCODED = "a user and a password of a URL percent-encoded (%20 for a blank, %22 for a quote)"


@dataclass(frozen=True, slots=True)
class Login:
    """Who asks for a URL. ``scheme``, ``host`` (without brackets, in lower case) and ``port`` say of whom.

    ``path`` is the URL's, without slashes around it and without a revision. ``user`` and ``password`` are
    decoded; a token often stands for the user, with no password. ``is_index``: pip asks the URL for what
    there is, or for a file to include.
    """

    scheme: str
    host: str
    port: str
    path: str
    user: str
    password: str
    is_git: bool
    is_index: bool

    @property
    def origin(self) -> str:
        """The URL of the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{self.port}"

    @property
    def words(self) -> tuple[str, str]:
        """User and password."""
        return self.user, self.password

    @property
    def encoded(self) -> str:
        """User and password as in a URL."""
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"


def without_logins(text: str, *, is_index: bool) -> tuple[str, list[Login]]:
    """A line, or a list of URLs, with none of the logins that it has, and these.

    Raises `LineError` for those that cannot be handed over in another way.
    """
    logins: list[Login] = []

    def taken(match: re.Match[str]) -> str:
        scheme = match["scheme"].lower()
        if scheme not in _HIDDEN:
            return match.group()
        logins.append(_login(match, scheme, is_index=is_index))
        whole = match.group()
        return whole[: match.start("login") - match.start()] + whole[match.end("login") + 1 - match.start() :]

    rest = _LOGIN.sub(taken, text)
    for left in _LEFT.finditer(rest):
        if left["scheme"].lower() in _HIDDEN or not left["scheme"]:
            raise LineError(_ENCODED, "other characters")
        if ":" in left["login"]:
            expected = "a password in URLs of http, https, git+http and git+https alone"
            raise LineError(f"{expected} (other programs show it to everybody here)", left["scheme"])
    return rest, logins


def _login(match: re.Match[str], scheme: str, *, is_index: bool) -> Login:
    user, _, password = match["login"].partition(":")
    words = unquote(user), unquote(password)
    if any(map(_CONTROL.search, words)):
        raise LineError("a user and a password without control characters", "some")
    is_git = scheme.startswith("git+")
    path = match["path"]
    if is_git and "@" in path:
        path = path.rpartition("@")[0]
    host = match["host"].removeprefix("[").removesuffix("]").lower()
    return Login(
        scheme.removeprefix("git+"),
        host,
        match["port"] or "",
        unquote(path).strip("/"),
        *words,
        is_git,
        is_index,
    )
