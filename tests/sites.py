"""The same small site as jobs of several frameworks, with every kind of link that authors write."""

from __future__ import annotations

from dataclasses import dataclass

# Links by name, literal ones made of base_url, relative ones, forms of both methods, files. In braces: what
# the framework's way to name a page gives for each of them.
PAGE = """
<html><head><link rel="stylesheet" href="{base}/static/style.css"><script src="static/own.js"></script></head>
<body>
  <a href="{home}">home</a> <a href="{other}">named</a> <a href="{base}/other/literal">literal</a>
  <a href="{base}/">base</a> <a href="other/relative">relative</a> <a href="?page=2#end">here</a>
  <a href="{redirected}">redirected</a> <a href="{base}/redirected">to a named one</a>
  <a href="{base}/redirected-literally">to a literal one</a>
  <form method="post" action="{posted}"><input name="name" value="named"></form>
  <form method="post" action="{base}/posted"><input name="name" value="größe"></form>
  <form method="post" action="posted"><input name="name" value="relative"></form>
  <form action="{base}/search"><input name="q" value="a b&amp;c"></form>
</body></html>
"""
FILES = {
    "static/style.css": "body {}\n",
    "static/own.js": "let own;\n",
    "page.html": PAGE,
}
# What everybody who follows all links comes to, below base_url.
PAGES = {
    "/": "home",
    "/?page=2": "home",
    "/other/named": "named",
    "/other/literal": "literal",
    "/other/relative": "relative",
    "/redirected": "",
    "/redirected-literally": "",
    "/posted": "",
    "/search?q=a+b%26c": "found a b&c",
    "/static/style.css": "body {}",
    "/static/own.js": "let own;",
}


@dataclass(frozen=True)
class Site:
    """A job: what it ``needs``, its ``code``, further ``files``, and the ``pages`` that links lead to."""

    needs: tuple[str, ...]
    code: str
    pages: tuple[str, ...] = tuple(PAGES)
    # Below base_url: what no link in a page tells of, but a script would ask for.
    seeds: tuple[str, ...] = ()


FLASK = """
    from pathlib import Path
    from flask import Flask, redirect, request, session, url_for

    PAGE = Path(__file__).with_name("page.html").read_text()

    class Job:
        def webview_app(self, base_url):
            app = Flask(__name__, static_url_path=f"{base_url}/static")
            app.secret_key = "secret"

            @app.route(f"{base_url}/")
            def home():
                session["seen"] = True
                assert url_for("static", filename="own.js").endswith("/webview/static/own.js")
                return PAGE.format(
                    base=base_url, home=url_for("home"), other=url_for("other", name="named"),
                    redirected=url_for("redirected"), posted=url_for("posted"),
                )

            @app.route(f"{base_url}/other/<name>")
            def other(name):
                assert session["seen"]
                return name

            @app.route(f"{base_url}/redirected")
            def redirected():
                return redirect(url_for("other", name="named"))

            @app.route(f"{base_url}/redirected-literally")
            def literally():
                return redirect(f"{base_url}/other/literal")

            @app.post(f"{base_url}/posted")
            def posted():
                assert request.form["name"] in ("named", "größe", "relative")
                return redirect(url_for("home"), 303)

            @app.route(f"{base_url}/search")
            def search():
                return "found " + request.args["q"]

            return app
    """
BOTTLE = """
    from pathlib import Path
    from bottle import Bottle, redirect, request

    PAGE = Path(__file__).with_name("page.html").read_text()

    class Job:
        def webview_app(self, base_url):
            app = Bottle()

            @app.route(f"{base_url}/", name="home")
            def home():
                return PAGE.format(
                    base=base_url, home=app.get_url("home"), other=app.get_url("other", name="named"),
                    redirected=app.get_url("redirected"), posted=app.get_url("posted"),
                )

            @app.route(f"{base_url}/other/<name>", name="other")
            def other(name):
                return name

            @app.route(f"{base_url}/redirected", name="redirected")
            def redirected():
                redirect(app.get_url("other", name="named"))

            @app.route(f"{base_url}/redirected-literally")
            def literally():
                redirect(f"{base_url}/other/literal")

            @app.post(f"{base_url}/posted", name="posted")
            def posted():
                assert request.forms.getunicode("name") in ("named", "größe", "relative")
                redirect(app.get_url("home"))

            @app.route(f"{base_url}/search")
            def search():
                return "found " + request.query.q

            return app
    """
DJANGO = """
    from pathlib import Path
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.shortcuts import redirect
    from django.middleware.csrf import get_token
    from django.urls import path, reverse

    PAGE = Path(__file__).with_name("page.html").read_text()
    base = ""
    urlpatterns = []

    def home(request):
        page = PAGE.format(
            base=base, home=reverse("home"), other=reverse("other", args=["named"]),
            redirected=reverse("redirected"), posted=reverse("posted"),
        )
        token = f'<input type="hidden" name="csrfmiddlewaretoken" value="{get_token(request)}">'
        return HttpResponse(page.replace('<input name="name"', f'{token}<input name="name"'))

    def other(request, name):
        return HttpResponse(name)

    def redirected(request):
        return redirect("other", name="named")

    def literally(request):
        return redirect(f"{base}/other/literal")

    def posted(request):
        assert request.POST["name"] in ("named", "größe", "relative")
        return redirect("home")

    def search(request):
        return HttpResponse("found " + request.GET["q"])

    class Job:
        def webview_app(self, base_url):
            global base
            base = base_url
            below = base_url.lstrip("/")
            urlpatterns[:] = [
                path(f"{below}/", home, name="home"),
                path(f"{below}/other/<name>", other, name="other"),
                path(f"{below}/redirected", redirected, name="redirected"),
                path(f"{below}/redirected-literally", literally),
                path(f"{below}/posted", posted, name="posted"),
                path(f"{below}/search", search),
            ]
            settings.configure(
                ROOT_URLCONF=__name__, SECRET_KEY="secret", ALLOWED_HOSTS=["localhost"],
                MIDDLEWARE=[
                    "django.middleware.common.CommonMiddleware",
                    "django.middleware.csrf.CsrfViewMiddleware",
                ],
            )
            return get_wsgi_application()
    """
FASTAPI = """
    from pathlib import Path
    from urllib.parse import parse_qs
    from fastapi import FastAPI, Request
    from fastapi.responses import HTMLResponse, RedirectResponse

    PAGE = Path(__file__).with_name("page.html").read_text()

    class Job:
        def webview_app(self, base_url):
            app = FastAPI()

            @app.get("/", response_class=HTMLResponse)
            def home(request: Request):
                def url(name, /, **names):
                    return str(request.url_for(name, **names))
                return PAGE.format(
                    base=base_url, home=url("home"), other=url("other", name="named"),
                    redirected=url("redirected"), posted=url("posted"),
                )

            @app.get("/other/{name}", response_class=HTMLResponse)
            async def other(name: str):
                return name

            @app.get("/redirected")
            async def redirected(request: Request):
                return RedirectResponse(request.url_for("other", name="named"))

            @app.get("/redirected-literally")
            async def literally():
                return RedirectResponse(f"{base_url}/other/literal")

            @app.post("/posted")
            async def posted(request: Request):
                form = parse_qs((await request.body()).decode())
                assert form["name"][0] in ("named", "größe", "relative")
                return RedirectResponse(request.url_for("home"), 303)

            @app.get("/search", response_class=HTMLResponse)
            async def search(q: str):
                return "found " + q

            return app
    """
DASH = """
    from dash import Dash, dcc, html

    class Job:
        def webview_app(self, base_url):
            app = Dash(
                __name__, requests_pathname_prefix=f"{base_url}/", routes_pathname_prefix=f"{base_url}/"
            )
            app.layout = html.Div([html.H1("Dash"), html.A("x", href=f"{base_url}/static/style.css")])
            return app.server
    """
SITES = {
    "Flask": Site(("flask",), FLASK),
    "Bottle": Site(("bottle",), BOTTLE),
    "Django": Site(("django",), DJANGO),
    "FastAPI": Site(("a2wsgi", "fastapi"), FASTAPI, seeds=("/openapi.json",)),
    "Dash": Site(("dash",), DASH, pages=("/",), seeds=("/_dash-layout", "/_dash-dependencies")),
}
