"""The job as its author wrote it, read once after its class was made."""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyjob.errors import EntryPointError, message_of
from pyjob.job.entry import OPTIONAL_METHODS
from pyjob.method.docstring import Docstring, parse_docstring
from pyjob.method.signature import Signature, read_signature

Await = Callable[[Awaitable[Any]], Any]

LONGEST_SAMPLE = 1_000_000
NOT_SERVED_YET = ("auxiliary_endpoints", "auxiliary_endpoints_v2", "static_endpoints", "webview_app")


@dataclass(frozen=True)
class Endpoint:
    """One method that callers can call: ``path`` is the short one (`/perform`), ``samples`` name payloads."""

    path: str
    handler: Callable[..., Any]
    signature: Signature
    docstring: Docstring
    samples: Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """What an instance of the entry point class offers; ``warnings`` are meant for its author."""

    docstring: Docstring
    endpoints: tuple[Endpoint, ...]
    metrics: Callable[[], Any] | None
    warnings: tuple[str, ...]


def read_job(instance: object, *, file: str, check_types: bool, wait_for: Await) -> Job:
    """Read signatures, docstrings and samples of ``instance``; ``file`` names its file in messages.

    Raises `EntryPointError` where it breaks a rule of SPEC 1.1; what is merely broken becomes a warning.
    """
    return _Reader(instance, file, check_types, wait_for).read()


class _Reader:
    def __init__(self, instance: object, file: str, check_types: bool, wait_for: Await) -> None:
        self.instance = instance
        self.place = f"{file}: class {type(instance).__name__}"
        self.check_types = check_types
        self.wait_for = wait_for
        self.warnings: list[str] = []

    def read(self) -> Job:
        for name in NOT_SERVED_YET:
            if self._method(name) is not None:
                self.warnings.append(f"{self.place}: {name} is not served by this version of pyjob")
        perform = self._method("perform")
        if perform is None and not any(self._method(n) is not None for n in OPTIONAL_METHODS):
            raise EntryPointError(
                f"{self.place}: expected a `perform` method, found none: define `def perform(self, ...)`"
            )
        endpoints = () if perform is None else (self._endpoint("/perform", perform),)
        return Job(
            docstring=parse_docstring(type(self.instance).__doc__),
            endpoints=endpoints,
            metrics=self._awaited(self._method("metrics")),
            warnings=tuple(dict.fromkeys(self.warnings)),
        )

    def _method(self, name: str) -> Callable[..., Any] | None:
        try:
            method = getattr(self.instance, name, None)
        except Exception as error:  # noqa: BLE001  a property of the author's
            self.warnings.append(f"{self.place}: {name} cannot be read: {message_of(error)}")
            return None
        if method is not None and not callable(method):
            self.warnings.append(f"{self.place}: {name} is no method and is ignored")
            return None
        return method

    def _awaited(self, method: Callable[..., Any] | None) -> Callable[[], Any] | None:
        if method is None:
            return None

        def call() -> Any:
            result = method()
            return self.wait_for(result) if inspect.isawaitable(result) else result

        return call

    def _endpoint(self, path: str, handler: Callable[..., Any]) -> Endpoint:
        place = f"{self.place}: method {getattr(handler, '__name__', path)}"
        signature = read_signature(handler, place, check_types=self.check_types)
        self.warnings.extend(signature.warnings)
        sample = self._sample(path, signature)
        return Endpoint(
            path=path,
            handler=handler,
            signature=signature,
            docstring=parse_docstring(inspect.getdoc(handler)),
            samples={"sample": sample} if sample else {},
        )

    def _sample(self, path: str, signature: Signature) -> dict[str, Any] | None:
        """The author's sample payload, if it is a working one; else None, with a warning."""
        method, sample = "docs_input_examples", self._samples().get(path.lstrip("/"))
        if sample is None and path == "/perform":
            method, sample = "docs_input_example", self._call_sample_method("docs_input_example")
        if sample is None or (isinstance(sample, dict) and not sample):
            return None
        return self._checked_sample(f"{method}, sample of {path}", sample, signature)

    def _samples(self) -> dict[str, Any]:
        """What `docs_input_examples` gives: path without its slash to sample."""
        samples = self._call_sample_method("docs_input_examples")
        if samples is None:
            return {}
        if not isinstance(samples, dict):
            self._warn_of_sample("docs_input_examples", f"expected a dict, found {type(samples).__name__}")
            return {}
        return {str(path).lstrip("/"): sample for path, sample in samples.items()}

    def _call_sample_method(self, name: str) -> object:
        method = self._awaited(self._method(name))
        if method is None:
            return None
        try:
            return method()
        except BaseException as error:  # noqa: BLE001  a sample is documentation: it never stops a start
            self._warn_of_sample(name, f"it raised {type(error).__name__}: {message_of(error)}")
            return None

    def _checked_sample(self, name: str, sample: object, signature: Signature) -> dict[str, Any] | None:
        if not isinstance(sample, dict):
            self._warn_of_sample(name, f"expected a dict, found {type(sample).__name__}")
            return None
        try:
            text = json.dumps(sample, allow_nan=False)
            if len(text) > LONGEST_SAMPLE:
                raise ValueError(f"it is {len(text)} bytes of JSON, at most {LONGEST_SAMPLE} are shown")
            payload: dict[str, Any] = json.loads(text)
            signature.check(payload)
        except Exception as error:  # noqa: BLE001  whatever is in it
            self._warn_of_sample(name, message_of(error))
            return None
        return payload

    def _warn_of_sample(self, name: str, fault: str) -> None:
        self.warnings.append(f"{self.place}: {name}: the sample does not work: {fault}")
