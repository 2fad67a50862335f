"""Files of a job: which are served and which never, conditions and ranges (SPEC 1, 4.1; RFC 9110)."""

from __future__ import annotations

import logging
import os
import re
import socket
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote_to_bytes
from wsgiref.validate import validator

import pytest
from werkzeug.http import http_date
from werkzeug.test import Client, EnvironBuilder
from werkzeug.wsgi import FileWrapper

from pyjob.apps.static import FolderRoom
from pyjob.routing.links import PATH
from pyjob.routing.table import REST
from tests.conftest import ClientOf, JobClient, MakeJob
from tests.views import without_ids

JOB = """
# SECRET code
class Job:
    def perform(self):
        return 1

    def static_endpoints(self):
        return {
            "/files": "static",
            "/one": "static/a.txt",
            "/typed": ("static/a.txt", "text/csv"),
            "/typed_fully": ("static/a.txt", "text/html; charset=latin-1"),
        }
"""
TEXT = b"0123456789"
THEN = 1_700_000_000
BEFORE, AFTER = http_date(THEN - 1), http_date(THEN + 1)


class Site:
    """A job with a folder of files, and its client."""

    def __init__(self, job: Path, client: JobClient) -> None:
        self.job = job
        self.folder = job / "static"
        self.client = client

    def write(self, name: str, content: bytes = TEXT) -> Path:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        os.utime(file, (THEN, THEN))
        return file

    def get(self, path: str, method: str = "GET", **headers: str) -> Any:
        """``path`` is text, below the folder's endpoint."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(f"/files{quote(path)}", method=method, headers=names)


@pytest.fixture
def site(make_job: MakeJob, client_of: ClientOf) -> Site:
    job = make_job(JOB, files={"static/a.txt": TEXT.decode()})
    made = Site(job, client_of(job))
    made.write("a.txt")
    return made


def is_nothing(answer: Any) -> bool:
    """Whether ``answer`` is a 404 as it should be."""
    assert answer.status_code == 404, (answer.status, answer.data[:100])
    assert set(answer.json) == {"error", "type"}
    return bool(answer.headers["X-Content-Type-Options"] == "nosniff")


def is_open(file: Path) -> bool:
    """Whether this process has ``file`` open."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("there is no /proc")
    for descriptor in descriptors.iterdir():
        try:
            if descriptor.samefile(file):
                return True
        except OSError:
            continue
    return False


def test_a_file_comes_with_all_that_is_known_of_it(site: Site) -> None:
    answer = site.get("/a.txt")
    assert (answer.status_code, answer.data) == (200, TEXT)
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Last-Modified"] == http_date(THEN)
    assert re.fullmatch(r'"[0-9a-f]+-[0-9a-f]+"', answer.headers["ETag"])
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    head = site.get("/a.txt", "HEAD")
    assert (head.status_code, head.data) == (200, b"")
    assert without_ids(head.headers) == without_ids(answer.headers)


@pytest.mark.parametrize("start", ["", "/api/v1", "/pub/job/sample/latest", "/pub/fatman/ä b/1/api/v1"])
def test_files_answer_below_every_prefix(site: Site, start: str) -> None:
    for path in ("/files/a.txt", "/one", "/typed"):
        assert site.client.get(start + path).data == TEXT
        assert site.client.post(start + path).headers["Allow"] == "GET, HEAD"


def test_the_authors_mime_type_is_sent_and_text_without_a_charset_is_utf_8(site: Site) -> None:
    assert site.client.get("/one").content_type == "text/plain; charset=utf-8"
    assert site.client.get("/typed").content_type == "text/csv; charset=utf-8"
    assert site.client.get("/typed_fully").content_type == "text/html; charset=latin-1"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html; charset=utf-8"),
        ("a.JS", "text/javascript; charset=utf-8"),
        ("a.mjs", "text/javascript; charset=utf-8"),
        ("a.css", "text/css; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.md", "text/markdown; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.xml", "application/xml"),
        ("a.yaml", "application/yaml"),
        ("a.yml", "application/yaml"),
        ("a.toml", "application/toml"),
        ("a.svg", "image/svg+xml"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.woff", "font/woff"),
        ("a.woff2", "font/woff2"),
        ("a.wasm", "application/wasm"),
        ("a.ipynb", "application/x-ipynb+json"),
        ("a.parquet", "application/vnd.apache.parquet"),
        ("a.geojson", "application/geo+json"),
        ("a.pdf", "application/pdf"),
        ("a.tar.gz", "application/gzip"),
        ("a.csv.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.json.bz2", "application/x-bzip2"),
        ("a.html.br", "application/octet-stream"),
        ("a.unheard-of", "application/octet-stream"),
        ("html", "application/octet-stream"),
        ("data:,a", "application/octet-stream"),
        ("[a.txt", "text/plain; charset=utf-8"),
    ],
)
def test_a_type_is_guessed_by_the_name_alone(site: Site, name: str, content_type: str) -> None:
    site.write(name)
    answer = site.get(f"/{name}")
    assert answer.headers["Content-Type"] == content_type
    assert "Content-Encoding" not in answer.headers


NAMES = [
    *(
        "{x}.txt",
        "ä ö.txt",
        "日本語/文.txt",
        "😀",
        "a%20b.txt",
        "a+b;c=d.txt",
        "a?b#c.txt",
        "a\nb",
        "e\u0301",
        "~",
    ),
    *(
        ".well-known/security.txt",
        "CON",
        "a.",
        "a ",
        "a/c..",
        "'\"<>&|*.txt",
        "x" * 250,
        "/".join("abcdefgh" * 9),
    ),
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:40]))
def test_a_name_is_looked_up_as_it_is_in_any_script(site: Site, name: str) -> None:
    site.write(name, name.encode())
    assert site.get(f"/{name}").data == name.encode()


def test_a_folder_is_its_index_under_its_path_with_a_slash(site: Site, mount: str) -> None:
    assert is_nothing(site.get(""))
    assert is_nothing(site.get("/"))
    site.write("index.html", b"top")
    site.write("ü b/index.html", b"below")
    for path, body in (("", b"top"), ("/ü b", b"below")):
        answer = site.client.get(f"/pub/job/j/1/files{quote(path)}?x=%20y")
        place = f"{mount}/pub/job/j/1/files{quote(path)}/?x=%20y"
        assert (answer.status_code, answer.headers["Location"]) == (307, place)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert site.get(f"{path}/").data == body
        assert site.get(f"{path}/").content_type == "text/html; charset=utf-8"
        assert site.get(path, "HEAD").status_code == 307


def test_a_folder_that_has_no_index_or_a_folder_for_one_is_404(site: Site) -> None:
    site.write("sub/a.txt")
    (site.folder / "odd" / "index.html").mkdir(parents=True)
    for path in ("/sub", "/sub/", "/odd", "/odd/", "/a.txt/", "/a.txt/index.html", "/index.html/"):
        assert is_nothing(site.get(path))


HOSTILE = [
    *("/../job.py", "/%2e%2e/job.py", "/%2E%2E%2Fjob.py", "/..%2fjob.py", "/%252e%252e/job.py"),
    *("/..%252fjob.py", "/sub/../../job.py", "/sub/%2e%2e/%2e%2e/job.py", "/./../job.py", "/.../job.py"),
    *("/....//job.py", "/..;/job.py", "/..%3b/job.py", "/..%00/job.py", "/../job.py%00.txt", "/a.txt%00"),
    *("/..\\job.py", "/..%5cjob.py", "/%2e%2e%5cjob.py", "/sub\\..\\..\\job.py", "/%5c..%5c..%5cjob.py"),
    *("//job.py", "///etc/passwd", "//etc/passwd", "/%2fetc/passwd", "/%2f%2fetc%2fpasswd", "%2fetc/passwd"),
    *("/%c0%ae%c0%ae/job.py", "/%c0%ae%c0%ae%c0%afjob.py", "/%e0%80%ae%e0%80%ae/job.py", "/..%c0%afjob.py"),
    *("/%f0%80%80%ae/job.py", "/..%c1%9cjob.py", "/%ff%fe", "/%ed%a0%80", "/\uff0e\uff0e/job.py"),
    *("/\u2025/job.py", "/..\u2215job.py", "/..\uff0fjob.py", "/\u2024\u2024/job.py", "/%u002e%u002e/job.py"),
    *("/.hidden", "/.git/config", "/sub/.hidden", "/.", "/..", "/...", "/.well-known/../.hidden"),
    *("/.well-known/.hidden", "/out.txt", "/out/outside.txt", "/up/job.py/..", "/loop", "/dangling"),
    *("/a.txt/.", "/a.txt/..", "/a.txt/../.hidden", "/a.txt%20", "/a.txt.", "/A.TXT", "/a.txt::$DATA"),
    *(
        "/C:/job.py",
        "/C:%5cjob.py",
        "/file:///etc/passwd",
        "/~/job.py",
        "/~root",
        "/$HOME",
        "/job.py%0d%0aX: y",
    ),
    *(
        "/" + "../" * 50 + "etc/passwd",
        "/" + "x" * 256,
        "/" + "x/" * 4000,
        "/" + "%2e%2e%2f" * 30 + "etc/passwd",
    ),
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: ascii(path[:40]))
def test_a_hostile_path_gives_no_file(site: Site, tmp_path: Path, path: str) -> None:
    (tmp_path / "outside.txt").write_text("SECRET")
    for name in (
        ".hidden",
        ".git/config",
        "sub/.hidden",
        ".well-known/.hidden",
        "sub/a.txt",
        ".well-known/a",
    ):
        site.write(name, b"SECRET")
    (site.folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (site.folder / "out").symlink_to(tmp_path)
    (site.folder / "loop").symlink_to("loop")
    (site.folder / "dangling").symlink_to("nowhere")
    # As servers do: percent signs are decoded once, and bytes handed on as latin-1.
    called = b"/files" + unquote_to_bytes(path)
    answer = site.client.get("/", environ_overrides={"PATH_INFO": called.decode("latin-1")})
    assert answer.status_code in (400, 404), answer.data[:100]
    assert b"SECRET" not in answer.data
    assert b"root:" not in answer.data
    assert set(answer.json) == {"error", "type"}
    assert len(answer.data) < 700


@pytest.mark.parametrize(
    "rest", ["/\0", "/\ud800", "/a.txt\0", "a.txt", "//", "/./a.txt", "/sub/../a.txt"], ids=ascii
)
def test_a_room_by_itself_gives_no_file_for_a_name_that_none_can_have(site: Site, rest: str) -> None:
    site.write("sub/a.txt")
    room = FolderRoom(site.folder, site.job, frozenset())
    # The dispatcher lets none of these pass. Others are like them where names are not in UTF-8 on the disk.
    overrides = {REST: rest, PATH: f"/files{rest}"}
    assert is_nothing(Client(validator(room)).get("/files", buffered=True, environ_overrides=overrides))


def test_a_link_is_followed_within_the_jobs_folder_only(site: Site, tmp_path: Path) -> None:
    (site.job / "model.json").write_text("{}")
    (site.folder / "inside.json").symlink_to("../model.json")
    assert site.get("/inside.json").data == b"{}"
    assert site.get("/inside.json").content_type == "application/json"
    (tmp_path / "sample-other").mkdir()
    (tmp_path / "sample-other" / "secret.txt").write_text("SECRET")
    (site.folder / "neighbour").symlink_to(tmp_path / "sample-other")
    assert is_nothing(site.get("/neighbour/secret.txt"))
    (site.folder / "a.txt").unlink()
    (site.folder / "a.txt").symlink_to(tmp_path / "sample-other" / "secret.txt")
    assert is_nothing(site.client.get("/one"))


def test_a_secret_file_is_never_served_whatever_it_is_called(
    make_job: MakeJob, client_of: ClientOf, tmp_path: Path
) -> None:
    field = "secret_runtime_env_file: static/secret.txt"
    job = make_job(JOB, fields=field, files={"static/a.txt": "a", "static/secret.txt": "KEY=SECRET"})
    site = Site(job, client_of(job))
    site.write("other/a.txt")
    (site.folder / "link.txt").symlink_to("secret.txt")
    (site.folder / "hard.txt").hardlink_to(site.folder / "secret.txt")
    (site.folder / "folder").symlink_to(".")
    for path in ("/secret.txt", "/link.txt", "/hard.txt", "/folder/secret.txt"):
        assert is_nothing(site.get(path)), path
    assert site.get("/other/a.txt").data == TEXT
    (site.folder / "secret.txt").unlink()
    assert site.get("/other/a.txt").data == TEXT
    assert is_nothing(site.get("/secret.txt"))


def test_a_long_chain_of_links_is_followed_or_is_404(site: Site) -> None:
    before = "a.txt"
    for number in range(1500):
        (site.folder / f"link{number}").symlink_to(before)
        before = f"link{number}"
    assert site.get("/link3").data == TEXT
    # Newer versions of Python follow as many as there are.
    assert site.get(f"/{before}").status_code in (200, 404)


def make_socket(path: Path) -> None:
    os.chdir(path.parent)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path.name)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except OSError:
        pytest.skip("devices can be made by root only")


@pytest.mark.parametrize(
    "make", [os.mkfifo, make_socket, make_device, Path.mkdir], ids=lambda make: make.__name__
)
def test_what_is_no_file_is_404_and_nobody_waits_for_it(site: Site, make: Callable[[Path], None]) -> None:
    make(site.folder / "odd.txt")
    assert is_nothing(site.get("/odd.txt"))
    (site.folder / "a.txt").unlink()
    make(site.folder / "a.txt")
    assert is_nothing(site.client.get("/one"))


def test_a_file_that_may_not_be_read_is_404(site: Site) -> None:
    file = site.write("a.txt")
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("root may read everything")
    assert is_nothing(site.get("/a.txt"))


def test_a_file_that_is_gone_is_404_and_one_that_comes_later_is_served(site: Site) -> None:
    (site.folder / "a.txt").unlink()
    assert is_nothing(site.client.get("/one"))
    assert site.client.open("/one", method="HEAD").status_code == 404
    site.write("a.txt", b"new")
    assert site.client.get("/one").data == b"new"
    assert is_nothing(site.get("/later"))
    site.write("later", b"now")
    assert site.get("/later").data == b"now"


def test_conditions_are_kept_in_their_order(site: Site) -> None:
    fresh = site.get("/a.txt")
    tag = fresh.headers["ETag"]
    now = fresh.headers["Last-Modified"]
    cases: list[tuple[int, dict[str, str]]] = [
        (304, {"If_None_Match": tag}),
        (304, {"If_None_Match": f"W/{tag}"}),
        (304, {"If_None_Match": f'"x", {tag}'}),
        (304, {"If_None_Match": "*"}),
        (200, {"If_None_Match": '"x"'}),
        (304, {"If_Modified_Since": now}),
        (304, {"If_Modified_Since": AFTER}),
        (200, {"If_Modified_Since": BEFORE}),
        (200, {"If_None_Match": '"x"', "If_Modified_Since": AFTER}),
        (200, {"If_Modified_Since": "no date"}),
        (200, {"If_Modified_Since": "Mon, 01 Jan 2024 00:00:00 +99999999999999999999"}),
        (200, {"If_Match": tag}),
        (200, {"If_Match": "*"}),
        (200, {"If_Match": f'"x", {tag}'}),
        (412, {"If_Match": '"x"'}),
        (412, {"If_Match": f"W/{tag}"}),
        (412, {"If_Match": '"x"', "If_None_Match": tag}),
        (304, {"If_Match": tag, "If_None_Match": tag}),
        (200, {"If_Unmodified_Since": now}),
        (412, {"If_Unmodified_Since": BEFORE}),
        (200, {"If_Match": tag, "If_Unmodified_Since": BEFORE}),
        (304, {"If_None_Match": tag, "Range": "bytes=0-1"}),
        (412, {"If_Match": '"x"', "Range": "bytes=0-1"}),
    ]
    for status, headers in cases:
        for method in ("GET", "HEAD"):
            answer = site.get("/a.txt", method, **headers)
            assert answer.status_code == status, headers
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if status == 304:
                assert answer.data == b""
                assert not {"Content-Length", "Content-Type"} & set(answer.headers.keys())
                for name in ("ETag", "Last-Modified", "Cache-Control"):
                    assert answer.headers[name] == fresh.headers[name]
            elif status == 412 and method == "GET":
                assert answer.json["type"] == "Precondition Failed"


def test_a_file_that_changes_has_another_tag(site: Site) -> None:
    tags = {site.get("/a.txt").headers["ETag"]}
    site.write("a.txt", b"of another length")
    tags.add(site.get("/a.txt").headers["ETag"])
    os.utime(site.folder / "a.txt", ns=(THEN, THEN * 10**9 + 1))
    tags.add(site.get("/a.txt").headers["ETag"])
    assert len(tags) == 3


@pytest.mark.parametrize("seconds", [-(10**9), 0, 4 * 10**9])
def test_a_file_of_an_odd_time_is_served_and_its_date_is_none_of_the_future(site: Site, seconds: int) -> None:
    os.utime(site.folder / "a.txt", (seconds, seconds))
    answer = site.get("/a.txt")
    assert answer.data == TEXT
    assert answer.last_modified <= datetime.now(UTC)


def test_one_range_is_206_and_what_cannot_be_satisfied_416(site: Site) -> None:
    cases = [
        ("bytes=0-0", "0", "0-0"),
        ("bytes=2-5", "2345", "2-5"),
        ("bytes=7-", "789", "7-9"),
        ("bytes=-3", "789", "7-9"),
        ("bytes=-99", "0123456789", "0-9"),
        ("bytes=8-99", "89", "8-9"),
        ("bytes = 1-2", "12", "1-2"),
        ("BYTES=1-2", "12", "1-2"),
        ("bytes=1-99999999999999999999999", "123456789", "1-9"),
    ]
    for asked, body, place in cases:
        answer = site.get("/a.txt", Range=asked)
        assert (answer.status_code, answer.text) == (206, body), asked
        assert answer.headers["Content-Range"] == f"bytes {place}/10"
        assert answer.headers["Content-Length"] == str(len(body))
        assert answer.content_type == "text/plain; charset=utf-8"
        assert {"ETag", "Last-Modified", "Cache-Control", "X-Content-Type-Options"} < set(
            answer.headers.keys()
        )
    for asked in ("bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"):
        answer = site.get("/a.txt", Range=asked)
        assert answer.status_code == 416, asked
        assert answer.headers["Content-Range"] == "bytes */10"
        assert answer.json == {"error": "the file has 10 bytes", "type": "Requested Range Not Satisfiable"}


NO_RANGES = [
    *(
        "bytes=5-2",
        "bytes=",
        "bytes=-",
        "bytes",
        "bytes=a-b",
        "bytes=1",
        "lines=0-1",
        "bytes=0-1,4-5",
        "=0-1",
    ),
    *("bytes=+1-2", "bytes=1-2-3", "bytes=--1", "bytes=\xb2-\xb3", f"bytes={'9' * 5000}-", "", "bytes=1_0-"),
]


@pytest.mark.parametrize("asked", NO_RANGES, ids=lambda asked: ascii(asked[:20]))
def test_a_range_that_is_not_understood_and_several_are_ignored(site: Site, asked: str) -> None:
    answer = site.client.get("/files/a.txt", environ_overrides={"HTTP_RANGE": asked})
    assert (answer.status_code, answer.data) == (200, TEXT)


def test_only_get_has_ranges(site: Site) -> None:
    head = site.get("/a.txt", "HEAD", Range="bytes=0-1")
    assert (head.status_code, head.headers["Content-Length"]) == (200, "10")
    assert site.get("/a.txt", "HEAD", Range="bytes=99-").status_code == 200


def test_a_range_is_given_only_if_it_is_of_the_same_file(site: Site) -> None:
    tag, date = (site.get("/a.txt").headers[name] for name in ("ETag", "Last-Modified"))
    for condition in (tag, date):
        assert site.get("/a.txt", Range="bytes=1-2", If_Range=condition).text == "12"
    for condition in (f"W/{tag}", '"x"', BEFORE, AFTER, "*", tag.strip('"'), "no date", ""):
        answer = site.get("/a.txt", Range="bytes=1-2", If_Range=condition)
        assert (answer.status_code, answer.data) == (200, TEXT), condition
    # What would not be satisfiable is not even asked for.
    assert site.get("/a.txt", Range="bytes=99-", If_Range='"x"').status_code == 200


@pytest.mark.parametrize("asked", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=5-9", None])
def test_an_empty_file_is_whole_whatever_part_is_asked_for(site: Site, asked: str | None) -> None:
    site.write("empty.txt", b"")
    answer = site.get("/empty.txt", **({"Range": asked} if asked else {}))
    assert (answer.status_code, answer.data, answer.headers["Content-Length"]) == (200, b"", "0")


def test_any_range_is_the_slice_that_the_rfc_says(site: Site) -> None:
    hypothesis = pytest.importorskip("hypothesis")
    strategies = pytest.importorskip("hypothesis.strategies")
    numbers = strategies.none() | strategies.integers(0, 40)

    def holds(size: int, first: int | None, last: int | None) -> None:
        content = bytes(range(size))
        (site.folder / "part.bin").write_bytes(content)
        asked = f"bytes={'' if first is None else first}-{'' if last is None else last}"
        answer = site.get("/part.bin", Range=asked)
        is_invalid = first is None is last or (first is not None and last is not None and last < first)
        if is_invalid or not size:
            assert (answer.status_code, answer.data) == (200, content)
            return
        if first is None:
            expected = content[-last:] if last else b""
        else:
            expected = content[first:] if last is None else content[first : last + 1]
        if not expected:
            assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")
            return
        assert (answer.status_code, answer.data) == (206, expected)
        start = expected[0]
        place = f"bytes {start}-{start + len(expected) - 1}/{size}"
        assert answer.headers["Content-Range"] == place

    given = hypothesis.given(strategies.integers(0, 30), numbers, numbers)
    hypothesis.settings(database=None, max_examples=300)(given(holds))()


def test_a_body_goes_through_the_servers_file_wrapper(site: Site) -> None:
    wrapped: list[FileWrapper] = []

    def wrapper(file: Any, size: int = 0) -> FileWrapper:
        wrapped.append(FileWrapper(file, 3))
        return wrapped[-1]

    overrides = {"wsgi.file_wrapper": wrapper}
    text = b"0123456789" * 10_000
    (site.folder / "large.txt").write_bytes(text)
    whole = site.client.get("/files/large.txt", environ_overrides=overrides)
    range_ = {"Range": "bytes=2-80001"}
    part = site.client.get("/files/large.txt", environ_overrides=overrides, headers=range_)
    assert whole.data == text
    assert part.data == text[2:80002]
    assert not is_open(site.folder / "large.txt")
    # What a server would send past the file, from its beginning or beyond its length.
    assert not hasattr(wrapped[1].file, "fileno")
    site.client.open("/files/large.txt", method="HEAD", environ_overrides=overrides)
    assert len(wrapped) == 2


def test_what_is_short_is_sent_at_once_and_keeps_no_descriptor(site: Site) -> None:
    overrides = {"wsgi.file_wrapper": lambda *_: pytest.fail("wrapped")}
    (site.folder / "large.txt").write_bytes(b"0123456789" * 10_000)
    for name, asked in (("a.txt", "bytes=0-"), ("large.txt", "bytes=99990-")):
        answer = site.client.get(f"/files/{name}", environ_overrides=overrides, headers={"Range": asked})
        assert (answer.status_code, answer.data[-3:]) == (206, b"789")
        assert not is_open(site.folder / name)


def test_what_a_server_gets_is_a_file_of_its_own(site: Site) -> None:
    files: list[Any] = []

    def wrapper(file: Any, size: int = 0) -> Iterable[bytes]:
        files.append(file)
        return [file.read(2), file.read(99_999), file.read(1)]

    overrides = {"wsgi.file_wrapper": wrapper}
    text = b"0123456789" * 10_000
    (site.folder / "large.txt").write_bytes(text)
    asked = {"Range": "bytes=3-80002"}
    answer = site.client.get("/files/large.txt", environ_overrides=overrides, headers=asked)
    assert answer.data == text[3:80003]
    (file,) = files
    ends = (file.tell(), file.seek(0, os.SEEK_END), file.seek(-2, os.SEEK_CUR))
    assert ends == (80_000, 80_000, 79_998)
    assert (file.read(), file.read(), file.seek(1), file.read(1)) == (b"12", b"", 1, b"4")
    assert file.seek(-9) == 0
    file.close()


@pytest.mark.parametrize(
    "headers",
    [{}, {"If-None-Match": "*"}, {"If-Match": '"x"'}, {"Range": "bytes=99-"}, {"Range": "bytes=1-2"}],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_is_closed_however_it_was_answered(site: Site, method: str, headers: dict[str, str]) -> None:
    file = site.folder / "a.txt"
    answer = site.client.open("/files/a.txt", method=method, headers=headers)
    assert answer.status_code in (200, 206, 304, 412, 416)
    assert not is_open(file)


def test_a_file_is_closed_if_nobody_reads_on_or_the_server_fails(site: Site) -> None:
    file = site.write("long.txt", b"x" * 1_000_000)
    answer = site.client.get("/files/long.txt", streamed=True)
    assert next(iter(answer.response))
    assert is_open(file)
    answer.close()
    assert not is_open(file)

    def start_response(*_: Any) -> Any:
        raise KeyError("the server's own")

    environ = EnvironBuilder("/files/long.txt").get_environ()
    with pytest.raises(KeyError, match="the server's own"):
        site.client.application(environ, start_response)
    assert not is_open(file)


def test_a_file_that_is_removed_while_it_is_served_comes_whole(site: Site) -> None:
    content = os.urandom(1_000_000)
    file = site.write("long.bin", content)
    answer = site.client.get("/files/long.bin", streamed=True)
    file.unlink()
    assert b"".join(answer.response) == content
    answer.close()


def test_a_file_that_grows_while_it_is_served_comes_as_long_as_was_said(site: Site) -> None:
    file = site.write("log.txt", b"x" * 1_000_000)
    answer = site.client.get("/files/log.txt", streamed=True)
    with file.open("ab") as log:
        log.write(b"y" * 1_000_000)
    assert b"".join(answer.response) == b"x" * 1_000_000
    answer.close()


def test_a_file_that_shrinks_while_it_is_served_is_an_error_with_one_warning(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    file = site.write("long\x1b.txt", b"x" * 1_000_000)
    answer = site.client.get("/files/long%1b.txt", streamed=True)
    pieces = iter(answer.response)
    assert next(pieces)
    os.truncate(file, 10)
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="has become shorter"):
        list(pieces)
    with pytest.raises(OSError, match="has become shorter"):
        list(pieces)
    answer.close()
    (record,) = caplog.records
    assert "static/long\\x1b.txt has become shorter while it was sent" in record.getMessage()
    assert not is_open(file)
