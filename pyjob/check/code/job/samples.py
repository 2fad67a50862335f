"""Sample payloads as far as they are written out: would the endpoint accept them (SPEC 1.1, 4.3)?"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Iterator

from pyjob.check.code.job.draft import Draft
from pyjob.check.code.job.endpoints import Route, Routes
from pyjob.check.code.note import ADVICE, ERROR, note
from pyjob.check.code.reading.annotation import signature_of
from pyjob.check.code.reading.literal import Items, NotLiteral, items_of, literal
from pyjob.check.code.reading.method import Method
from pyjob.check.code.reading.project import MISSING
from pyjob.check.finding import Finding
from pyjob.errors import message_of
from pyjob.job.samples import LONGEST_SAMPLE
from pyjob.method.binary import check_base64
from pyjob.method.signature import Parameter, Signature

ONE, MANY = "docs_input_example", "docs_input_examples"
RULE = "broken-sample"


def judge_samples(draft: Draft, routes: Routes) -> Iterator[Finding]:
    """Findings of `docs_input_examples`, and of `docs_input_example` where that is what counts."""
    by_path: dict[str, ast.expr] = {}
    many, method = draft.given(MANY), draft.method(MANY)
    is_known = many is MISSING
    if isinstance(many, ast.expr) and method is not None:
        judge = _Judge(draft, routes, method)
        is_known = judge.is_none(many)
        if isinstance(many, ast.Dict):
            items = items_of(many)
            is_known = items.is_whole
            by_path = {_plain(str(item.key)): item.node for item in items.known}
            yield from judge.strangers({_plain(str(item.key)): item.key_node for item in items.known})
            yield from judge.paths(by_path)
        elif not is_known:
            yield from judge.no_dict(many, MANY)
    one, method = draft.given(ONE), draft.method(ONE)
    if is_known and "perform" not in by_path:
        if isinstance(one, ast.expr) and method is not None:
            yield from _Judge(draft, routes, method).one(one)
        elif one is MISSING:
            yield from _advise(routes)


def _advise(routes: Routes) -> Iterator[Finding]:
    for route in routes.known:
        handler = route.handler
        if route.path == "/perform" and route.node is None and handler and _wants_sample(handler):
            names = ", ".join(f'"{one.name}": ...' for one in handler.written.named)
            message = "there is no sample payload of perform, so the docs page has nothing to try"
            remedy = f"define `def {ONE}(self): return {{{names}}}`"
            yield note("sample", ADVICE, handler.module, handler.node, message, remedy)


def _wants_sample(handler: Method) -> bool:
    return bool(handler.written.named) and not handler.is_faulty


class _Judge:
    """Judges what one ``method`` gives."""

    def __init__(self, draft: Draft, routes: Routes, method: Method) -> None:
        self.draft = draft
        self.routes = routes
        self.method = method

    def paths(self, by_path: dict[str, ast.expr]) -> Iterator[Finding]:
        """Findings of the samples of known endpoints."""
        for route in self.routes.known:
            node = by_path.get(_plain(route.path))
            if node is None or self.is_none(node):
                continue
            for sample in node.elts if isinstance(node, ast.List) else [node]:
                yield from self._sample(sample, f"{MANY}, sample of {route.path}", route)

    def one(self, node: ast.expr) -> Iterator[Finding]:
        """Findings of the one sample of perform."""
        routes = [route for route in self.routes.known if route.path == "/perform"]
        if routes and not self.is_none(node):
            yield from self._sample(node, f"{ONE}, sample of /perform", routes[0])
        elif (
            isinstance(node, ast.Dict) and node.keys and self.routes.is_whole and self.draft.lacks("perform")
        ):
            message = f"{ONE}: a sample of /perform, which the job does not have"
            yield self._note(node, message, "define `def perform(self, ...)`, or remove the sample")

    def strangers(self, keys: dict[str, ast.expr]) -> Iterator[Finding]:
        """Findings of samples that belong to no endpoint."""
        paths = {_plain(route.path): route.path for route in self.routes.known}
        may_perform = not self.draft.is_none("perform")
        for path, node in keys.items():
            if path in paths or not self.routes.is_whole or (path == "perform" and may_perform):
                continue
            near = difflib.get_close_matches(path, paths, n=1)
            hint = (
                f"did you mean {paths[near[0]]!r}?"
                if near
                else f"there are {', '.join(paths.values()) or 'none'}"
            )
            yield self._note(node, f"{MANY}: there is no endpoint /{path}", hint)

    def no_dict(self, node: ast.expr, name: str) -> Iterator[Finding]:
        """A finding where something is written out that is no dict."""
        try:
            value = literal(node)
        except NotLiteral:
            if not isinstance(node, (ast.List, ast.Tuple, ast.Set, ast.JoinedStr)):
                return
            kind = type(node).__name__.lower().replace("joinedstr", "str")
        else:
            kind = type(value).__name__
        yield self._note(
            node,
            f"{name}: the sample does not work: expected a dict, found {kind}",
            "return a dict of named arguments",
        )

    def is_none(self, node: ast.expr) -> bool:
        """Whether it stands for no sample."""
        return (isinstance(node, ast.Constant) and node.value is None) or (
            isinstance(node, ast.Dict) and not node.keys
        )

    def _sample(self, node: ast.expr, name: str, route: Route) -> Iterator[Finding]:
        if not isinstance(node, ast.Dict):
            yield from self.no_dict(node, name)
            return
        items = items_of(node)
        payload: dict[str, object] = {}
        unknown = set()
        for item in items.known:
            key = item.key if isinstance(item.key, str) else str(item.key)
            try:
                payload[key] = _as_json(literal(item.node))
            except NotLiteral:
                payload[key] = None
                unknown.add(key)
            except (TypeError, ValueError, RecursionError) as error:
                yield self._note(item.node, f"{name}: the sample does not work: {key}: {message_of(error)}")
                return
        length = len(json.dumps(payload))
        if length > LONGEST_SAMPLE:
            message = f"{name}: it is {length} bytes of JSON, at most {LONGEST_SAMPLE} are shown"
            yield self._note(node, message, "give a smaller one")
        elif (signature := self._signature(route, items, unknown)) is not None:
            try:
                check_base64(signature.parameters, payload)
                signature.check(payload)
            except Exception as error:  # noqa: BLE001  as the start does: whatever is in it
                yield self._note(node, f"{name}: the sample does not work: {message_of(error)}")

    def _signature(self, route: Route, items: Items, unknown: set[str]) -> Signature | None:
        handler = route.handler
        if handler is None or handler.parameters is None or handler.is_faulty:
            return None
        reader = self.draft.reader(handler)
        parameters = handler.parameters
        check_types = self.draft.manifest.jobtype_extra.check_types
        signature = signature_of(parameters, reader, frozenset(unknown), check_types=check_types)
        if items.is_whole:
            return signature
        # More arguments may come from what is computed: none is missing for certain.
        optional = tuple(Parameter(p.name, p.annotation, ...) for p in signature.parameters)
        return Signature(optional, open=parameters.open, check_types=check_types)

    def _note(self, node: ast.expr, message: str, remedy: str = "") -> Finding:
        remedy = remedy or "give a payload that the endpoint accepts"
        return note(RULE, ERROR, self.method.module, node, message, remedy)


def _as_json(value: object) -> object:
    """The value as a caller would send it. Raises what `json` raises where it is no JSON."""
    sent: object = json.loads(json.dumps(value, allow_nan=False))
    return sent


def _plain(path: str) -> str:
    return path.removeprefix("/api/v1").lstrip("/")
