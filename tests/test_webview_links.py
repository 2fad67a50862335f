"""Every link of a web view is right, wherever callers find it: by following all of them (SPEC 4.7)."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

import pyjob
from tests.conftest import MakeJob
from tests.crawler import BASE, HOST, PLACES, Crawl, Page, Place, crawl, stripping
from tests.servers import PATIENCE, Server, pyjob_run, started
from tests.sites import FILES, PAGES, SITES, Site

ROOT = Path(__file__).parents[1]


def job_of(make_job: MakeJob, site: Site) -> Path:
    for name in site.needs:
        pytest.importorskip(name)
    return make_job(site.code, files=FILES)


def crawl_apart(folder: Path, place: str, *seeds: str) -> dict[str, str]:
    """`crawl` in a process of its own."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.crawler", str(folder), place, *seeds],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", SITES)
def test_every_link_form_and_redirect_leads_where_it_should(make_job: MakeJob, name: str, place: str) -> None:
    site = SITES[name]
    folder = job_of(make_job, site)
    # Django is set up once in a process.
    found = crawl_apart(folder, place) if name == "Django" else crawl(folder, PLACES[place], *site.seeds)
    assert set(found) - {""} >= {*site.pages, *site.seeds}
    for page in site.pages if site.pages == tuple(PAGES) else ():
        assert PAGES[page] in found[page]
    if name == "Dash":
        scripts = [path for path in found if path.startswith("/_dash-component-suites/")]
        assert len(scripts) > 5
        assert json.loads(found["/_dash-layout"])["type"] == "Div"
        config = re.search(r'id="_dash-config"[^>]*>(.*?)</script>', found["/"], re.DOTALL)
        assert config is not None
        assert json.loads(config[1])["requests_pathname_prefix"] == f"{PLACES[place].prefix}{BASE}/"
    if name == "FastAPI":
        assert json.loads(found["/openapi.json"])["servers"] == [{"url": f"{PLACES[place].prefix}{BASE}"}]


def forwarding(server: Server) -> Any:
    """A proxy to a server; it tells the host that the caller asked for."""

    def proxy(environ: Any, start_response: Any) -> list[bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        headers = {
            name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")
        }
        headers["Content-Type"] = environ.get("CONTENT_TYPE", "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        target = f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        try:
            connection.request(environ["REQUEST_METHOD"], target, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        hop_by_hop = ("transfer-encoding", "connection")
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in hop_by_hop]
        start_response(f"{answer.status} {answer.reason}", kept)
        return [content]

    return proxy


@pytest.mark.parametrize("name", ["Flask", "Bottle", "Django", "FastAPI"])
def test_pyjob_run_behind_a_proxy_gives_the_same(make_job: MakeJob, name: str) -> None:
    folder = job_of(make_job, SITES[name])
    with started(pyjob_run(folder, "--url-prefix", "/p")) as server:
        server.wait_until("/ready", 200)
        for start in ("/p/webview/", "/p/pub/job/sample/latest/webview"):
            place = Place(start, "/p", is_stripped=True)
            found = Crawl(stripping(forwarding(server), "/p"), place).run().found
            assert set(found) >= set(PAGES)
        server.stop()
    assert "Traceback" not in server.output


def test_mounted_without_a_prefix_links_by_name_and_redirects_are_right_and_literal_ones_are_not(
    make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    place = PLACES["mounted"]
    application = pyjob.create(job_of(make_job, SITES["Flask"]), load="now")
    front = place.front(application)
    client = Client(front)
    links = Page(client.get("/one/webview/", base_url=HOST).text).links
    assert f"/one{BASE}/other/named" in links
    assert f"{BASE}/other/literal" in links
    assert client.get("/one/webview/redirected").location == f"/one{BASE}/other/named"
    with pytest.raises(AssertionError, match=r"does not lead to /one/pub"):
        Crawl(front, place).run()
    assert caplog.text.count("create(..., prefix='/one')") == 1
