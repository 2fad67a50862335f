"""The sign-in page, signing in and out: cookies, ways back, and what nobody may post (SPEC 8.2, 8.3)."""

from __future__ import annotations

import asyncio
import html
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from wsgiref.validate import validator

import pytest
from werkzeug.http import parse_cookie
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client

import pyjob
from pyjob.access.store.ledger import Ledger
from tests.access_job import NAME, TOKEN, VERSION, WRONG_TOKEN, make_guarded
from tests.callers import connect
from tests.conftest import ClientOf, JobClient
from tests.servers import ask, pyjob_run, started

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = "application/x-www-form-urlencoded"
# What begins with no slash, or with two; what breaks a header; what is too long; and what is no text for one.
HOSTILE = (
    "//evil.example",
    "///evil.example",
    "https://evil.example/",
    "http:evil.example",
    "javascript:alert(1)",
    "evil.example",
    "\\\\evil.example",
    "/\\evil.example",
    "/docs\r\nSet-Cookie: a=b",
    "/\t/evil.example",
    "\t//evil.example",
    "/docs\x00",
    "/Łódź",
    "/" + "x" * 5000,
    "",
)
BROUGHT = "a-token-that-somebody-has-brought"
# Tokens that somebody has brought, of odd characters.
ODD = ('a;b,c=d"x"\\y=z;,----------', '"in-double-quotes-of-its-own"', "a=b;Path=/;Domain=evil.example")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A job and a store that no test changes: to write one takes longer than most tests."""
    return make_guarded(tmp_path_factory.mktemp("place"))


class Browser(JobClient):
    """Keeps cookies, and sends them."""

    def __init__(self, application: pyjob.Application, mount: str) -> None:
        super().__init__(application, mount)
        self._client = Client(validator(application))


@pytest.fixture
def client(place: tuple[Path, Path], mount: str) -> JobClient:
    job, store = place
    return Browser(pyjob.create(job, access=str(store), load="now"), mount)


def sign_in(client: JobClient, token: str = TOKEN, path: str = "/sign-in", **more: Any) -> Any:
    fields = {"token": token, "next": more.pop("next", "")}
    return client.post(path, data=fields, **more)


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}"[^>]* value="([^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def cookie_of(answer: Any) -> tuple[str, dict[str, str | None]]:
    """The value of the cookie, decoded, and its attributes; of the last, where there are some further up."""
    *_, header = answer.headers.getlist("Set-Cookie")
    pair, *attributes = header.split("; ")
    split = (one.partition("=") for one in attributes)
    return parse_cookie(pair)["X-Racetrack-Auth"], {name: value for name, _, value in split}


def refused(client: JobClient, reason: str) -> float:
    page = client.get("/metrics", headers={"X-Racetrack-Auth": TOKEN}).text
    [value] = re.findall(rf'^pyjob_access_refused_total\{{reason="{reason}"\}} (\S+)', page, re.MULTILINE)
    return float(value)


# The page.


@pytest.mark.parametrize("path", ["/docs", "/status", "/", "/webview/", "/no-such-page"])
def test_a_browser_that_is_refused_a_page_gets_the_form_in_its_place(client: JobClient, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Cache-Control"] == "no-store"
    assert field(answer.text, "next") == f"{client.mount}{path}"
    assert 'role="alert"' not in answer.text


def test_who_wants_no_page_gets_json(client: JobClient) -> None:
    for options in ({}, {"method": "POST"}, {"headers": {"Accept": "application/json"}}):
        answer = client.open("/docs", **options)
        assert (answer.status_code, answer.mimetype) == (401, "application/json")


def test_what_no_browser_sends_is_not_read_to_its_end(client: JobClient) -> None:
    """A stranger may send it: a minute's worth of such requests must not take minutes."""
    answer = client.get("/docs", headers={"Accept": f"text/html;q=0.5{',a;b=c' * 8000},application/json"})
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    answer = client.get("/docs", headers={"Accept": f"{'a/b,' * 8000}text/html"})
    assert (answer.status_code, answer.mimetype) == (401, "application/json")


def test_the_page_says_which_job_it_is_what_a_token_is_and_where_to_get_one(client: JobClient) -> None:
    page = client.get("/sign-in").text
    assert f"<title>Sign in · {NAME} {VERSION}</title>" in page
    assert f"<span>{NAME} {VERSION}</span>" in page
    assert "Ask who runs this service" in page
    assert "<code>pyjob access token add NAME</code>" in page
    assert '<label for="token">' in page
    assert "<script" not in page


def test_head_has_the_head_of_the_page(client: JobClient) -> None:
    for path, status in (("/sign-in", 200), ("/docs", 401)):
        answer = client.open(path, method="HEAD", headers=BROWSER)
        assert (answer.status_code, answer.mimetype, answer.data) == (status, "text/html", b"")


def test_the_page_may_not_be_framed_and_its_form_goes_nowhere_else(client: JobClient) -> None:
    policy = client.get("/sign-in").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self'" in policy
    assert "script-src 'self'" in policy


def test_a_query_of_the_page_that_was_asked_for_survives(client: JobClient) -> None:
    page = client.get("/docs?a=1&b=%22%3E%3Cscript%3E", headers=BROWSER).text
    assert field(page, "next") == f"{client.mount}/docs?a=1&b=%22%3E%3Cscript%3E"
    assert "<script" not in page


def test_a_page_with_a_long_address_leads_home(client: JobClient) -> None:
    page = client.get(f"/docs?{'x' * 5000}", headers=BROWSER).text
    assert field(page, "next") == f"{client.mount}/"
    assert len(page) < 5000


@pytest.mark.parametrize("prefix", ["", "/p"])
@pytest.mark.parametrize("alias", ["", f"/pub/job/{NAME}/latest", "/pub/fatman/x/1"])
def test_everything_stays_below_the_prefix_of_the_caller(
    place: tuple[Path, Path], client_of: ClientOf, prefix: str, alias: str
) -> None:
    job, store = place
    client = client_of(job, access=str(store), prefix=prefix)
    mount = f"{prefix}{client.mount}"
    page = client.get(f"{alias}/docs", headers=BROWSER).text
    assert re.findall(r'action="([^"]+)"', page) == [f"{mount}{alias}/sign-in"]
    assert field(page, "next") == f"{mount}{alias}/docs"
    assets = re.findall(r'<(?:link|img)[^>]* (?:href|src)="([^"]+)"', page)
    assert len(assets) == 4
    for address in assets:
        assert address.startswith(f"{mount}{alias}/sign-in/_assets/")
        assert client.get(address.removeprefix(mount)).status_code == 200

    wrong = sign_in(client, WRONG_TOKEN, f"{alias}/sign-in")
    assert re.findall(r'action="([^"]+)"', wrong.text) == [f"{mount}{alias}/sign-in"]
    answer = sign_in(client, path=f"{alias}/sign-in")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{mount}{alias}/")
    assert cookie_of(answer)[1]["Path"] == (mount or "/")

    out = client.post(f"{alias}/sign-out")
    assert (out.status_code, out.headers["Location"]) == (303, f"{mount}{alias}/sign-in?out=1")
    assert cookie_of(out)[1]["Path"] == (mount or "/")


# Signing in and out.


def test_a_token_becomes_a_cookie_that_no_script_and_no_other_site_can_use(client: JobClient) -> None:
    answer = sign_in(client, next=f"{client.mount}/docs?a=1#perform")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{client.mount}/docs?a=1#perform")
    value, attributes = cookie_of(answer)
    assert value == TOKEN
    assert attributes == {"HttpOnly": "", "Path": client.mount or "/", "SameSite": "Strict"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.get("/docs", headers=BROWSER).status_code == 200


def test_under_https_the_cookie_is_sent_over_tls_only(client: JobClient) -> None:
    answer = sign_in(client, environ_overrides={"wsgi.url_scheme": "https"})
    assert "Secure" in cookie_of(answer)[1]
    out = client.post("/sign-out", environ_overrides={"wsgi.url_scheme": "https"})
    assert "Secure" in cookie_of(out)[1]


@pytest.mark.parametrize("token", ODD, ids=["separators", "quotes", "an attribute"])
def test_a_token_of_odd_characters_survives_the_cookie(tmp_path: Path, mount: str, token: str) -> None:
    job, store = make_guarded(tmp_path)
    Ledger(store).add_token("odd", token, kind="user", note="", expires=None)
    client = Browser(pyjob.create(job, access=str(store), load="now"), mount)
    answer = sign_in(client, token)
    assert answer.status_code == 303
    value, attributes = cookie_of(answer)
    assert value == token
    assert attributes.keys() == {"HttpOnly", "Path", "SameSite"}
    assert "signed in as odd" in client.get("/sign-in").text


def test_who_is_signed_in_sees_the_name_and_may_sign_out(client: JobClient) -> None:
    sign_in(client)
    page = client.get(f"/sign-out?next={client.mount}/status").text
    assert "You are signed in as alice" in page
    assert f'action="{client.mount}/sign-out"' in page
    assert f'href="{client.mount}/status"' in page

    out = client.post("/sign-out")
    value, attributes = cookie_of(out)
    assert (value, attributes["Max-Age"]) == ("", "0")
    assert client.get("/docs", headers=BROWSER).status_code == 401
    after = client.get(out.headers["Location"].removeprefix(client.mount)).text
    assert "You have signed out." in after
    assert "alice" not in after


def test_a_token_that_is_wrong_is_told_counted_and_never_repeated(
    client: JobClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pyjob.access")
    answer = sign_in(client, WRONG_TOKEN, next="/status", environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert 'role="alert">This token is not valid' in answer.text
    assert 'aria-invalid="true" aria-describedby="wrong help"' in answer.text
    assert "<title>Error: Sign in" in answer.text
    assert field(answer.text, "next") == "/status"
    assert "Set-Cookie" not in answer.headers
    assert WRONG_TOKEN not in answer.text
    assert [record.getMessage() for record in caplog.records if record.name == "pyjob.access"] == [
        "POST /sign-in 401: invalid token, from 192.0.2.7"
    ]
    assert refused(client, "invalid_token") == 1


def test_a_cookie_that_counts_no_more_leads_to_the_form(client: JobClient) -> None:
    direct = Client(client.application, use_cookies=False)
    answer = direct.get("/docs", headers={**BROWSER, "Cookie": f"X-Racetrack-Auth={WRONG_TOKEN}"})
    assert answer.status_code == 401
    assert 'role="alert">This token is not valid' in answer.text


def test_where_the_store_is_broken_people_are_told_so(
    place: tuple[Path, Path], tmp_path: Path, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job, store = place[0], tmp_path / "access.db"
    store.write_bytes(b"no store")
    client = client_of(job, access=str(store))
    pages = [client.get("/docs", headers=BROWSER), client.get("/sign-in"), sign_in(client)]
    assert [page.status_code for page in pages] == [401, 200, 401]
    for page in pages:
        assert 'role="alert">Nobody can sign in now' in page.text
    assert "POST /sign-in 401: no store, from " in caplog.text


def test_who_came_in_by_the_cookie_of_a_job_further_up_can_sign_out(place: tuple[Path, Path]) -> None:
    job, store = place
    jobs = {prefix: pyjob.create(job, access=str(store), prefix=prefix) for prefix in ("", "/a/b")}
    for come_in in ("", "/a/b"):
        client = Client(DispatcherMiddleware(jobs[""], {"/a/b": jobs["/a/b"]}))
        assert client.post(f"{come_in}/sign-in", data={"token": TOKEN}).status_code == 303
        assert "You are signed in as alice" in client.get("/a/b/sign-in").text
        out = client.post("/a/b/sign-out")
        told = [re.findall("Path=([^;]+)", one) for one in out.headers.getlist("Set-Cookie")]
        assert told == [["/"], ["/a"], ["/a/b"]]
        assert "You have signed out." in client.get(out.headers["Location"]).text


# Ways back.


@pytest.mark.parametrize("onward", HOSTILE, ids=lambda onward: repr(onward[:20]))
def test_a_hostile_way_back_leads_home(client: JobClient, onward: str) -> None:
    home = f"{client.mount}/"
    assert sign_in(client, next=onward).headers["Location"] == home
    client.post("/sign-out")
    page = client.get(f"/sign-in?next={quote(onward)}")
    assert (page.status_code, field(page.text, "next")) == (200, home)
    page = sign_in(client, WRONG_TOKEN, next=onward)
    assert (page.status_code, field(page.text, "next")) == (401, home)


def test_a_page_may_say_where_to_go_on_to(client: JobClient) -> None:
    page = client.get("/sign-in?next=%2Fstatus%3Fa%3D1%23b").text
    assert field(page, "next") == "/status?a=1#b"


def test_a_way_back_with_markup_in_it_is_text(client: JobClient) -> None:
    onward = '/"><script>alert(1)</script>'
    for page in (client.get(f"/sign-in?next={quote(onward)}"), sign_in(client, WRONG_TOKEN, next=onward)):
        assert field(page.text, "next") == onward
        assert "<script" not in page.text
    sign_in(client)
    assert "<script" not in client.get(f"/sign-in?next={quote(onward)}").text


def test_a_name_with_markup_in_it_is_text(tmp_path: Path, mount: str) -> None:
    job, store = make_guarded(tmp_path)
    Ledger(store).add_token("<b>&lt;$job", BROUGHT, kind="user", note="", expires=None)
    client = Browser(pyjob.create(job, access=str(store), load="now"), mount)
    sign_in(client, BROUGHT)
    page = client.get("/sign-in").text
    assert page.count("signed in as &lt;b&gt;&amp;lt;$job") == 2


def test_the_link_to_the_page_again_is_the_address_that_was_asked_for(client: JobClient) -> None:
    sign_in(client)
    foreign = {**BROWSER, "Sec-Fetch-Site": "cross-site"}
    page = client.get("/docs?a=1&lt;b=%22'", headers=foreign).text
    assert re.findall(r'<a href="([^"]*)">open', page) == [f"{client.mount}/docs?a=1&amp;lt;b=%22&#x27;"]


LONG = f"next=/a&x={'%41' * 20_000}"


@pytest.mark.parametrize(
    "query",
    ["next=/a&next=/b", "&".join(["x=1"] * 50), "%", "next", "next=%ff%fe", LONG],
    ids=lambda query: query[:20],
)
def test_a_query_that_says_no_one_way_leads_home(client: JobClient, query: str) -> None:
    page = client.get(f"/sign-in?{query}")
    assert (page.status_code, field(page.text, "next")) == (200, f"{client.mount}/")


# What other sites send.


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:81"},
        {"Origin": "https://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": ""},
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_a_form_of_another_site_signs_nobody_in_or_out(
    client: JobClient, path: str, headers: dict[str, str]
) -> None:
    answer = sign_in(client, path=path, headers=headers)
    assert (answer.status_code, answer.json["type"]) == (403, "Forbidden")
    assert "Set-Cookie" not in answer.headers
    assert refused(client, "foreign_page") == 1


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://localhost"}, {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}],
    ids=str,
)
def test_a_form_of_our_own_signs_in(client: JobClient, headers: dict[str, str]) -> None:
    assert sign_in(client, headers=headers).status_code == 303


def test_a_page_of_another_site_calls_nothing_by_the_cookie(client: JobClient) -> None:
    sign_in(client)

    def call(**headers: str) -> int:
        return int(client.post("/told", json={}, headers=headers).status_code)

    assert call(**{"Sec-Fetch-Site": "same-origin"}) == 200
    assert call(**{"Sec-Fetch-Site": "cross-site"}) == 403
    assert call(Origin="https://evil.example") == 403
    assert call() == 403
    page = client.get("/docs", headers={**BROWSER, "Sec-Fetch-Site": "cross-site"})
    assert (page.status_code, page.mimetype) == (403, "text/html")
    assert f'<a href="{client.mount}/docs">open the page again</a>' in page.text


# Bodies.


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (b"", FORM, 401, "Please enter your token."),
        (b"", "", 415, FORM),
        (b"token=", FORM, 401, "Please enter your token."),
        (b"token=+%09+", FORM, 401, "Please enter your token."),
        (b"next=/docs", FORM, 401, "Please enter your token."),
        (b"\xff\xfe&=&;&%", FORM, 401, "Please enter your token."),
        (f"token={TOKEN}&token={WRONG_TOKEN}".encode(), FORM, 401, "This token is not valid"),
        (f"token={WRONG_TOKEN}&token={TOKEN}".encode(), FORM, 401, "This token is not valid"),
        (f"token={TOKEN}%00".encode(), FORM, 401, "This token is not valid"),
        (f"token={TOKEN}\0".encode(), FORM, 401, "This token is not valid"),
        (b"token=%C5%81%ff" + b"\xc5", FORM, 401, "This token is not valid"),
        (b"token=" + b"x" * 8000, FORM, 401, "This token is not valid"),
        (b"token=" + b"x" * 100_000, FORM, 413, "at most 8192 bytes"),
        (b"&x=1" * 1000, FORM, 401, "Please enter your token."),
        (json.dumps({"token": TOKEN}).encode(), "application/json", 415, FORM),
        (f"token={TOKEN}".encode(), "text/plain", 415, FORM),
        (f"token={TOKEN}".encode(), "multipart/form-data; boundary=x", 415, FORM),
    ],
)
def test_any_other_body_signs_nobody_in(
    client: JobClient, body: bytes, content_type: str, status: int, said: str
) -> None:
    answer = client.post("/sign-in", data=body, content_type=content_type)
    assert answer.status_code == status
    assert said in answer.text
    assert "Set-Cookie" not in answer.headers


def test_the_same_token_twice_is_one(client: JobClient) -> None:
    answer = client.post("/sign-in", data=f"token={TOKEN}&token=+{TOKEN}", content_type=f"{FORM}; charset=x")
    assert answer.status_code == 303


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "٣", "9" * 5000])
def test_a_length_that_is_none_is_refused(client: JobClient, length: str) -> None:
    environ = {"CONTENT_LENGTH": length, "CONTENT_TYPE": FORM}
    direct = Client(client.application)
    answer = direct.post("/sign-in", environ_overrides=environ)
    assert answer.status_code in (400, 413)
    assert "error" in json.loads(answer.data)


@contextmanager
def served(place: tuple[Path, Path]) -> Iterator[Any]:
    job, store = place
    with started(pyjob_run(job, "--access", str(store))) as server:
        server.wait_until("/ready", 200)
        yield server


def test_over_http_a_form_may_come_in_chunks_or_without_a_length(place: tuple[Path, Path]) -> None:
    body = urlencode({"token": TOKEN}).encode()
    head = f"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM}\r\nConnection: close\r\n"

    async def send(port: int, rest: bytes) -> bytes:
        async with await connect(port) as caller:
            caller.send(head.encode() + rest)
            return await caller.rest()

    with served(place) as server:
        chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        assert asyncio.run(send(server.port, chunks)).startswith(b"HTTP/1.1 303")
        assert asyncio.run(send(server.port, b"\r\n")).startswith(b"HTTP/1.1 401")
        answer = ask(server, "POST", "/sign-in", body, Content_Type=FORM)
        assert (answer[0], answer[1]["Location"]) == (303, "/")
    assert TOKEN not in server.output


# Where there is nothing to sign in to.


@pytest.mark.parametrize("options", [{}, {"access": lambda environ: True}], ids=["open", "the host decides"])
def test_without_tokens_there_is_no_such_page(place: tuple[Path, Path], options: dict[str, Any]) -> None:
    client = Client(validator(pyjob.create(place[0], load="now", **options)))
    for path in ("/sign-in", "/sign-out"):
        answer = client.get(path)
        assert answer.status_code == 404
        answer.close()
