"""Files, pages and endpoints with names in their paths, under every way of serving (SPEC 4.1, 4.7)."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import pytest

from tests.commands import WAYS
from tests.conftest import MakeJob
from tests.servers import ask
from tests.test_every_server import PLACES, Serving, serving

__all__ = ["serving"]

JOB = """
    from wsgiref.util import FileWrapper

    from pyjob import EndpointConfig

    class Job:
        def perform(self, n: int = 0):
            return n

        def auxiliary_endpoints_v2(self):
            return [EndpointConfig("/twice/{n}", "GET", lambda n: [n, n])]

        def static_endpoints(self):
            return {"/big": "big.bin", "/files": "files"}

        def webview_app(self, base_url):
            def app(environ, start_response):
                body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                rest = environ["PATH_INFO"].removeprefix(base_url)
                if rest == "/file":
                    start_response("200 OK", [("Content-Type", "application/octet-stream")])
                    return environ.get("wsgi.file_wrapper", FileWrapper)(open("big.bin", "rb"))
                start_response("201 Created", [("Content-Type", "text/plain")])
                return (piece for piece in [(environ["SCRIPT_NAME"] + rest).encode("latin-1"), b"", body])
            return app
"""


@pytest.mark.parametrize(
    ("name", "mount"), PLACES, ids=[f"{name}{', mounted' * bool(mount)}" for name, mount in PLACES]
)
def test_every_server_serves_files_and_pages(
    serving: Serving,
    make_job: MakeJob,
    name: str,
    mount: str,
) -> None:
    folder = make_job(JOB, files={"files/ä b.txt": "text", "files/index.html": "<p>", "static/s.css": "s"})
    big = os.urandom(3_000_000)
    (folder / "big.bin").write_bytes(big)
    with serving(WAYS[name], folder, mount=mount) as server:

        def answer(
            method: str, path: str, body: bytes | None = None, **headers: str
        ) -> tuple[int, dict[str, str], Any]:
            return ask(server, method, mount + path, body, **headers)

        status, headers, body = answer("GET", "/api/v1/big")
        assert (status, digest(body)) == (200, digest(big))
        etag = headers["Etag"]
        assert answer("GET", "/big", If_None_Match=etag)[0] == 304
        status, headers, body = answer("GET", "/pub/job/a/1/big", Range="bytes=2999990-")
        assert (status, body) == (206, big[-10:])
        assert headers["Content-Range"] == "bytes 2999990-2999999/3000000"
        assert answer("GET", "/big", Range="bytes=1000-2000999")[2] == big[1000:2001000]
        assert answer("GET", "/big", Range="bytes=3000000-")[0] == 416
        status, headers, body = answer("HEAD", "/big")
        assert (status, headers["Content-Length"], body) == (200, "3000000", b"")
        assert answer("GET", "/files/%C3%A4%20b.txt")[2] == b"text"
        assert answer("GET", "/files/")[2] == b"<p>"
        assert answer("GET", "/files/../job.py")[0] in (400, 404)
        assert answer("GET", "/webview/static/s.css")[2] == b"s"
        assert answer("GET", "/api/v1/twice/21")[2] == [21, 21]

        status, headers, body = answer("POST", "/webview/x/%C3%A4", b"sent")
        assert (status, body.decode()) == (201, f"{mount}/x/äsent")
        assert digest(answer("GET", "/webview/file")[2]) == digest(big)
        status, headers, body = answer("HEAD", "/webview/")
        assert (status, body) == (201, b"")
        status, headers, _ = answer("GET", "/api/v1/webview?a=b")
        assert (status, headers["Location"]) == (307, f"{mount}/api/v1/webview/?a=b")


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
