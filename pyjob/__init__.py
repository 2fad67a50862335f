"""Serve a Python class with a `perform` method and a `job.yaml` as a production web service."""

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from pyjob.app import create, serve
from pyjob.application import Application
from pyjob.errors import (
    AddressError,
    BusyError,
    CallBadRequestError,
    CallConnectionError,
    CallError,
    CallForbiddenError,
    CallInternalError,
    CallMediaTypeError,
    CallMethodError,
    CallNotFoundError,
    CallTimeoutError,
    CallTooLargeError,
    CallTooManyError,
    CallUnauthorizedError,
    CallUnavailableError,
    ConflictError,
    EntryPointError,
    JobError,
    ManifestError,
    PayloadError,
    PyjobError,
    ResultError,
)
from pyjob.job.endpoints import EndpointConfig
from pyjob.settings import Settings
from pyjob.wire.downloads.response import Response

if TYPE_CHECKING:
    from pyjob.client.chain import call_job, stream_job
    from pyjob.client.client import Client
    from pyjob.client.coroutine import call_job_coroutine, stream_job_coroutine
    from pyjob.client.coroutine import call_job_coroutine as call_job_async

__version__ = "0.1.0"

__all__ = [
    "AddressError",
    "Application",
    "BusyError",
    "CallBadRequestError",
    "CallConnectionError",
    "CallError",
    "CallForbiddenError",
    "CallInternalError",
    "CallMediaTypeError",
    "CallMethodError",
    "CallNotFoundError",
    "CallTimeoutError",
    "CallTooLargeError",
    "CallTooManyError",
    "CallUnauthorizedError",
    "CallUnavailableError",
    "Client",
    "ConflictError",
    "EndpointConfig",
    "EntryPointError",
    "JobError",
    "ManifestError",
    "PayloadError",
    "PyjobError",
    "Response",
    "ResultError",
    "Settings",
    "__version__",
    "call_job",
    "call_job_async",
    "call_job_coroutine",
    "create",
    "serve",
    "stream_job",
    "stream_job_coroutine",
]

# Loaded by whoever calls other jobs: importing pyjob is what every server pays for. Module, and name in it.
_CALLING = MappingProxyType(
    {
        "Client": ("client", "Client"),
        "call_job": ("chain", "call_job"),
        "call_job_async": ("coroutine", "call_job_coroutine"),
        "call_job_coroutine": ("coroutine", "call_job_coroutine"),
        "stream_job": ("chain", "stream_job"),
        "stream_job_coroutine": ("coroutine", "stream_job_coroutine"),
    }
)


if not TYPE_CHECKING:  # else a type checker would take every name for one of ours

    def __getattr__(name: str) -> object:
        """The names of `_CALLING`, when they are asked for (PEP 562)."""
        if name not in _CALLING:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module, inner = _CALLING[name]
        return getattr(import_module(f"pyjob.client.{module}"), inner)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
