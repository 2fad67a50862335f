"""Which class of the entry file is the job: pyjob.job.entry once more, without running the file (SPEC 1.1).

Where reading cannot tell, nothing is found: what starts must pass.
"""

from __future__ import annotations

import ast
import difflib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyjob.check.code.job.draft import Draft, is_no_function
from pyjob.check.code.note import ERROR, note
from pyjob.check.code.reading.blueprint import Blueprint
from pyjob.check.code.reading.method import read_method
from pyjob.check.code.reading.project import MISSING, Definition, Module, Outside, Project
from pyjob.check.code.reading.scope import Function, is_dynamic
from pyjob.check.finding import Finding
from pyjob.job.entry import OPTIONAL_METHODS
from pyjob.manifest import Manifest

MAKERS_OF_CLASSES = frozenset({"make_dataclass", "new_class", "create_model"})
KNOWN = sys.stdlib_module_names | {"builtins"}
EXPECTED = "expected a class with a `perform` method"


@dataclass
class Choice:
    """The class that is the job, if it is known, and why it is not."""

    draft: Draft | None = None
    findings: list[Finding] = field(default_factory=list)


def choose_class(project: Project, manifest: Manifest) -> Choice:
    """Find the job's class in the entry file, which can be read."""
    module = project.entry_module()
    if module is None:
        return Choice()
    wanted = manifest.jobtype_extra.entrypoint_class
    chosen = _Chooser(project, module)
    found = chosen.named(wanted) if wanted else chosen.discovered()
    if isinstance(found, Finding):
        return Choice(findings=[found])
    if found is None:
        return Choice()
    draft = Draft(found, project, manifest)
    problem = _no_job(draft) if wanted else None
    return Choice(draft) if problem is None else Choice(findings=[problem])


def _no_job(draft: Draft) -> Finding | None:
    """What is wrong with a class that the manifest names."""
    blueprint, name = draft.blueprint, draft.blueprint.name
    if blueprint.is_opaque:
        return None
    if blueprint.is_protocol or blueprint.is_abstract:
        kind = "a protocol" if blueprint.is_protocol else "abstract"
        what = f"class {name} is {kind}: no job can be made of it"
        return note(
            "entry-class",
            ERROR,
            draft.blueprint.module,
            blueprint.node,
            what,
            "name a class that implements it",
        )
    if all(draft.is_none(method) for method in ("perform", *OPTIONAL_METHODS)):
        what = f"class {name}: expected a `perform` method, found none"
        return note(
            "entry-class",
            ERROR,
            draft.blueprint.module,
            blueprint.node,
            what,
            "define `def perform(self, ...)` in it",
        )
    return None


class _Chooser:
    def __init__(self, project: Project, module: Module) -> None:
        self.project = project
        self.module = module
        self.classes = list(self._classes())
        self.may_be_more = bool(module.scope.doubtful) or _makes_classes(module, project)

    def named(self, wanted: str) -> Blueprint | Finding | None:
        """The class called ``wanted``, defined or imported."""
        found = self.project.attribute(self.module, wanted)
        if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
            return Blueprint(found.node, found.module, self.project)
        plain_function = isinstance(found, Definition) and not getattr(found.node, "decorator_list", True)
        is_other = isinstance(found, Definition) and (
            plain_function or is_no_function(found) or isinstance(found.node, (ast.Module, ast.Lambda))
        )
        if found is not MISSING and not is_other:
            return None
        names = [one.name for one in self.classes if not one.is_enum]
        near = difflib.get_close_matches(wanted, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its classes: {', '.join(names) or 'none'}"
        what = "no such class" if found is MISSING else "something else of that name"
        node = found.node if isinstance(found, Definition) and found.module is self.module else None
        return self._error(
            node, f"jobtype_extra.entrypoint_class names {wanted!r}, but the file has {what}", hint
        )

    def discovered(self) -> Blueprint | Finding | None:
        """The one class that has `perform`; with none of them, the one with any other method of a job."""
        for methods, what in ((("perform",), "a `perform` method"), (OPTIONAL_METHODS, "a method of a job")):
            sure = [one for one in self.classes if one.is_known and _has(one, methods) is True]
            likely = [one for one in self.classes if one not in sure and _has(one, methods) is not False]
            plain = [one for one in sure if not one.is_dataclass]
            if len(plain) > 1 or (len(sure) > 1 and not plain and not likely and not self.may_be_more):
                return self._too_many(plain or sure, what)
            if plain:
                return plain[0]
            if likely or (sure and self.may_be_more):
                return _single([*sure, *likely], methods)
            if sure:
                return sure[0]
            if self.may_be_more:
                return None
        return self._none()

    def _classes(self) -> Iterator[Blueprint]:
        """The classes made in this file under some name, but for those that cannot be a job."""
        seen: set[ast.ClassDef] = set()
        for name in self.module.scope.bound:
            found = self.project.attribute(self.module, name)
            if not isinstance(found, Definition) or not isinstance(found.node, ast.ClassDef):
                continue
            if found.module is self.module and found.node not in seen:
                seen.add(found.node)
                one = Blueprint(found.node, found.module, self.project)
                if not (one.is_enum or one.is_protocol or one.is_abstract):
                    yield one

    def _too_many(self, classes: list[Blueprint], what: str) -> Finding:
        names = ", ".join(one.name for one in classes)
        message = f"{len(classes)} classes have {what}: {names}"
        remedy = f"name one in job.yaml: jobtype_extra.entrypoint_class: {classes[-1].name}"
        return self._error(classes[1].node, message, remedy)

    def _none(self) -> Finding:
        """What there is in place of a job, as the start would tell it."""
        for one in self.classes:
            names = {name.lower(): name for part in one.own for name in part.scope.bound}
            for near in difflib.get_close_matches("perform", names, n=1, cutoff=0.75):
                node = getattr(one.find(names[near]), "node", one.node)
                found = f"class {one.name} with a method {names[near]!r}"
                return self._error(
                    node, f"{EXPECTED}, found {found}", "is that a misspelt `perform`? Rename it"
                )
        function = self.module.scope.bound.get("perform")
        if isinstance(function, Function):
            message = f"{EXPECTED}, found a function `perform` outside of any class"
            return self._error(function, message, "indent it into a class, and give it `self`")
        if self.classes:
            listed = ", ".join(one.name for one in self.classes)
            message = f"{EXPECTED}, found only classes without it: {listed}"
            return self._error(self.classes[0].node, message, "add `def perform(self, ...)` to one of them")
        return self._error(
            None,
            f"{EXPECTED}, found no class",
            "write one, under any name, with `def perform(self, ...)`, "
            "or name an imported one in jobtype_extra.entrypoint_class",
        )

    def _error(self, node: ast.AST | None, message: str, remedy: str) -> Finding:
        return note("entry-class", ERROR, self.module, node, message, remedy)


def _has(blueprint: Blueprint, methods: tuple[str, ...]) -> bool | None:
    """Whether a class has one of these methods; None where reading cannot tell."""
    answers = [_has_one(blueprint, method) for method in methods]
    if True in answers:
        return True
    return None if None in answers else False


def _has_one(blueprint: Blueprint, name: str) -> bool | None:
    found = blueprint.find(name)
    if found is MISSING:
        return None if blueprint.is_opaque else False
    if not isinstance(found, Definition):
        return None
    method = read_method(name, found, blueprint.project)
    if method is None:
        return False if is_no_function(found) else None
    return None if method.is_changed else not method.is_property


def _single(classes: list[Blueprint], methods: tuple[str, ...]) -> Blueprint | None:
    """The class that must be the job if any of these is, because it alone has the method written out."""
    written = [one for one in classes if any(isinstance(one.find(name), Definition) for name in methods)]
    if len(classes) != 1 or not written or written[0].is_dataclass:  # which gives way to any other class
        return None
    return written[0]


def _makes_classes(module: Module, project: Project) -> bool:
    """Whether a class of this module may come from something else than its `class` statements."""
    nodes = module.source.nodes
    if is_dynamic(nodes) or any(_makes_a_class(node) for node in nodes):
        return True
    for name, bound in module.scope.bound.items():
        made = bound.func if isinstance(bound, ast.Call) else None
        for maker in [made] if made else getattr(bound, "decorator_list", ()):
            found = project.resolve(maker, module)
            strange = not isinstance(found, Outside) or found.name.partition(".")[0] not in KNOWN
            # Classes have capitals: `app = Flask(__name__)` is none.
            if not isinstance(bound, ast.ClassDef) and strange and name[:1].isupper():
                return True
    return False


def _makes_a_class(node: ast.AST) -> bool:
    if isinstance(node, Function):
        return any(
            isinstance(inner, ast.ClassDef) for statement in node.body for inner in ast.walk(statement)
        )
    if isinstance(node, ast.ClassDef):  # a class inside of it may be one of the module
        return any(isinstance(inner, ast.Global) for inner in node.body)
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "id", getattr(node.func, "attr", ""))
    return (name == "type" and len(node.args) == 3) or name in MAKERS_OF_CLASSES
