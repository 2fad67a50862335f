"""Someone who follows every link of a site, and notes what each leads to."""

from __future__ import annotations

import json
import sys
from collections import deque
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import pyjob

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

BASE = "/pub/job/sample/0.0.1/api/v1/webview"
HOST = "http://localhost"


@dataclass(frozen=True)
class Place:
    """Where callers find the pages: at ``start``. ``prefix`` is what all their links must begin with."""

    start: str
    prefix: str = ""
    is_stripped: bool = False

    def front(self, application: WSGIApplication) -> WSGIApplication:
        """What stands between callers and the application."""
        if self.is_stripped:
            return stripping(application, self.prefix)
        if self.prefix:
            return DispatcherMiddleware(NotFound(), {self.prefix: application})
        return application


PLACES = {
    "at the root": Place("/webview/"),
    "by the canonical path": Place(f"{BASE}/"),
    "below the latest": Place("/pub/job/sample/latest/webview/"),
    "below a version": Place("/pub/job/sample/0.0.1/webview/"),
    "below fatman": Place("/pub/fatman/sample/latest/api/v1/webview/"),
    "without the slash": Place("/api/v1/webview"),
    "mounted": Place("/one/webview/", "/one"),
    "mounted, below the latest": Place("/one/pub/job/sample/latest/webview", "/one"),
    "mounted deeper": Place("/o/ne/api/v1/webview/", "/o/ne"),
    "behind a proxy": Place("/p/webview/", "/p", is_stripped=True),
    "behind a proxy, below a version": Place("/p/pub/job/sample/0.0.1/webview", "/p", is_stripped=True),
}


def stripping(application: WSGIApplication, prefix: str) -> WSGIApplication:
    """A proxy that takes ``prefix`` off, and tells nobody, as nginx does by default."""

    def proxy(environ: Any, start_response: Any) -> Any:
        path = environ["PATH_INFO"]
        assert path.startswith(f"{prefix}/"), f"{path} does not lead through the proxy"
        environ["PATH_INFO"] = path.removeprefix(prefix)
        return application(environ, start_response)

    return proxy


class Page(HTMLParser):
    """The links and forms of an HTML page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.forms: list[tuple[str, str, dict[str, str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.links += [given[name] for name in ("href", "src") if name in given]
        if tag == "form":
            self.forms.append((given.get("method", "get").upper(), given["action"], {}))
        elif tag == "input":
            self.forms[-1][2][given["name"]] = given.get("value", "")


@dataclass
class Crawl:
    """All that can be reached from ``place`` at ``front``; ``found`` has each text by its path.

    Raises AssertionError for a link that leads nowhere, out of the place, or through its prefix twice.
    """

    front: WSGIApplication
    place: Place
    found: dict[str, str] = field(default_factory=dict)
    _to_do: deque[tuple[str, str, dict[str, str] | None]] = field(default_factory=deque)
    _seen: set[tuple[str, str, str]] = field(default_factory=set)

    def run(self, *seeds: str) -> Crawl:
        client = Client(self.front)
        base = f"{self.place.prefix}{BASE}"
        self._to_do.append(("GET", self.place.start, None))
        self._to_do += [("GET", f"{base}{seed}", None) for seed in seeds]
        while self._to_do:
            method, path, form = self._to_do.popleft()
            key = (method, path, str(form))
            if key in self._seen:
                continue
            self._seen.add(key)
            answer = client.open(path, method=method, data=form, base_url=HOST)
            text = answer.data.decode(errors="replace")
            status, location = answer.status_code, answer.headers.get("Location")
            answer.close()
            assert 200 <= status < 400, f"{method} {path} is {status}: {text[:500]}"
            self.found[self.short(path)] = text
            if status >= 300:
                assert location is not None
                again = (method, form) if status in (307, 308) else ("GET", None)
                self._to_do.append((again[0], self.leads_to(path, location), again[1]))
            elif answer.mimetype == "text/html":
                self._read(path, Page(text))
        return self

    def short(self, path: str) -> str:
        """``path`` below the pages' home."""
        for start in (f"{self.place.prefix}{BASE}", self.place.start.rstrip("/")):
            if path.startswith(start):
                return path.removeprefix(start)
        raise AssertionError(f"{path} leaves {self.place}")

    def leads_to(self, page: str, link: str) -> str:
        """The path and query of a ``link`` that stands in ``page``."""
        scheme_and_host = urlsplit(url := urljoin(f"{HOST}{page}", link))[:2]
        assert "://".join(scheme_and_host) == HOST, f"{link} in {page} leads to another host"
        parts = urlsplit(url)
        is_relative = not link.startswith(("/", "http:"))
        home = f"{self.place.prefix}{BASE}"
        is_at_home = parts.path.startswith(f"{home}/")
        is_beside = is_relative and parts.path.startswith(self.place.start.rstrip("/"))
        is_slash = parts.path == f"{urlsplit(page).path}/"
        assert is_at_home or is_beside or is_slash, f"{link} in {page} does not lead to {home}"
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _read(self, path: str, page: Page) -> None:
        for link in page.links:
            self._to_do.append(("GET", self.leads_to(path, link), None))
        for method, action, fields in page.forms:
            target = self.leads_to(path, action)
            if method == "GET":
                self._to_do.append(("GET", f"{target}?{urlencode(fields)}", None))
            else:
                self._to_do.append((method, target, fields))


def crawl(folder: Path, place: Place, *seeds: str) -> dict[str, str]:
    """What is found in the job of ``folder``, served in process at ``place``."""
    application = pyjob.create(folder, prefix=place.prefix, load="now")
    try:
        return Crawl(place.front(application), place).run(*seeds).found
    finally:
        application.close(1)


if __name__ == "__main__":  # in a process of its own, for frameworks that are set up once
    print(json.dumps(crawl(Path(sys.argv[1]), PLACES[sys.argv[2]], *sys.argv[3:])))
