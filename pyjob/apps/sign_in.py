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
from pyjob.routing.links import PATH, PREFIX, mount_of, quoted, quoted_page
from pyjob.routing.table import Routes
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
LONGEST_FORM = 8 * 1024
LONGEST_NEXT = 2000
FOREIGN = "a page of another site has sent this form: open the page of this service, and sign in there"


class Guard(Protocol):
    """Who knows whose a token is."""

    def caller_of(self, environ: WSGIEnvironment) -> str | None: ...
    def is_valid(self, text: str) -> bool: ...


class SignInRoom:
    """Serves `/sign-in` and `/sign-out`, and the page in place of one that a browser is refused.

    The cookie counts for all jobs at the same place; browsers send it with requests of this site only.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
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
        at = quoted_page(f"{here}?{query}") if query else here
        link = f'<a href="{html.escape(at)}">open the page again</a>'
        if refusal.status == 403:
            content = f"<p>You came by a link from another site. To go on, {link}.</p>"
            return self._page(environ, refusal.status, "Do you want to go there?", content)
        form = _form(environ, at, "" if refusal.reason == "no_token" else refusal.message)
        content = f'{form}<p class="muted">Signed in already, and came by a link? Then {link}.</p>'
        return self._page(environ, refusal.status, "Sign in", content, refusal.headers)

    def show(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The form; who is signed in sees by which name, and can sign out."""
        name = self._guard.caller_of(environ)
        if name is None:
            answer = self._page(environ, 200, "Sign in", _form(environ, _home(environ)))
        else:
            action, home = html.escape(_at(environ, SIGN_OUT)), html.escape(_home(environ))
            content = (
                f"<p>You are signed in as <strong>{html.escape(name)}</strong>.</p>"
                f'<form method="post" action="{action}"><button class="send">Sign out</button></form>'
                f'<p><a href="{home}">To the job</a></p>'
            )
            answer = self._page(environ, 200, "Signed in", content)
        return answer(environ, start_response)

    def sign_in(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take a token from the form: the cookie, and on to the page that was asked for."""
        return self._sign_in(environ)(environ, start_response)

    def sign_out(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Take the cookie away."""
        if is_own_page(environ) is False:
            return error_response(403, FOREIGN)(environ, start_response)
        return _onward(_at(environ, SIGN_IN), _cookie(environ, "", max_age=0))(environ, start_response)

    def _sign_in(self, environ: WSGIEnvironment) -> Response:
        # Else a site could sign somebody in as somebody else.
        if is_own_page(environ) is False:
            return error_response(403, FOREIGN)
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()) or int(length[:9]) > LONGEST_FORM:
            return error_response(413, f"a form of at most {LONGEST_FORM} bytes is expected")
        form = environ["wsgi.input"].read(int(length)).decode("latin-1")
        try:
            fields = parse_qs(form, max_num_fields=10)
        except ValueError:
            return error_response(400, "a form with the field token is expected")
        token, onward = (fields.get(name, [""])[0].strip() for name in ("token", "next"))
        if not _is_on_this_host(onward):
            onward = _home(environ)
        if not self._guard.is_valid(token):
            wrong = "This token is not valid." if token else "Please enter a token."
            return self._page(environ, 401, "Sign in", _form(environ, onward, wrong), CHALLENGE)
        return _onward(onward, _cookie(environ, token))

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
            title=title,
            content=content,
        )
        return bytes_response(status, HTML, body, [*HEADERS, *headers])


def _form(environ: WSGIEnvironment, onward: str, wrong: str = "") -> str:
    """The form, which leads ``onward``; ``wrong`` is what was wrong before."""
    told = f'<p class="wrong" role="alert">{html.escape(wrong)}</p>' if wrong else ""
    return (
        f'{told}<form method="post" action="{html.escape(_at(environ, SIGN_IN))}">'
        '<label for="token">Your token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>'
        f'<input name="next" type="hidden" value="{html.escape(onward)}">'
        '<button class="send">Sign in</button></form>'
    )


def _at(environ: WSGIEnvironment, path: str) -> str:
    return quoted(environ[PREFIX] + path)


def _home(environ: WSGIEnvironment) -> str:
    return _at(environ, "/")


def _is_on_this_host(onward: str) -> bool:
    """Whether a browser that is sent there stays here, and no header is broken by it."""
    is_path = onward.startswith("/") and not onward.startswith("//") and "\\" not in onward
    return is_path and len(onward) <= LONGEST_NEXT and onward.isascii() and onward.isprintable()


def _onward(location: str, cookie: str) -> Response:
    """303: what was posted is not posted again there."""
    headers = [("Location", location), ("Set-Cookie", cookie), ("Cache-Control", "no-store")]
    return bytes_response(303, "text/plain; charset=utf-8", b"", headers)


def _cookie(environ: WSGIEnvironment, token: str, *, max_age: int | None = None) -> str:
    """Until the browser ends, or for ``max_age`` seconds; for all below where the application is mounted."""
    return dump_cookie(
        TOKEN_HEADER,
        token,
        max_age=max_age,
        path=quoted(mount_of(environ)) or "/",
        secure=environ.get("wsgi.url_scheme") == "https",
        httponly=True,
        samesite="Strict",
    )
