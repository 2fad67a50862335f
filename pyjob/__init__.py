"""Serve a Python class with a `perform` method and a `job.yaml` as a production web service."""

from pyjob.app import create, serve
from pyjob.application import Application
from pyjob.errors import (
    AddressError,
    BusyError,
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

__version__ = "0.1.0"

__all__ = [
    "AddressError",
    "Application",
    "BusyError",
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
    "create",
    "serve",
]
