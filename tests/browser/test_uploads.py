"""A file picked on the pages of `/docs`, and the picture that comes back (SPEC 4.8)."""

from __future__ import annotations

import json
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.pages import NARROW, WIDE, Page, PlainPage, SwaggerPage, keys, screen
from tests.browser.test_plain_page import WITHOUT_SWAGGER_UI
from tests.conftest import MakeJob
from tests.servers import started

JOB = '''
import struct
import zlib
from typing import BinaryIO, List, Optional

import pyjob


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


class Job:
    """Pictures in, pictures out."""

    def perform(self, picture: BinaryIO, times: int = 2, sizes: Optional[List[int]] = None):
        """Make a grey picture that is wider than the one given.

        :param picture: A PNG.
        :param times: How many times as wide.
        """
        head = picture.read(24)
        assert head.startswith(b"\\x89PNG")
        width, height = struct.unpack(">II", head[16:])
        width *= times + sum(sizes or [])
        rows = (b"\\x00" + b"\\x80" * width) * height
        header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
        parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        body = head[:8] + b"".join(chunk(*part) for part in parts)
        return pyjob.Response(body, "image/png")

    def many(self, files: List[bytes], note: str = ""):
        return [*map(len, files), note]

    def docs_input_example(self):
        return {"picture": "iVBORw0KGgo=", "times": 3}

    def auxiliary_endpoints(self):
        return {"/many": self.many}
'''


ActionChains = pytest.importorskip("selenium.webdriver", reason="selenium is not installed").ActionChains


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A PNG, 20 pixels wide."""
    header = struct.pack(">IIBBBBB", 20, 10, 8, 0, 0, 0, 0)
    rows = (b"\x00" + b"\xff" * 20) * 10
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    file = tmp_path / "a picture; of 20,10.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return file


@pytest.fixture
def plain(make_job: MakeJob) -> Iterator[str]:
    """The address of the job where Swagger UI is not installed."""
    command = [sys.executable, "-c", WITHOUT_SWAGGER_UI, "run", str(make_job(JOB))]
    with started([*command, "--host", "127.0.0.1", "--port", "0"]) as server:
        server.wait_until("/ready", 200)
        yield server.url


def wait_for_picture(page: Page, selector: str, width: int) -> None:
    page.until(lambda: page.all(selector) and page.one(selector).get_property("naturalWidth") == width)
    assert page.one(selector).is_displayed()


def test_a_file_is_picked_in_swagger_ui_and_the_picture_that_comes_back_is_seen(
    driver: Any,
    running: Callable[..., AbstractContextManager[str]],
    make_job: MakeJob,
    picture: Path,
) -> None:
    pytest.importorskip("swagger_ui_bundle", reason="swagger-ui-bundle-v2 is not installed")
    with running(make_job(JOB)) as url:
        page = SwaggerPage(driver, f"{url}/docs")
        page.one(f"{page.perform} .opblock-summary-control").click()
        page.until(lambda: page.all(f"{page.perform} .try-out__btn"))
        page.one(f"{page.perform} .try-out__btn").click()
        page.until(lambda: page.all(f"{page.perform} input[type=file]"))
        page.one(f"{page.perform} input[type=file]").send_keys(str(picture))
        times = page.one(f"{page.perform} tr[data-property-name=times] input[type=text]")
        times.send_keys(keys.CONTROL, "a")
        times.send_keys("3")
        page.execute()
        wait_for_picture(page, f"{page.perform} .live-responses-table img", 60)
        page.assert_all_is_quiet()


def test_a_file_is_picked_on_the_plain_page_and_the_picture_that_comes_back_is_seen(
    driver: Any, plain: str, picture: Path
) -> None:
    page = PlainPage(driver, f"{plain}/docs")
    page.send()
    assert page.text(f"{page.perform} .problem") == "picture is required."
    assert driver.switch_to.active_element.get_attribute("type") == "file"
    assert not page.editor.is_displayed()

    page.one(f"{page.perform} input[type=file]").send_keys(str(picture))
    assert page.one("#op-perform-form-times").get_attribute("value") == "3"  # of the sample
    page.one("#op-perform-form-sizes").send_keys("[1, 2]")
    page.send()

    wait_for_picture(page, f"{page.perform} .answer img", 120)
    assert page.text(f"{page.perform} .verdict span") == "200 OK"
    assert page.text(f"{page.perform} .answer a").startswith("Download perform.png")
    command = page.text(f"{page.perform} .curl pre")
    assert "-F 'picture=@\"a picture; of 20,10.png\"'" in command
    assert "--form-string 'times=3'" in command
    page.assert_all_is_quiet()


def test_the_plain_page_sends_several_files_or_json(driver: Any, plain: str, picture: Path) -> None:
    page = PlainPage(driver, f"{plain}/docs")
    page.perform = "#op-many"
    inputs = page.one("#op-many-form-files")
    inputs.send_keys(f"{picture}\n{picture}")
    page.one("#op-many-form-note").send_keys("größer")
    page.send()
    size = picture.stat().st_size
    assert json.loads(page.answer()[1]) == [size, size, "größer"]

    page.one("#op-many-kind option[value=json]").click()
    assert not inputs.is_displayed()
    page.write('{"files": ["YWJj", ""]}')
    page.send()
    page.until(lambda: json.loads(page.answer()[1]) == [3, 0, ""])
    page.assert_all_is_quiet()


def test_the_keyboard_alone_reaches_the_file_and_the_button(driver: Any, plain: str) -> None:
    page = PlainPage(driver, f"{plain}/docs")
    page.one("#op-perform-kind").send_keys("")
    reached = []
    for _ in range(4):
        ActionChains(driver).send_keys(
            keys.TAB
        ).perform()  # an element of files takes no keys but their names
        reached.append(driver.switch_to.active_element)
    fields = [f"op-perform-form-{name}" for name in ("picture", "times", "sizes")]
    assert [one.get_attribute("id") for one in reached[:3]] == fields
    assert reached[3].text == "Send"


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_form_can_be_read_in_either_scheme_and_needs_no_sideways_scrolling(
    driver: Any, plain: str, picture: Path, scheme: str, width: int
) -> None:
    with screen(driver, width, scheme):
        page = PlainPage(driver, f"{plain}/docs")
        page.one(f"{page.perform} input[type=file]").send_keys(str(picture))
        page.send()
        wait_for_picture(page, f"{page.perform} .answer img", 60)
        assert page.needs_no_sideways_scrolling()
        contrast, text = page.lowest_contrast()
        assert contrast >= 4.5, text
