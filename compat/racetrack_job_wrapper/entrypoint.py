"""The base class of jobs, which none of them needs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyjob import EndpointConfig

WsgiApplication = Callable[[Mapping[str, object], Callable[..., Any]], Iterable[bytes]]


class JobEntrypoint(ABC):
    """A job that has nothing but `perform`, until a subclass says otherwise."""

    @abstractmethod
    def perform(self, **kwargs: Any) -> Any:
        """The main action."""

    def webview_app(self, base_url: str) -> WsgiApplication | None:
        """No web view."""
        return None

    def docs_input_example(self) -> dict[str, Any]:
        """No sample of `perform`."""
        return {}

    def docs_input_examples(self) -> dict[str, dict[str, Any]]:
        """No samples."""
        return {}

    def auxiliary_endpoints(self) -> dict[str, Callable[..., Any]]:
        """No auxiliary endpoints."""
        return {}

    def auxiliary_endpoints_v2(self) -> list[EndpointConfig]:
        """No auxiliary endpoints of the second kind."""
        return []

    def static_endpoints(self) -> dict[str, tuple[str, str] | str]:
        """No files."""
        return {}

    def metrics(self) -> list[dict[str, Any]]:
        """No metrics."""
        return []
