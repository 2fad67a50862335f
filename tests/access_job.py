"""A job of which some is public and some is not, and whose every part tells that it ran."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from pyjob.access.store.ledger import Ledger
from tests.access_model import Model, Route

NAME, VERSION = "guarded", "1.2.3"
TOKEN = "pyjob_a-token-of-alice-for-tests-only"
WRONG_TOKEN = "pyjob_a-token-that-nobody-ever-issued"
WORD = re.compile(rb"ran-[a-z-]+")
BASE_URL = f"/pub/job/{NAME}/{VERSION}/api/v1/webview"

CODE = """
    import pathlib
    import time
    from collections import Counter

    import pyjob


    class Job:
        def __init__(self):
            self.ran = Counter()

        def tell(self, word):
            self.ran[word] += 1
            return {"ran": f"ran-{word}"}

        def perform(self, **given):
            return self.tell("perform")

        def told(self, **given):
            return self.tell("told")

        def hidden(self, **given):
            return self.tell("hidden")

        def waiting(self, **given):
            return self.tell("waiting")

        def read(self, **given):
            return self.tell("read")

        def item(self, name, **given):
            return self.tell("item-open" if name == "open" else "item-closed")

        def stream(self, until: str):
            self.tell("stream")
            yield "first"
            deadline = time.monotonic() + 30
            while not (is_seen := pathlib.Path(until).exists()) and time.monotonic() < deadline:
                time.sleep(0.01)
            yield "last" if is_seen else "the first was held back"

        def upload(self, content: bytes):
            self.tell("upload")
            return len(content)

        def auxiliary_endpoints(self):
            return {
                "/told": self.told,
                "/hidden": self.hidden,
                "/waiting": self.waiting,
                "/stream": self.stream,
                "/upload": self.upload,
            }

        def auxiliary_endpoints_v2(self):
            return [
                pyjob.EndpointConfig("/read", "GET", self.read),
                pyjob.EndpointConfig("/items/{name}", "GET", self.item),
            ]

        def static_endpoints(self):
            return {"/static": "files", "/manual": "files/closed/page.txt"}

        def webview_app(self, base_url):
            def app(environ, start_response):
                self.tell("webview")
                path = environ["PATH_INFO"].encode("latin-1")
                forwarded = [f"{key}={environ[key]}" for key in sorted(environ) if "FORWARDED" in key]
                seen = [environ.get(key, "-") for key in ("wsgi.url_scheme", "HTTP_HOST", "REMOTE_ADDR")]
                headers = [("Content-Type", "text/plain"), ("X-Seen", " ".join(seen + forwarded))]
                start_response("200 OK", headers)
                if path.endswith(b"/pieces"):
                    return (piece.encode() for piece in self.stream(environ["QUERY_STRING"]))
                return [b"ran-webview:" + path]

            return app

        def metrics(self):
            return [{"name": "ran", "value": n, "labels": {"word": w}} for w, n in self.ran.items()]
    """
FILES = {
    "files/open/page.txt": "ran-file-open",
    "files/closed/page.txt": "ran-file-closed",
    "files/open.txt": "ran-file-beside",
    "static/page.txt": "ran-file-view",
}
# As the manifest has them, in both ways of writing.
LISTED = (
    "/api/v1/perform",
    "/told",
    "/api/v1/waiting",
    "/static/open",
    "/webview/open",
    "/api/v1/items/open",
)
APPROVED = ("/api/v1/perform", "/api/v1/static/open", "/api/v1/webview/open", "/api/v1/items/open")
# Approvals that must open nothing: of another version, of another job, of what the manifest does not list.
IDLE_APPROVALS = (
    (NAME, "1.2.4", "/api/v1/told"),
    ("other", VERSION, "/api/v1/told"),
    (NAME, VERSION, "/api/v1/hidden"),
)
ROUTES = (
    Route(b"/api/v1/perform", b"ran-perform", ("POST",)),
    Route(b"/api/v1/items/open", b"ran-item-open", ("GET", "HEAD")),
    Route(b"/api/v1/static/open/page.txt", b"ran-file-open", ("GET", "HEAD")),
    Route(b"/api/v1/webview/open", b"ran-webview"),
    Route(b"/api/v1/webview/open/", b"ran-webview"),
)
# What is attacked, each with the method that would run it and an open path by which somebody may come to it.
TARGETS = (
    ("POST", b"/api/v1/perform", b"/api/v1/static/open"),
    ("POST", b"/perform", b"/webview/open"),
    ("POST", b"/api/v1/told", b"/api/v1/perform"),
    ("POST", b"/hidden", b"/perform"),
    ("POST", b"/api/v1/waiting", b"/api/v1/items/open"),
    ("GET", b"/api/v1/read", b"/api/v1/perform"),
    ("GET", b"/api/v1/items/open", b"/api/v1/static/open"),
    ("GET", b"/items/closed", b"/items/open"),
    ("GET", b"/api/v1/static/open/page.txt", b"/api/v1/perform"),
    ("GET", b"/static/closed/page.txt", b"/static/open"),
    ("GET", b"/api/v1/static/open.txt", b"/api/v1/static/open"),
    ("GET", b"/manual", b"/static/open"),
    ("GET", b"/api/v1/webview/open/page", b"/api/v1/static/open"),
    ("GET", b"/webview/closed", b"/webview/open"),
    ("GET", b"/api/v1/webview/static/page.txt", b"/api/v1/webview/open"),
    ("GET", b"/docs", b"/live"),
    ("GET", b"/openapi.json", b"/health"),
    ("GET", b"/metrics", b"/ready"),
    ("GET", b"/status/data", b"/sign-in"),
    ("GET", b"/live", b"/perform"),
)


def make_guarded(folder: Path) -> tuple[Path, Path]:
    """Write the job and a store for it below ``folder``: where they are."""
    job, store = folder / "job", folder / "access.db"
    public = "".join(f"  - {path}\n" for path in LISTED)
    manifest = (
        f"name: {NAME}\nversion: {VERSION}\nowner_email: nobody@example.com\njobtype: python3:latest\n"
        f"git:\n  remote: https://example.com/team/guarded\npublic_endpoints:\n{public}"
        "jobtype_extra:\n  entrypoint_path: job.py\n"
    )
    for path, text in {"job.yaml": manifest, "job.py": textwrap.dedent(CODE), **FILES}.items():
        target = job / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    ledger = Ledger(store)
    ledger.make()
    ledger.add_token("alice", TOKEN, kind="user", note="", expires=None)
    for approval in (*((NAME, VERSION, path) for path in APPROVED), *IDLE_APPROVALS):
        ledger.approve(*approval)
    return job, store


def model(mount: bytes = b"") -> Model:
    """What is to become of requests to that job."""
    listed, approved = ([path.encode() for path in paths] for paths in (LISTED, APPROVED))
    return Model(listed, approved, ROUTES, mount)


def runs_by(page: str) -> dict[str, int]:
    """By word, how often something ran, as the job's own metrics tell."""
    found = re.findall(r'^ran\{word="([a-z-]+)"\} (\d+)', page, re.MULTILINE)
    return {f"ran-{word}": int(count) for word, count in found}
