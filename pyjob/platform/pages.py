"""The pages of the platform itself: the index of its jobs, for people and for programs."""

from __future__ import annotations

import asyncio
from typing import Any

from pyjob.apps.pages.assets import (
    ASSET_HEADERS,
    HTML,
    ICON,
    NO_SNIFFING,
    PAGE_HEADERS,
    POLICY,
    asset_address,
    content_type,
    digest_of,
    filled,
    read,
)
from pyjob.errors import JobError
from pyjob.platform.child import Child
from pyjob.platform.directory import Directory
from pyjob.platform.head import Head
from pyjob.wire.response import Response, bytes_response, json_response

ASSETS = ("page.css", "platform.css", "elements.js", "platform.js")
DATA_HEADERS = (POLICY, NO_SNIFFING, ("Cache-Control", "no-store"))
METHODS = ("GET", "HEAD")


class Pages:
    """What is there beside the jobs of ``directory``, whose own PUB_URL is ``pub_url``."""

    def __init__(self, directory: Directory, pub_url: str) -> None:
        self._directory = directory
        self._pub_url = pub_url
        content = {name: read(name) for name in (ICON, *ASSETS)}
        digest = digest_of(content)
        addresses = {name: asset_address("platform", digest, name) for name in content}
        assets = [addresses[name] for name in ASSETS]
        page = filled("platform.html", icon=addresses[ICON], assets=assets)
        self._fixed: dict[str, Response] = {
            "/": bytes_response(200, HTML, page, PAGE_HEADERS),
            "/live": json_response(200, {"live": True}),
            **{
                f"/{addresses[name]}": bytes_response(200, content_type(name), body, ASSET_HEADERS)
                for name, body in content.items()
            },
        }

    async def answer(self, head: Head) -> Response:
        """The answer to a request that is for no job. Raises `JobError`."""
        fixed = self._fixed.get(head.path)
        if fixed is None and head.path != "/jobs":
            message = "there is nothing here: jobs are at /pub/job/NAME/VERSION/, and / lists them"
            raise JobError(404, message, kind="Not Found")
        if head.method not in METHODS:
            allowed = ", ".join(METHODS)
            message = f"expected {allowed}"
            raise JobError(405, message, kind="Method Not Allowed", headers={"Allow": allowed})
        return fixed or json_response(200, await self._read(), DATA_HEADERS)

    async def _read(self) -> dict[str, Any]:
        children = list(self._directory)
        rows = await asyncio.gather(*map(self._row, children))
        for child, row in zip(children, rows, strict=True):  # once all names are what they are now
            row["latest"] = self._directory.latest(child.name) is child
        return {"pub_url": self._pub_url, "jobs": rows}

    async def _row(self, child: Child) -> dict[str, Any]:
        standing = await child.look()
        return {
            "name": child.name,
            "version": child.version,
            "path": f"/pub/job/{child.name}/{child.version}/" if child.version else None,
            "state": standing.state,
            "error": standing.error,
            "exit_status": standing.exit_status,
        }
