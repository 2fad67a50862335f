"""Sample payloads as the author gave them: those that work are shown, others are told of (SPEC 1, 1.1)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pyjob.errors import kind_of, message_of
from pyjob.method.binary import check_base64
from pyjob.method.signature import Signature

LONGEST_SAMPLE = 1_000_000

# Calls a method of the job that takes no arguments, if it has it: what it gives, or None.
Ask = Callable[[str], object]


class Samples:
    """What `docs_input_example` and `docs_input_examples` give; ``warn`` is told what is wrong with it."""

    def __init__(self, ask: Ask, warn: Callable[[str], None]) -> None:
        self._ask = ask
        self._warn = warn
        self._by_path = self._examples()
        self._looked_up: set[str] = set()

    def of(self, path: str, signature: Signature) -> Mapping[str, dict[str, Any]]:
        """The samples of the endpoint at ``path``, by name: one, or several where a list was given."""
        self._looked_up.add(_plain(path))
        try:
            return self._working(path, signature)
        except BaseException as error:  # noqa: BLE001  the author's objects: even asking whether they are empty
            self._broken(f"sample of {path}", f"{kind_of(error)}: {message_of(error)}")
            return {}

    def _working(self, path: str, signature: Signature) -> Mapping[str, dict[str, Any]]:
        method, given = "docs_input_examples", self._by_path.get(_plain(path))
        if given is None and path == "/perform":
            method, given = "docs_input_example", self._call("docs_input_example")
        if given is None or (isinstance(given, dict) and not given):
            return {}
        # A list is several samples, where paths say whose they are.
        several = given if isinstance(given, list) and method.endswith("s") else [given]
        working = [self._checked(f"{method}, sample of {path}", one, signature) for one in several]
        samples = [sample for sample in working if sample is not None]
        if len(samples) == 1:
            return {"sample": samples[0]}
        return {f"sample {number}": sample for number, sample in enumerate(samples, 1)}

    def warn_of_strangers(self, known: Iterable[str]) -> None:
        """Warn of samples that belong to no endpoint."""
        paths = {_plain(path): path for path in known}
        for path in self._by_path.keys() - self._looked_up:
            near = difflib.get_close_matches(path, paths, n=1)
            hint = (
                f"did you mean {paths[near[0]]}?"
                if near
                else f"there are {', '.join(paths.values()) or 'none'}"
            )
            self._warn(f"docs_input_examples: there is no endpoint /{path}: {hint}")

    def _examples(self) -> dict[str, Any]:
        """Path without its slash to sample."""
        samples = self._call("docs_input_examples")
        if samples is None:
            return {}
        if not isinstance(samples, dict):
            self._broken("docs_input_examples", f"expected a dict, found {type(samples).__name__}")
            return {}
        try:
            return {_plain(str(path)): sample for path, sample in samples.items()}
        except BaseException as error:  # noqa: BLE001
            self._broken("docs_input_examples", f"{kind_of(error)}: {message_of(error)}")
            return {}

    def _call(self, name: str) -> object:
        try:
            return self._ask(name)
        except BaseException as error:  # noqa: BLE001  a sample is documentation: it never stops a start
            self._broken(name, f"it raised {kind_of(error)}: {message_of(error)}")
            return None

    def _checked(self, name: str, sample: object, signature: Signature) -> dict[str, Any] | None:
        if not isinstance(sample, dict):
            self._broken(name, f"expected a dict, found {type(sample).__name__}")
            return None
        try:
            text = json.dumps(sample, allow_nan=False)
            if len(text) > LONGEST_SAMPLE:
                raise ValueError(f"it is {len(text)} bytes of JSON, at most {LONGEST_SAMPLE} are shown")
            payload: dict[str, Any] = json.loads(text)
            check_base64(signature.parameters, payload)
            signature.check(payload)
        except Exception as error:  # noqa: BLE001  whatever is in it
            self._broken(name, message_of(error))
            return None
        return payload

    def _broken(self, name: str, fault: str) -> None:
        self._warn(f"{name}: the sample does not work: {fault}")


def _plain(path: str) -> str:
    return path.removeprefix("/api/v1").lstrip("/")
