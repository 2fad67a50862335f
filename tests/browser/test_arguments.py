"""Arguments in path and query on both pages of `/docs`: the author's sample is sent as it is (SPEC 1.3)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import PlainPage, SwaggerPage
from tests.browser.test_plain_page import WITHOUT_SWAGGER_UI
from tests.conftest import MakeJob
from tests.servers import started

JOB = """
    from pyjob import EndpointConfig

    class Job:
        def find(self, shop: str, ids: list[int], most: float = 9, strict: bool = False, note=None):
            return {"found": [shop, ids, most, strict, note]}

        def auxiliary_endpoints_v2(self):
            return [EndpointConfig("/shops/{shop}/find", "GET", self.find, {"tags": ["job"]})]

        def docs_input_examples(self):
            sample = {"shop": "oslo x", "ids": [1, 2], "strict": True, "note": {"a": "b"}}
            return {"/shops/{shop}/find": sample}
    """
FOUND = ["oslo x", [1, 2], 9, True, {"a": "b"}]
NAME = "get_shops_shop_find"


class SwaggerFind(SwaggerPage):
    marker = perform = f"#operations-job-{NAME}"


class PlainFind(PlainPage):
    marker = perform = f"#op-{NAME}"


def test_swagger_ui_sends_the_sample_of_path_and_query(
    driver: Any, running: Callable[..., AbstractContextManager[str]], make_job: MakeJob
) -> None:
    pytest.importorskip("swagger_ui_bundle", reason="swagger-ui-bundle-v2 is not installed")
    with running(make_job(JOB)) as url:
        page = SwaggerFind(driver, f"{url}/docs")
        page.one(f"{page.perform} .opblock-summary-control").click()
        page.until(lambda: page.all(f"{page.perform} .try-out__btn"))
        page.one(f"{page.perform} .try-out__btn").click()
        page.until(lambda: page.all(f"{page.perform} .execute"))
        page.execute()
        status, body = page.answer()
        assert (status, json.loads(body)["found"]) == ("200", FOUND)
        page.assert_all_is_quiet()


def test_the_plain_page_sends_the_sample_of_path_and_query(driver: Any, make_job: MakeJob) -> None:
    command = [sys.executable, "-c", WITHOUT_SWAGGER_UI, "run", str(make_job(JOB))]
    with started([*command, "--host", "127.0.0.1", "--port", "0"], cwd=Path(__file__).parents[2]) as server:
        server.wait_until("/ready", 200)
        page = PlainFind(driver, f"{server.url}/docs")
        page.send()
        status, body = page.answer()
        assert (status, json.loads(body)["found"]) == ("200 OK", FOUND)
        page.assert_all_is_quiet()
