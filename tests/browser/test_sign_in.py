"""A person with a browser and a token: signing in, docs, status and web view, signing out (SPEC 8.2)."""

from __future__ import annotations

import html
import http.server
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyjob.access.store.ledger import Ledger
from tests.browser.pages import NARROW, WIDE, Page, PlainPage, SwaggerPage, keys, screen
from tests.browser.test_plain_page import WITHOUT_SWAGGER_UI
from tests.conftest import MakeJob
from tests.servers import Server, ask, pyjob_run, started

REPO = Path(__file__).parents[2]
EXAMPLE = REPO / "examples" / "public_endpoints"
ALICE, BOB = "pyjob_a-token-of-alice-for-tests", "pyjob_a-token-of-bob-for-tests"
JOB = """
from pyjob import JobError

class Job:
    def perform(self):
        return self.request_context.get().caller_name

    def told(self):
        raise JobError(401, "an affair of the job")

    def auxiliary_endpoints(self):
        return {"/told": self.told}
"""
PAGES = ["/docs", "/openapi.json"]


class SignInPage(Page):
    marker = "#token"

    def is_shown(self) -> bool:
        return bool(self.all(self.marker))

    def sign_in(self, token: str) -> None:
        self.one("#token").send_keys(token, keys.ENTER)

    def status(self) -> int:
        """Of the answer that made the page."""
        received = [
            event["params"] for event in self.events() if event["method"] == "Network.responseReceived"
        ]
        return int([one for one in received if one["type"] == "Document"][-1]["response"]["status"])


class SwaggerDocs(SwaggerPage):
    def authorize(self, token: str) -> None:
        self.one(".authorize").click()
        self.until(lambda: self.all(".modal-ux input"))
        self.all(".modal-ux input")[0].send_keys(token)
        self.all(".modal-ux .auth.authorize")[0].click()
        self.until(lambda: "Authorized" in self.text(".modal-ux"))
        self.one(".close-modal").click()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "access.db"
    ledger = Ledger(path)
    ledger.make()
    for name, token in (("alice", ALICE), ("bob", BOB)):
        ledger.add_token(name, token, kind="user", note="", expires=None)
    return path


@pytest.fixture(autouse=True)
def nobody_is_signed_in(driver: Any) -> None:
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    with started(pyjob_run(EXAMPLE, "--access", str(store))) as server:
        server.wait_until("/ready", 200)
        yield server


@contextmanager
def serving(command: list[str], store: Path) -> Iterator[Server]:
    with started([*command, "--access", str(store)], cwd=REPO) as server:
        server.wait_until("/ready", 200)
        yield server


@contextmanager
def public_pages(make_job: MakeJob, store: Path, *pages: str, command: Any = pyjob_run) -> Iterator[Server]:
    """A server of a job of which ``pages`` and an endpoint are public."""
    listed = json.dumps([*pages, "/told"])
    folder = make_job(JOB, fields=f"public_endpoints: {listed}")
    for path in (*pages, "/api/v1/told"):
        Ledger(store).approve("sample", "0.0.1", path)
    with serving(command(folder), store) as server:
        yield server


def plain_run(folder: Path) -> list[str]:
    """`pyjob run` where Swagger UI is not installed."""
    options = ("--host", "127.0.0.1", "--port", "0")
    return [sys.executable, "-c", WITHOUT_SWAGGER_UI, "run", str(folder), *options]


def sign_in(driver: Any, server: Server, path: str = "/docs", token: str = ALICE) -> SignInPage:
    page = SignInPage(driver, f"{server.url}{path}")
    page.sign_in(token)
    page.until(lambda: driver.current_url == f"{server.url}{path}" and not page.all("#token"))
    return page


def assert_nothing_leaves(page: Page, server: Server) -> list[Any]:
    """All was asked of our server. Returns the requests."""
    events = page.events()
    requests = [e["params"]["request"] for e in events if e["method"] == "Network.requestWillBeSent"]
    elsewhere = [one["url"] for one in requests if not one["url"].startswith((f"{server.url}/", "data:"))]
    assert elsewhere == []
    return requests


def refused(server: Server, reason: str) -> float:
    page = ask(server, "GET", "/metrics", X_Racetrack_Auth=ALICE)[2].decode()
    found = re.search(rf'^pyjob_access_refused_total\{{reason="{reason}"\}} (\S+)', page, re.MULTILINE)
    assert found is not None
    return float(found[1])


def test_a_person_signs_in_uses_every_page_and_signs_out(driver: Any, server: Server) -> None:
    pytest.importorskip("swagger_ui_bundle", reason="swagger-ui-bundle-v2 is not installed")
    page = SignInPage(driver, f"{server.url}/docs")
    assert (page.status(), page.text("h1")) == (401, "Sign in")
    assert page.text(".job") == "tide-tables 0.0.1"

    page.sign_in("pyjob_a-wrong-token")
    page.until(lambda: page.all("[role=alert]"))
    assert page.text("[role=alert]").startswith("This token is not valid")
    assert page.status() == 401
    assert driver.switch_to.active_element.get_attribute("id") == "token"
    page.sign_in(ALICE)
    page.until(lambda: page.all("#endpoints") and driver.current_url == f"{server.url}/docs")

    docs = SwaggerPage(driver, f"{server.url}/docs")
    docs.try_out()
    docs.execute()
    assert docs.answer() == ("200", "0.7")
    docs.assert_all_is_quiet()

    docs.one("header nav a[href=status]").click()
    docs.until(lambda: docs.text("#state") == "Ready" and docs.text("#calls") == "1")
    assert ask(server, "POST", "/perform", b'{"hour": 1}', X_Racetrack_Auth=BOB)[0] == 200
    docs.until(lambda: docs.text("#calls") == "2")

    driver.get(f"{server.url}/api/v1/webview/")
    assert docs.one("main").value_of_css_property("border-radius") == "12px"  # by the job's own style sheet
    docs.one("button").click()
    docs.until(lambda: docs.text("[role=status]"))
    assert docs.text("[role=status]") == "High tide is at hour 37.26."
    assert_nothing_leaves(docs, server)

    driver.get(f"{server.url}/docs")
    docs.one("header nav a[href=sign-out]").click()
    docs.until(lambda: docs.all("form button"))
    assert docs.text("h1") == "You are signed in as alice"
    docs.one("form button").click()
    docs.until(lambda: docs.all("[role=status]"))
    assert docs.text("[role=status]") == "You have signed out."
    for path in ("/docs", "/status", "/api/v1/webview/"):
        assert SignInPage(driver, f"{server.url}{path}").status() == 401
    assert driver.get_cookies() == []


def test_the_way_back_has_the_query_and_the_alias_that_were_asked_for(driver: Any, server: Server) -> None:
    path = "/pub/job/tide-tables/latest/status?x=1&y=%22"
    sign_in(driver, server, path)
    # The cookie counts for other jobs at this place, too.
    assert driver.get_cookie("X-Racetrack-Auth")["path"] == "/"


def test_no_script_sees_the_token(driver: Any, server: Server) -> None:
    sign_in(driver, server)
    assert driver.get_cookie("X-Racetrack-Auth")["httpOnly"] is True
    assert driver.execute_script("return document.cookie") == ""


@contextmanager
def another_site(content: str) -> Iterator[str]:
    """The address of a page with ``content`` on another port of this host: same site, another origin."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_address[1]}/"
        finally:
            site.shutdown()
            thread.join()


def form(action: str, fields: dict[str, str], kind: str = "text/plain") -> str:
    inputs = [f'<input name="{html.escape(n)}" value="{html.escape(v)}">' for n, v in fields.items()]
    return (
        f'<form method="post" action="{action}" enctype="{kind}">{"".join(inputs)}<button>Go</button></form>'
    )


def test_the_page_of_another_origin_can_call_nothing_by_the_cookie(driver: Any, server: Server) -> None:
    page = sign_in(driver, server)
    before = refused(server, "foreign_page")
    with another_site(form(f"{server.url}/perform", {'{"hour": 1, "x': '": 1}'})) as url:
        driver.get(url)
        page.one("button").click()
        page.until(lambda: page.text("h1") == "Do you want to go there?")
        driver.get(url)
        asked = """
            const [target, done] = arguments;
            const options = { method: "POST", credentials: "include", mode: "no-cors", body: '{"hour": 1}' };
            fetch(target, options).then(({ type }) => done(type), (error) => done(String(error)));
        """
        assert driver.execute_async_script(asked, f"{server.url}/perform") == "opaque"
    assert refused(server, "foreign_page") - before == 2
    driver.get(f"{server.url}/status")
    page.until(lambda: page.text("#state") == "Ready")
    assert page.text("#calls") == "0"


def test_the_page_of_another_origin_can_sign_nobody_in(driver: Any, server: Server) -> None:
    fields = {"token": BOB, "next": "/docs"}
    content = form(f"{server.url}/sign-in", fields, "application/x-www-form-urlencoded")
    with another_site(content) as url:
        page = Page(driver, url, is_waiting=True)
        page.one("button").click()
        page.until(lambda: "a page of another site has sent this form" in page.text("body"))
    assert SignInPage(driver, f"{server.url}/docs").status() == 401


def lose_cookie(driver: Any, store: Path) -> None:
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})


def revoke(driver: Any, store: Path) -> None:
    Ledger(store).revoke_token("alice")


@pytest.mark.parametrize("end", [lose_cookie, revoke])
def test_the_status_page_stops_asking_once_nobody_is_signed_in_and_leads_back(
    driver: Any, server: Server, store: Path, end: Callable[[Any, Path], None]
) -> None:
    page = sign_in(driver, server, "/status")
    page.until(lambda: page.text("#state") == "Ready")
    end(driver, store)
    page.until(lambda: page.all("#notice h2"))
    assert page.text("#notice h2") == "You are not signed in"
    assert page.text("#state") == "Signed out"
    page.until(lambda: driver.execute_script("return asking") is False)

    page.one("#notice a").click()
    page.until(lambda: page.all("#token"))
    SignInPage.sign_in(page, BOB)
    page.until(lambda: driver.current_url == f"{server.url}/status" and page.text("#state") == "Ready")
    assert page.all("#notice h2") == []


def test_public_docs_of_a_job_whose_document_is_not_public_lead_to_signing_in(
    driver: Any, make_job: MakeJob, store: Path
) -> None:
    with public_pages(make_job, store, "/docs") as server:
        page = SignInPage(driver, f"{server.url}/docs?x=1", is_waiting=True)
        page.until(lambda: page.all("#notice a"))
        assert page.text("#notice h2") == "You are not signed in"
        page.one("#notice a").click()
        page.until(lambda: page.all("#token"))
        page.sign_in(ALICE)
        page.until(lambda: page.text("#state") == "Ready" and page.all("#endpoints > *"))
        assert driver.current_url == f"{server.url}/docs?x=1"
        assert page.all("#notice h2") == []


def test_authorize_in_swagger_ui_works_without_signing_in_and_offline(
    driver: Any, make_job: MakeJob, store: Path
) -> None:
    pytest.importorskip("swagger_ui_bundle", reason="swagger-ui-bundle-v2 is not installed")
    with public_pages(make_job, store, *PAGES) as server:
        page = SwaggerDocs(driver, f"{server.url}/docs")
        marks = {one.text for one in page.all(".opblock-summary:has(.open-mark) .opblock-summary-path")}
        assert marks >= {"/api/v1/told", "/live"}
        assert "/api/v1/perform" not in marks

        page.try_out()
        page.execute()
        assert page.answer()[0].startswith("401")
        page.until(lambda: page.all("#notice a"))

        page.authorize(ALICE)
        page.one(f"{page.perform} .execute").click()
        page.until(lambda: page.answer() == ("200", '"alice"'))
        assert page.all("#notice h2") == []
        requests = assert_nothing_leaves(page, server)
        [_, sent] = [one["headers"] for one in requests if one["url"].endswith("/perform")]
        assert sent["X-Racetrack-Auth"] == ALICE

        page = SwaggerDocs(driver, f"{server.url}/docs")
        page.try_out()
        page.execute()
        assert page.answer()[0].startswith("401")  # nothing has kept it


def test_what_was_given_to_authorize_wins_over_who_is_signed_in(
    driver: Any, make_job: MakeJob, store: Path
) -> None:
    pytest.importorskip("swagger_ui_bundle", reason="swagger-ui-bundle-v2 is not installed")
    with serving(pyjob_run(make_job(JOB)), store) as server:
        sign_in(driver, server)
        page = SwaggerDocs(driver, f"{server.url}/docs")
        page.try_out()
        page.execute()
        assert page.answer() == ("200", '"alice"')
        page.authorize(BOB)
        page.one(f"{page.perform} .execute").click()
        page.until(lambda: page.answer() == ("200", '"bob"'))


def test_the_plain_page_takes_a_token_and_keeps_it_to_itself(
    driver: Any, make_job: MakeJob, store: Path
) -> None:
    with public_pages(make_job, store, *PAGES, command=plain_run) as server:
        page = PlainPage(driver, f"{server.url}/docs")
        marked = [one.text for one in page.all("h3:has(.open-mark) code")]
        assert marked == ["/api/v1/told"]
        assert page.text("#op-live .open-mark") == "open"
        assert page.all("#op-metrics .open-mark") == []

        page.send()
        page.until(lambda: page.all(f"{page.perform} .verdict.warn"))
        page.until(lambda: page.all("#notice a"))
        page.one("#token").send_keys(ALICE)
        page.send()
        page.until(lambda: page.all(f"{page.perform} .verdict.ok"))
        assert page.answer()[1] == '"alice"'
        assert page.all("#notice h2") == []
        command = page.text(f"{page.perform} .curl code")
        assert "-H 'X-Racetrack-Auth: '\"$TOKEN\"" in command
        assert ALICE not in page.one("body").get_attribute("innerText")
        assert_nothing_leaves(page, server)
        assert "TOKEN" not in page.one("#op-told .curl code").get_attribute("textContent")

        page.one("#op-told .send").click()
        page.until(lambda: page.all("#op-told .verdict.warn"))
        assert page.all("#notice h2") == []  # that 401 is not ours

        page = PlainPage(driver, f"{server.url}/docs")
        assert page.one("#token").get_property("value") == ""


def test_pages_without_tokens_speak_of_none(driver: Any, make_job: MakeJob) -> None:
    for command in (pyjob_run, plain_run):
        with started(command(make_job(JOB)), cwd=REPO) as server:
            server.wait_until("/ready", 200)
            page = Page(driver, f"{server.url}/docs")
            assert page.all(".open-mark, #token, .authorize, .authorization__btn, a[href=sign-out]") == []
            page.assert_all_is_quiet()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_the_pages_of_signing_in_fit_every_screen_and_can_be_read(
    driver: Any, server: Server, width: int, scheme: str
) -> None:
    with screen(driver, width, scheme):
        page = SignInPage(driver, f"{server.url}/docs")
        assert_can_be_read(page)
        page.sign_in("pyjob_a-wrong-token")
        page.until(lambda: page.all("[role=alert]"))
        assert_can_be_read(page)
        sign_in(driver, server)
        driver.get(f"{server.url}/sign-out")
        assert_can_be_read(page)
        page.one("form button").click()
        page.until(lambda: page.all("[role=status]"))
        assert_can_be_read(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("command", [pyjob_run, plain_run], ids=["Swagger UI", "plain"])
def test_what_the_docs_say_of_tokens_fits_and_can_be_read(
    driver: Any, make_job: MakeJob, store: Path, command: Any, scheme: str
) -> None:
    with public_pages(make_job, store, *PAGES, command=command) as server, screen(driver, NARROW, scheme):
        page = Page(driver, f"{server.url}/docs")
        assert_can_be_read(page)
        for button in page.all(".authorize"):
            button.click()
            page.until(lambda: page.all(".modal-ux input"))
            assert_can_be_read(page)


def assert_can_be_read(page: Page) -> None:
    assert page.needs_no_sideways_scrolling()
    contrast, text = page.lowest_contrast()
    assert contrast >= 4.5, text


def test_the_page_is_used_by_keyboard_alone(driver: Any, server: Server) -> None:
    page = SignInPage(driver, f"{server.url}/docs")
    focused = driver.switch_to.active_element
    assert focused.get_attribute("id") == "token"
    assert focused.accessible_name == "Your token"
    assert page.press_tab().text == "Sign in"
    assert page.press_tab().text == "open the page again"
