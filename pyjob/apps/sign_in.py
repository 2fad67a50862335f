"""The room where people sign in with a token, and out again; a browser keeps it as a cookie (SPEC 8.2)."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol
from urllib.parse import parse_qs

from werkzeug.http import dump_cookie

from pyjob.access.access import CHALLENGE, Refusal
from pyjob.access.credential import TOKEN_HEADER, is_own_page
from pyjob.access.decision import SIGN_IN, SIGN_OUT
from pyjob.apps.pages.assets import HTML, ICON, NO_SNIFFING, filled, own_assets, policy
from pyjob.errors import PayloadError
from pyjob.logs.access import note_why
from pyjob.routing.links import PATH, PREFIX, mount_of, quoted, quoted_page
from pyjob.routing.table import Routes
from pyjob.wire.body.payload import media_type, read_body
from pyjob.wire.response import Response, bytes_response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ASSETS = ("page.css", "sign_in.css")
# Nobody may frame the page, and its form goes nowhere else.
HEADERS = (
    policy(form_action="'self'", frame_ancestors="'none'"),
    NO_SNIFFING,
    ("Cache-Control", "no-store"),
    ("Vary", "Accept, Cookie"),
)
FORM = "application/x-www-form-urlencoded"
LONGEST_FORM = 8 * 1024
MOST_FIELDS = 10
LONGEST_NEXT = 2000
FOREIGN = "a page of another site has sent this form: open the page of this service, and sign in there"
# In the query of the page that follows on signing out.
OUT = "out"
NOT_VALID = "This token is not valid: it may be mistyped, revoked or expired."
NO_TOKEN = "Please enter your token."  # nosec B105 # a message, no token
CLOSED = "Nobody can sign in now: this service cannot read its tokens. Please tell who runs it."


HELP = (
    '<div class="help muted" id="help"><p>A token is a line of text that says who you are. Most begin with '
    "<code>pyjob_</code>.</p><p>You have none? Ask who runs this service: they make you one with "
    "<code>pyjob access token add NAME</code>.</p></div>"
)


class Guard(Protocol):
    """Who knows whose a token is."""

    def caller_of(self, environ: WSGIEnvironment) -> str | None: ...
    def is_valid(self, text: str) -> bool: ...
    def fault(self) -> str | None: ...


class Refusals(Protocol):
    """Who counts those that are not let in."""

    def refuse(self, reason: str) -> None: ...


class SignInRoom:
    """Serves `/sign-in` and `/sign-out`, and the page in place of one that a browser is refused.

    The cookie counts for all jobs at the same place; browsers send it with requests of this site only.
    ``name`` and ``version`` are those of the job.
    """

    def __init__(self, guard: Guard, refusals: Refusals, *, name: str, version: str) -> None:
        self._guard = guard
        self._refusals = refusals
        self._job = html.escape(f"{name} {version}")
        self._assets, self._asset_routes = own_assets("sign-in", ASSETS)

    def routes(self) -> Routes:
        """The paths that this room answers."""
        return {
            **self._asset_routes,
            SIGN_IN: {"GET": self.show, "POST": self.sign_in},
            SIGN_OUT: {"GET": self.show, "POST": self.sign_out},
        }

    def page_for(self, environ: WSGIEnvironment, refusal: Refusal) -> Response:
        """What a person sees who may not see the page that ``environ`` asks for."""
        here = quoted(environ[PREFIX] + environ[PATH])
        query = environ.get("QUERY_STRING", "")
        # What was posted is lost: where a form goes, there need not be a page.
        is_page = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        at = _onward(environ, *([quoted_page(f"{here}?{query}") if query else here] if is_page else ()))
        link = f'<a href="{html.escape(at)}">open the page again</a>'
        if refusal.status == 403:
            content = f"<p>You came by a link from another site. To go on, {link}.</p>"
            return self._page(environ, refusal.status, "Do you want to go there?", content)
        told = {"no_token": "", "no_store": CLOSED}.get(refusal.reason, NOT_VALID)  # nosec B105 # no token
        more = f'<p class="muted">Signed in already, and came by a link? Then {link}.</p>'
        return self._form(environ, refusal.status, at, told, more)

    def show(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The form; who is signed in sees by which name, and can sign out. `next` is where to go then."""
        name = self._guard.caller_of(environ)
        query = _fields(environ.get("QUERY_STRING", ""))
        onward = _onward(environ, *query.get("next", ()))
        if name is None:
            wrong = "" if self._guard.fault() is None else CLOSED
            answer = self._form(environ, 200, onward, wrong, has_left=OUT in query)
        else:
            action = html.escape(_at(environ, SIGN_OUT))
            content = (
                f'<form method="post" action="{action}"><button class="send">Sign out</button></form>'
                f'<p><a href="{html.escape(onward)}">Go on without signing out</a></p>'
            )
            answer = self._page(environ, 200, f"You are signed in as {html.escape(name)}", content)
        return answer(environ, start_response)

    def sign_in(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take a token from the form: the cookie, and on to the page that was asked for."""
        return self._sign_in(environ)(environ, start_response)

    def sign_out(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take the cookie away: also one of a job further up on this host, which has signed in here, too."""
        if is_own_page(environ) is False:
            return self._foreign(environ)(environ, start_response)
        mount = quoted(mount_of(environ))
        at = [mount[:end] or "/" for end, char in enumerate(f"{mount}/") if char == "/"]
        cookies = [_cookie(environ, "", path=path, max_age=0) for path in at]
        return _see_other(f"{_at(environ, SIGN_IN)}?{OUT}=1", *cookies)(environ, start_response)

    def _sign_in(self, environ: WSGIEnvironment) -> Response:
        # Else a site could sign somebody in as somebody else.
        if is_own_page(environ) is False:
            return self._foreign(environ)
        if media_type(environ.get("CONTENT_TYPE", "")) != FORM:
            return error_response(415, f"a form is expected, as {FORM}")
        try:
            fields = _fields(read_body(environ, LONGEST_FORM).decode("latin-1"))
        except PayloadError as error:
            too_long = f"a form of at most {LONGEST_FORM} bytes is expected"
            return error_response(error.status, too_long if error.status == 413 else str(error))
        onward = _onward(environ, *fields.get("next", ()))
        # Of two that differ nobody knows which one is meant.
        [token, *others] = dict.fromkeys(one.strip() for one in fields.get("token", [""]))
        if not others and self._guard.is_valid(token):
            return _see_other(onward, _cookie(environ, token, path=quoted(mount_of(environ)) or "/"))
        if self._guard.fault() is not None:
            self._tell(environ, "no_store")
            return self._form(environ, 401, onward, CLOSED)
        self._tell(environ, "invalid_token" if token else "no_token")
        return self._form(environ, 401, onward, NOT_VALID if token else NO_TOKEN)

    def _foreign(self, environ: WSGIEnvironment) -> Response:
        self._tell(environ, "foreign_page")
        return error_response(403, FOREIGN)

    def _tell(self, environ: WSGIEnvironment, reason: str) -> None:
        self._refusals.refuse(reason)
        note_why(environ, reason)

    def _form(
        self,
        environ: WSGIEnvironment,
        status: int,
        onward: str,
        wrong: str = "",
        more: str = "",
        *,
        has_left: bool = False,
    ) -> Response:
        """The page with the form, which leads ``onward``; ``wrong`` says what is; ``more`` is HTML.

        ``has_left``: who sees it has signed out just now.
        """
        told, marks = "", 'aria-describedby="help"'
        if wrong:
            told = f'<p id="wrong" class="wrong" role="alert">{html.escape(wrong)}</p>'
            marks = 'aria-invalid="true" aria-describedby="wrong help"'
        elif has_left:
            told = '<p class="told" role="status">You have signed out.</p>'
        content = (
            f'{told}<form method="post" action="{html.escape(_at(environ, SIGN_IN))}">'
            '<label for="token">Your token</label>'
            f'<input id="token" name="token" type="password" {marks} autocomplete="current-password" '
            f'required autofocus><input name="next" type="hidden" value="{html.escape(onward)}">'
            f'<button class="send">Sign in</button></form>{HELP}{more}'
        )
        title = "Error: Sign in" if wrong else "Sign in"
        return self._page(environ, status, title, content, CHALLENGE if status == 401 else ())

    def _page(
        self,
        environ: WSGIEnvironment,
        status: int,
        title: str,
        content: str,
        headers: Iterable[tuple[str, str]] = (),
    ) -> Response:
        base = quoted(environ[PREFIX])
        body = filled(
            "sign_in.html",
            icon=f"{base}/{self._assets[ICON]}",
            assets=[f"{base}/{self._assets[name]}" for name in ASSETS],
            job=self._job,
            title=title,
            heading=title.removeprefix("Error: "),
            content=content,
        )
        return bytes_response(status, HTML, body, [*HEADERS, *headers])


def _at(environ: WSGIEnvironment, path: str) -> str:
    return quoted(environ[PREFIX] + path)


def _fields(text: str) -> dict[str, list[str]]:
    """The fields of a form or a query; none where there are more than anybody has a use for."""
    if len(text) > LONGEST_FORM:
        return {}
    try:
        return parse_qs(text, max_num_fields=MOST_FIELDS)
    except ValueError:
        return {}


def _onward(environ: WSGIEnvironment, *wanted: str) -> str:
    """Where to go from here: what is ``wanted``, if that is one page of this host, else the job's own."""
    return wanted[0] if len(wanted) == 1 and _is_on_this_host(wanted[0]) else _at(environ, "/")


def _is_on_this_host(page: str) -> bool:
    """Whether a browser that is sent to ``page`` stays here, and no header is broken by it."""
    is_path = page.startswith("/") and not page.startswith("//") and "\\" not in page
    return is_path and len(page) <= LONGEST_NEXT and page.isascii() and page.isprintable()


def _see_other(location: str, *cookies: str) -> Response:
    """303: what was posted is not posted again there."""
    headers = [
        ("Location", location),
        *(("Set-Cookie", one) for one in cookies),
        ("Cache-Control", "no-store"),
    ]
    return bytes_response(303, "text/plain; charset=utf-8", b"", headers)


def _cookie(environ: WSGIEnvironment, token: str, *, path: str, max_age: int | None = None) -> str:
    """Until the browser ends, or for ``max_age`` seconds; for all below ``path``."""
    return dump_cookie(
        TOKEN_HEADER,
        token,
        max_age=max_age,
        path=path,
        secure=environ.get("wsgi.url_scheme") == "https",
        httponly=True,
        samesite="Strict",
    )
