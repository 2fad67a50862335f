"""Large files from real servers: in constant memory, for slow readers, and while they change."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import MakeJob
from tests.servers import PATIENCE, Server, ask, pyjob_run, started

JOB = """
import hashlib
from pathlib import Path
from typing import BinaryIO

from pyjob import EndpointConfig, Response

from werkzeug.datastructures import FileStorage

class Job:
    def perform(self):
        return 1

    def digest(self, file: BinaryIO):
        return hashlib.file_digest(file, "sha1").hexdigest()

    def upload(self, file: FileStorage, note: str = ""):
        return hashlib.file_digest(file, "sha1").hexdigest()

    def auxiliary_endpoints(self):
        return {"/digest": self.digest, "/upload": self.upload}

    def path(self, name: str):
        return Response(Path("static", name))

    def file(self, name: str):
        return Path("static", name).open("rb")

    def auxiliary_endpoints_v2(self):
        return [
            EndpointConfig("/path/{name}", "GET", self.path),
            EndpointConfig("/file/{name}", "GET", self.file),
        ]

    def static_endpoints(self):
        return {"/files": "static"}
"""
MEGABYTE = 1024 * 1024
# More than any socket holds between a server and a client that does not read.
LARGE = 100 * MEGABYTE
# More than there may be threads for requests that only read.
READERS = 40


class Site:
    """A job under `pyjob run`, and its folder of files."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def make(self, name: str, size: int) -> Path:
        """A file of so many zeros, which take no room on the disk."""
        file = self.folder / name
        file.touch()
        os.truncate(file, size)
        return file

    def begin(self, name: str) -> socket.socket:
        """The connection of a reader who has seen the first byte of a body, and then stops."""
        reader = socket.socket()
        reader.settimeout(PATIENCE)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", self.server.port))
        reader.sendall(f"GET /files/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        seen = b""
        while not (end := seen.find(b"\r\n\r\n") + 4) > 4 or len(seen) <= end:
            piece = reader.recv(100)
            assert piece, seen
            seen += piece
        assert seen.startswith(b"HTTP/1.1 200 OK"), seen
        return reader

    def memory(self, kind: str) -> int:
        """What the process takes now (VmRSS) or has taken at most (VmHWM), in bytes."""
        status = Path(f"/proc/{self.server.process.pid}/status")
        if not status.exists():
            pytest.skip("there is no /proc")
        found = re.search(rf"^{kind}:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        assert found
        return int(found[1]) * 1024


def read_to_the_end(reader: socket.socket) -> int:
    """How many bytes come before the server closes the connection."""
    received = 0
    try:
        while piece := reader.recv(MEGABYTE):
            received += len(piece)
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the server puts what it keeps on the disk."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def site(make_job: MakeJob, temporary: Path) -> Iterator[Site]:
    folder = make_job(JOB, files={"static/small.txt": "small"}, extra={"max_body_size": "2Gi"})
    with started(pyjob_run(folder), env={"TMPDIR": str(temporary)}) as server:
        server.wait_until("/ready", 200)
        yield Site(server, folder / "static")


def test_slow_readers_hold_no_thread(site: Site) -> None:
    site.make("large.bin", LARGE)
    with ExitStack() as readers:
        for _ in range(READERS):
            readers.enter_context(site.begin("large.bin"))
        assert ask(site.server, "GET", "/live")[0] == 200
        assert ask(site.server, "POST", "/perform")[2] == 1
        assert ask(site.server, "GET", "/files/small.txt")[2] == b"small"


def test_a_file_that_shrinks_while_it_is_sent_ends_its_connection_and_no_other(site: Site) -> None:
    file = site.make("large.bin", LARGE)
    with site.begin("large.bin") as first, site.begin("large.bin") as second:
        os.truncate(file, 1024)
        # Neither waits for what does not come.
        assert read_to_the_end(first) < LARGE
        assert ask(site.server, "GET", "/live")[0] == 200
        assert read_to_the_end(second) < LARGE
    assert ask(site.server, "GET", "/files/large.bin")[1]["Content-Length"] == "1024"
    site.server.stop()
    assert site.server.output.count("large.bin has become shorter while it was sent") == 2


def test_a_reader_that_leaves_leaves_no_file_open(site: Site) -> None:
    file = site.make("large.bin", LARGE)
    descriptors = Path(f"/proc/{site.server.process.pid}/fd")
    if not descriptors.exists():
        pytest.skip("there is no /proc")

    def leads_to_file(descriptor: Path) -> bool:
        try:
            return descriptor.samefile(file)
        except OSError:  # closed since it was listed
            return False

    def count() -> int:
        return sum(map(leads_to_file, descriptors.iterdir()))

    with site.begin("large.bin"), site.begin("large.bin"):
        assert count() == 2
    deadline = time.monotonic() + PATIENCE
    while count() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert count() == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_curl_gets_parts_resumes_and_asks_whether_a_file_has_changed(site: Site, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (site.folder / "data.bin").write_bytes(content)
    os.utime(site.folder / "data.bin", (1_700_000_000, 1_700_000_000))
    url, out, tag = f"{site.server.url}/files/data.bin", tmp_path / "out", tmp_path / "tag"

    def curl(*options: str | Path) -> str:
        command = ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "%{http_code}"]
        ended = subprocess.run([*command, *options, url], capture_output=True, text=True, check=True)
        return ended.stdout

    assert curl("--range", "1000-1999", "--output", out) == "206"
    assert out.read_bytes() == content[1000:2000]
    assert curl("--range", "-7", "--output", out) == "206"
    assert out.read_bytes() == content[-7:]
    out.write_bytes(content[:100_000])
    assert curl("--continue-at", "-", "--output", out) == "206"
    assert out.read_bytes() == content
    assert curl("--etag-save", tag, "--output", out) == "200"
    assert curl("--etag-compare", tag, "--output", out) == "304"
    assert curl("--time-cond", "Wed, 15 Nov 2023 00:00:00 GMT", "--output", out) == "304"
    assert curl("--time-cond", "Tue, 14 Nov 2023 00:00:00 GMT", "--output", out) == "200"
    assert curl("--head", "--output", tmp_path / "head") == "200"
    assert "Content-Length: 300000" in (tmp_path / "head").read_text()
    assert out.read_bytes() == content


def test_an_answer_without_a_body_keeps_its_connection(site: Site) -> None:
    site.make("file", 10)
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=PATIENCE)
    etag = ""
    for status in (200, 304, 304):
        connection.request("GET", "/files/file", headers={"If-None-Match": etag})
        answer = connection.getresponse()
        answer.read()
        etag = answer.headers["ETag"]
        assert (answer.status, answer.headers["Connection"]) == (status, None)
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["files", "path", "file"])
def test_a_file_of_a_gigabyte_takes_no_memory(
    site: Site, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    size = 1024 * MEGABYTE
    site.make("huge.bin", size)
    site.make("warm.bin", LARGE)
    ask(site.server, "GET", f"/{way}/warm.bin")
    before = site.memory("VmRSS")
    peak_before = site.memory("VmHWM")
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=PATIENCE)
    connection.request("GET", f"/{way}/huge.bin")
    answer = connection.getresponse()
    received = 0
    while piece := answer.read(MEGABYTE):
        received += len(piece)
    took = time.monotonic() - began
    connection.close()
    after, peak = site.memory("VmRSS"), site.memory("VmHWM")
    with capsys.disabled():
        figures = [f"{figure / MEGABYTE:.1f}" for figure in (before, after, peak_before, peak)]
        print("\n1 GB in {:.1f} s; MiB: RSS {} -> {}, most {} -> {}".format(took, *figures))
    assert received == size
    assert after - before < 10 * MEGABYTE
    assert peak - before < 10 * MEGABYTE


@pytest.mark.slow
def test_a_part_beyond_two_gigabytes_is_found(site: Site) -> None:
    size = 5 * 1024 * MEGABYTE
    at = size - 1000
    file = site.make("huge.bin", size)
    with file.open("r+b") as writing:
        writing.seek(at)
        writing.write(b"here it is")
    status, headers, body = ask(site.server, "GET", "/files/huge.bin", Range=f"bytes={at}-{at + 9}")
    assert (status, body) == (206, b"here it is")
    assert headers["Content-Range"] == f"bytes {at}-{at + 9}/{size}"
    status, headers, body = ask(site.server, "GET", "/files/huge.bin", Range="bytes=-1000")
    assert (status, body[:10], len(body)) == (206, b"here it is", 1000)
    assert ask(site.server, "HEAD", "/files/huge.bin")[1]["Content-Length"] == str(size)


HEAD = b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="huge.bin"\r\n\r\n'
TAIL = b'\r\n--XyZ\r\nContent-Disposition: form-data; name="note"\r\n\r\nthe end\r\n--XyZ--\r\n'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "content_type", "head", "tail"),
    [
        ("/digest", "application/octet-stream", b"", b""),
        ("/upload", "multipart/form-data; boundary=XyZ", HEAD, TAIL),
    ],
    ids=["body", "form"],
)
def test_an_upload_of_a_gigabyte_takes_no_memory(
    site: Site,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
    path: str,
    content_type: str,
    head: bytes,
    tail: bytes,
) -> None:
    # Full of what might be a boundary, and is none.
    piece = (os.urandom(1000) + b"\r\n--Xy\r\n") * 1000

    def send(count: int) -> tuple[str, str]:
        """The digest of so many pieces, as the server and as the client knows it."""
        digest = hashlib.sha1()

        def pieces() -> Iterator[bytes]:
            yield head
            for _ in range(count):
                digest.update(piece)
                yield piece
            yield tail

        length = len(head) + count * len(piece) + len(tail)
        headers = {"Content-Type": content_type, "Content-Length": str(length)}
        connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=PATIENCE)
        connection.request("POST", path, pieces(), headers)
        told = json.loads(connection.getresponse().read())
        connection.close()
        return told, digest.hexdigest()

    send(2)
    before, peak_before = site.memory("VmRSS"), site.memory("VmHWM")
    began = time.monotonic()
    told, known = send(1024 * MEGABYTE // len(piece) + 1)
    took = time.monotonic() - began
    after, peak = site.memory("VmRSS"), site.memory("VmHWM")
    with capsys.disabled():
        figures = [f"{figure / MEGABYTE:.1f}" for figure in (before, after, peak_before, peak)]
        print("\n1 GB in {:.1f} s; MiB: RSS {} -> {}, most {} -> {}".format(took, *figures))
    assert told == known
    assert after - before < 20 * MEGABYTE
    assert peak - before < 20 * MEGABYTE
    site.server.assert_leaves_nothing_in(temporary)
