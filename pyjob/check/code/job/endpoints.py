"""Auxiliary endpoints as far as they are written out: paths, methods, handlers (SPEC 1.3)."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pyjob.check.code.job.draft import Draft, is_no_function
from pyjob.check.code.note import ERROR, WARNING, note
from pyjob.check.code.reading.literal import NotLiteral, constant, items_of, literal
from pyjob.check.code.reading.method import Method, read_method
from pyjob.check.code.reading.project import Definition
from pyjob.check.code.reading.scope import Function
from pyjob.check.finding import Finding, Severity
from pyjob.errors import EntryPointError
from pyjob.job.endpoints import OPTIONS, V1, V2
from pyjob.job.paths import Claims, endpoint_path, path_names

FIELDS = ("path", "method", "handler", "other_options")


@dataclass(frozen=True, eq=False)
class Route:
    """One endpoint that callers can call; ``handler`` is None where it cannot be read."""

    path: str
    handler: Method | None
    node: ast.expr | None


@dataclass(eq=False)
class Routes:
    """The endpoints of a job; ``is_whole`` where there are no others."""

    known: list[Route] = field(default_factory=list)
    is_whole: bool = True
    findings: list[Finding] = field(default_factory=list)

    @property
    def handlers(self) -> list[Method]:
        """The methods behind them, each once."""
        return list({one.handler.node: one.handler for one in self.known if one.handler}.values())


def read_routes(draft: Draft, claims: Claims) -> Routes:
    """The endpoints of ``draft``; ``claims`` learns which paths they take."""
    reader = _Reader(draft, claims)
    reader.read()
    return reader.routes


class _Reader:
    def __init__(self, draft: Draft, claims: Claims) -> None:
        self.draft = draft
        self.claims = claims
        self.routes = Routes()

    def read(self) -> None:
        perform = self.draft.method("perform")
        if perform is not None and not perform.is_property:
            self.routes.known.append(Route("/perform", perform, None))
            self.claims.claim("/perform", "POST", "the method perform")
            self.claims.claim("/parameters", "GET", "the built-in list of parameters")
        for name, read in ((V1, self._read_v1), (V2, self._read_v2)):
            given = self.draft.given(name)
            method = self.draft.method(name)
            if isinstance(given, ast.expr) and method is not None:
                if constant(given) is None and isinstance(given, ast.Constant):
                    continue
                read(given, method)
            elif not self.draft.is_none(name):
                self.routes.is_whole = False

    def _read_v1(self, given: ast.expr, method: Method) -> None:
        if not isinstance(given, ast.Dict):
            self._expect(given, method, V1, "a dict of path to method")
            return
        items = items_of(given)
        self.routes.is_whole &= items.is_whole
        for item in items.known:
            path = self._checked(item.key_node, method, endpoint_path, item.key, V1)
            handler = self._handler(item.node, method, f"{V1} {item.key}")
            if path is None:
                continue
            if self._checked(item.key_node, method, path_names, path, V1):
                message = f"{V1} {path}: names in braces need {V2}, which binds them"
                self._note(ERROR, item.key_node, method, message, f"move it to {V2}")
                continue
            self._add(Route(path, handler, item.key_node), "POST", method, V1, ())

    def _read_v2(self, given: ast.expr, method: Method) -> None:
        if not isinstance(given, (ast.List, ast.Tuple)):
            self._expect(given, method, V2, "a list of EndpointConfig")
            return
        for node in given.elts:
            full = (
                self.draft.project.full_name(node.func, method.module) if isinstance(node, ast.Call) else ""
            )
            if isinstance(node, ast.Call) and full.endswith(".EndpointConfig"):
                self._read_config(node, method, is_ours=full.startswith("pyjob."))
                continue
            self.routes.is_whole = False
            if isinstance(node, (ast.Constant, ast.Dict, ast.List, ast.Tuple)):
                message = (
                    f"{V2}: expected EndpointConfig(path, method, handler), found {ast.unparse(node)[:60]}"
                )
                self._note(ERROR, node, method, message, "from pyjob import EndpointConfig")

    def _read_config(self, node: ast.Call, method: Method, *, is_ours: bool) -> None:
        given: dict[str | None, ast.expr] = dict(zip(FIELDS, node.args, strict=False))
        given |= {keyword.arg: keyword.value for keyword in node.keywords}
        if None in given or any(isinstance(one, ast.Starred) for one in node.args):
            self.routes.is_whole = False
            return
        missing = [name for name in FIELDS[:3] if name not in given]
        strange = [str(name) for name in given if name not in FIELDS]
        if missing or strange or len(node.args) > len(FIELDS):
            self.routes.is_whole = False
            if is_ours:
                what = (
                    f"missing: {', '.join(missing)}"
                    if missing
                    else f"too much: {', '.join(strange) or 'a fifth'}"
                )
                remedy = "EndpointConfig(path, method, handler, other_options)"
                self._note(ERROR, node, method, f"{V2}: EndpointConfig: {what}", remedy)
            return
        self._read_fields(node, method, given["path"], given["method"], given["handler"])
        paths = (str(constant(given["method"])).upper(), constant(given["path"]))
        self._judge_options(given.get("other_options"), method, f"{V2}, {paths[0]} {paths[1]}")

    def _read_fields(
        self, node: ast.Call, method: Method, path_node: ast.expr, verb_node: ast.expr, handler_node: ast.expr
    ) -> None:
        verb = self._verb(verb_node, method)
        handler = self._handler(handler_node, method, V2)
        if not isinstance(path_node, ast.Constant):
            self.routes.is_whole = False
            return
        path = self._checked(path_node, method, endpoint_path, path_node.value, V2)
        names = self._checked(path_node, method, path_names, path or "/", V2)
        if path is None or names is None:
            return
        parameters = handler.parameters if handler else None
        taken = [one.name for one in parameters.named] if parameters else []
        is_judged = handler is not None and not handler.is_faulty
        for name in names if is_judged and parameters and not parameters.open else ():
            if name not in taken:
                near = difflib.get_close_matches(name, taken, n=1)
                hint = f"did you mean {{{near[0]}}}?" if near else f"it has {', '.join(taken) or 'none'}"
                message = f"{V2} {path} holds {{{name}}}, but its handler has no parameter {name!r}"
                self._note(ERROR, path_node, method, message, hint)
        self._add(Route(path, handler, node), verb, method, V2, names)

    def _add(
        self, route: Route, verb: str | None, method: Method, owner: str, names: tuple[str, ...]
    ) -> None:
        self.routes.known.append(route)
        if verb is not None:
            claim = self.claims.claim_template if names else self.claims.claim
            self._checked(route.node, method, claim, route.path, verb, f"{owner} {verb} {route.path}")

    def _verb(self, node: ast.expr, method: Method) -> str | None:
        full = self.draft.project.full_name(node, method.module) if isinstance(node, ast.Attribute) else ""
        if not isinstance(node, ast.Constant) and not full.startswith("http.HTTPMethod."):
            return None
        verb = full.rpartition(".")[2] if full else str(constant(node)).upper()
        if verb in ("GET", "POST"):
            return verb
        message = f"{V2}: method: expected GET or POST, found {ast.unparse(node)}"
        self._note(ERROR, node, method, message, 'write "GET" or "POST"')
        return None

    def _judge_options(self, node: ast.expr | None, method: Method, place: str) -> None:
        if isinstance(node, ast.Constant) and node.value is None:
            return
        if isinstance(node, (ast.Constant, ast.List, ast.Tuple, ast.Set)):
            self._note(
                ERROR, node, method, f"{place}: other_options: expected a dict", 'such as {"tags": ["mine"]}'
            )
        if not isinstance(node, ast.Dict):
            return
        items = items_of(node).known
        others = [str(item.key) for item in items if item.key not in OPTIONS]
        if others:
            message = f"{place}: other_options: {', '.join(others)} not used"
            self._note(WARNING, node, method, message, f"only {', '.join(OPTIONS)} are")
        for item in items:
            if item.key == "tags" and isinstance(item.node, ast.Constant) and item.node.value:
                message = f"{place}: other_options: tags: expected a list of str, found {item.node.value!r}"
                self._note(ERROR, item.node, method, message, f'write "tags": [{item.node.value!r}]')

    def _handler(self, node: ast.expr, method: Method, place: str) -> Method | None:
        """The method that answers, if it can be read."""
        project = self.draft.project
        if isinstance(node, ast.Lambda):
            return read_method("a lambda", Definition(node, method.module), project, bound=False)
        if isinstance(node, ast.Attribute) and _is_self(node.value, method):
            return self._own_handler(node, method, place)
        if isinstance(node, ast.Name) and node.id not in _locals(method.node):
            found = project.resolve(node, method.module)
            is_function = isinstance(found, Definition) and isinstance(found.node, Function)
            return read_method(node.id, found, project, bound=False) if is_function else None  # type: ignore[arg-type]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and _is_self(node.func.value, method)
        ):
            self._judge_call(node.func, method, place)
        if is_no_function(Definition(node, method.module)):
            message = f"{place}: expected a method to call, found {ast.unparse(node)[:60]}"
            self._note(ERROR, node, method, message, "write `self.METHOD`, without parentheses")
        return None

    def _judge_call(self, called: ast.Attribute, method: Method, place: str) -> None:
        """A method that is called where it should be named: an error where it gives nothing to call."""
        name = called.attr
        own = None if name in self.draft.blueprint.instance_names else self.draft.method(name)
        if own is not None and own.gives_a_value:
            message = f"{place}: a call of self.{name}, which gives no method"
            self._note(ERROR, called, method, message, f"write self.{name}, without parentheses")

    def _own_handler(self, node: ast.Attribute, method: Method, place: str) -> Method | None:
        blueprint = self.draft.blueprint
        found = blueprint.find(node.attr)
        if self.draft.lacks(node.attr):
            names = [name for part in blueprint.own for name in part.scope.bound]
            near = difflib.get_close_matches(node.attr, names, n=1)
            hint = f"did you mean `self.{near[0]}`?" if near else f"define `def {node.attr}(self, ...)`"
            message = f"{place}: class {blueprint.name} has no `{node.attr}`"
            self._note(ERROR, node, method, message, hint)
        elif self.draft.is_none(node.attr):
            message = f"{place}: `self.{node.attr}` is no method to call"
            self._note(ERROR, node, method, message, f"define `def {node.attr}(self, ...)`")
        if node.attr in blueprint.instance_names or not isinstance(found, Definition):
            return None
        handler = read_method(node.attr, found, self.draft.project)
        return None if handler is None or handler.is_property else handler

    def _expect(self, given: ast.expr, method: Method, name: str, expected: str) -> None:
        """Judge what is not what was expected: an error where it is written out, else unknown."""
        self.routes.is_whole = False
        try:
            value = literal(given)
        except NotLiteral:
            if not isinstance(given, (ast.Dict, ast.List, ast.Tuple)):
                return
            value = {} if isinstance(given, ast.Dict) else []
        if name == V2 and not isinstance(value, (str, dict)) and hasattr(value, "__iter__"):
            return
        message = f"{name}: expected {expected}, found {type(value).__name__}"
        self._note(ERROR, given, method, message, f"return {expected}")

    def _checked(
        self, node: ast.expr | None, method: Method, check: Callable[..., Any], *arguments: object
    ) -> Any:
        """What ``check`` gives, or None and a finding where it raises."""
        try:
            return check(*arguments)
        except EntryPointError as error:
            self._note(ERROR, node, method, str(error))
            return None

    def _note(
        self, severity: Severity, node: ast.AST | None, method: Method, message: str, remedy: str = ""
    ) -> None:
        self.routes.findings.append(
            note("endpoints", severity, method.module, node or method.node, message, remedy)
        )


def _is_self(node: ast.expr, method: Method) -> bool:
    return isinstance(node, ast.Name) and method.binding == "self" and node.id == method.written.first


def _locals(function: Function | ast.Lambda) -> set[str]:
    """Names that the function binds itself."""
    nodes = list(ast.walk(function))
    stored = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    defined = {n.name for n in nodes if n is not function and isinstance(n, (Function, ast.ClassDef))}
    imported = {
        a.asname or a.name for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names
    }
    return stored | defined | imported | {n.arg for n in nodes if isinstance(n, ast.arg)}
