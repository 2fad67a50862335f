"""Calls to other jobs, by the names and defaults of the reference; errors are `pyjob.CallError`."""

from __future__ import annotations

from typing import Any

import pyjob

PERFORM = "/api/v1/perform"


def call_job(
    entrypoint: object,
    job_name: str,
    path: str = PERFORM,
    payload: dict[str, Any] | None = None,
    version: str = "latest",
    method: str = "POST",
    timeout: float | None = 10,
) -> Any:
    """Call another job's endpoint: what it returned."""
    return pyjob.call_job(
        entrypoint, job_name, path, payload, version=version, method=method, timeout=timeout
    )


async def call_job_coroutine(
    entrypoint: object,
    job_name: str,
    path: str = PERFORM,
    payload: dict[str, Any] | None = None,
    version: str = "latest",
    method: str = "POST",
    timeout: float | None = 10,
) -> Any:
    """The same from an ``async def``, whose event loop goes on meanwhile."""
    return await pyjob.call_job_coroutine(
        entrypoint, job_name, path, payload, version=version, method=method, timeout=timeout
    )


# What it was called first.
call_job_async = call_job_coroutine


def async_job_call(
    entrypoint: object,
    job_name: str,
    path: str = PERFORM,
    payload: dict[str, Any] | None = None,
    version: str = "latest",
    method: str = "POST",
) -> Any:
    """Call another job and wait for its result, however long it takes.

    On one connection: the tasks that the platform would keep meanwhile are not asked for.
    """
    return call_job(entrypoint, job_name, path, payload, version, method, timeout=None)
