"""A class as it is written: its members and those of its bases, and how much of it reading can know."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from pyjob.check.code.reading.project import MISSING, UNKNOWN, Absence, Definition, Module, Outside, Project
from pyjob.check.code.reading.scope import Function, Scope, is_dynamic, run_at_import
from pyjob.job.entry import OPTIONAL_METHODS

# Bases and decorators of other people that leave a class as it is written.
PLAIN_BASES = frozenset({"abc.ABC", "typing.Generic", "typing.Protocol", "builtins.object"})
PLAIN_BASES_ABSTRACT = frozenset({"abc.ABC", "typing.Protocol"})
PLAIN_DECORATORS = frozenset(
    {"typing.final", "typing.runtime_checkable", "functools.total_ordering", "enum.unique"}
)
DATACLASS = "dataclasses.dataclass"
ABSTRACT = frozenset({"abc.abstractmethod", "abc.abstractproperty"})
ENUMS = frozenset({"enum.Enum", "enum.IntEnum", "enum.StrEnum", "enum.Flag", "enum.IntFlag"})
# A class with one of these, or below one, may be made into something else.
TRICKS = frozenset({"__new__", "__getattribute__", "__init_subclass__"})
# No class of Python's own library has a member of one of these names.
METHODS_OF_A_JOB = frozenset({"perform", *OPTIONAL_METHODS})
MOST_BASES = 50


@dataclass(frozen=True)
class Unseen:
    """A base that is not the job's own: ``name`` is full, or empty where even that is unknown."""

    name: str

    @property
    def is_plain(self) -> bool:
        """Whether a class is what it says below this base."""
        return self.name in PLAIN_BASES or isinstance(_builtin(self.name), type)

    def lacks(self, member: str) -> bool:
        """Whether it is certain that the base has no such member."""
        if self.name in PLAIN_BASES or self.name.partition(".")[0] in sys.stdlib_module_names - {"builtins"}:
            return self.name in PLAIN_BASES or member in METHODS_OF_A_JOB
        return isinstance(_builtin(self.name), type) and not hasattr(_builtin(self.name), member)


@dataclass(eq=False)
class Blueprint:
    """One class of the job's own code; ``line`` is in the order in which Python looks for a member."""

    node: ast.ClassDef
    module: Module
    project: Project = field(repr=False)

    @property
    def name(self) -> str:
        """As it is written."""
        return self.node.name

    @cached_property
    def scope(self) -> Scope:
        """The names that its own body binds."""
        return Scope(self.node.body)

    @cached_property
    def bases(self) -> list[Blueprint | Unseen]:
        """What it is directly derived from."""
        return [self._base(node) for node in self.node.bases]

    @cached_property
    def line(self) -> list[Blueprint | Unseen]:
        """Itself and all of its bases, each where it comes last."""
        found = list(islice(self._walk(()), MOST_BASES + 1))
        if len(found) > MOST_BASES:
            return [self, Unseen("")]
        last = {(b.node if isinstance(b, Blueprint) else b): index for index, b in enumerate(found)}
        return [found[index] for index in sorted(last.values())]

    def _walk(self, above: tuple[ast.ClassDef, ...]) -> Iterator[Blueprint | Unseen]:
        if self.node in above:  # its name is that of an earlier class, which has been bound anew
            yield Unseen("")
            return
        yield self
        for base in self.bases:
            if isinstance(base, Blueprint):
                yield from base._walk((*above, self.node))
            else:
                yield base

    @cached_property
    def own(self) -> list[Blueprint]:
        """The classes of ``line`` that are the job's own."""
        return [part for part in self.line if isinstance(part, Blueprint)]

    @cached_property
    def is_known(self) -> bool:
        """Whether all of its bases are known, and nothing changes it after it is written."""
        return not self.is_opaque and all(isinstance(part, Blueprint) or part.is_plain for part in self.line)

    @cached_property
    def is_opaque(self) -> bool:
        """Whether something may have changed any of its members: then nothing of it can be judged."""
        return any(
            part.is_tricky or self.project.may_change(part.name, part.module) for part in self.own
        ) or bool({key for part in self.own for key in part.scope.bound} & TRICKS)

    @cached_property
    def is_tricky(self) -> bool:
        """Whether its own head has what may replace it: a decorator or a metaclass that is not known."""
        keywords = {k.arg for k in self.node.keywords if not self._is_plain_metaclass(k)}
        decorators = (self.decorator_name(node) for node in self.node.decorator_list)
        return bool(keywords) or any(name not in PLAIN_DECORATORS | {DATACLASS} for name in decorators)

    @cached_property
    def may_have_more(self) -> bool:
        """Whether an instance may have members that no statement shows."""
        dynamic = any(is_dynamic(ast.walk(part.node)) for part in self.own)
        return self.is_opaque or dynamic or any("__getattr__" in part.scope.bound for part in self.own)

    @property
    def is_dataclass(self) -> bool:
        """Whether `dataclass` decorates it, or a base."""
        return any(
            part.decorator_name(node) == DATACLASS for part in self.own for node in part.node.decorator_list
        )

    @property
    def is_enum(self) -> bool:
        """Whether a base is an enumeration."""
        return any(isinstance(part, Unseen) and part.name in ENUMS for part in self.line)

    @property
    def is_protocol(self) -> bool:
        """Whether it is a protocol itself: classes that implement one are not."""
        return any(isinstance(base, Unseen) and base.name == "typing.Protocol" for base in self.bases)

    @property
    def is_abstract(self) -> bool:
        """Whether it has abstract methods that Python enforces."""
        enforced = any(
            isinstance(part, Unseen) and part.name in PLAIN_BASES_ABSTRACT for part in self.line
        ) or any(part.node.keywords for part in self.own)
        return enforced and any(
            isinstance(found := self.find(name), Definition) and self._is_abstract_method(found)
            for part in self.own
            for name in part.scope.bound
        )

    def find(self, name: str) -> Definition | Absence:
        """The member of the class called ``name``: its own or a base's."""
        for part in self.line:
            if isinstance(part, Blueprint):
                if is_dynamic(run_at_import(part.node.body)):
                    return UNKNOWN
                if name in part.scope.bound:
                    return part.own_member(name)
            elif not part.lacks(name):
                return UNKNOWN
        return MISSING

    def own_member(self, name: str, trail: int = 0) -> Definition | Absence:
        """The member that its own body binds to ``name``, other names of it followed."""
        bound = self.scope.bound[name]
        if isinstance(bound, (Function, ast.ClassDef)):
            return Definition(bound, self.module)
        if not isinstance(bound, ast.expr):
            return UNKNOWN
        if isinstance(bound, ast.Name) and bound.id in self.scope.bound:
            return UNKNOWN if trail > 5 else self.own_member(bound.id, trail + 1)
        found = self.project.resolve(bound, self.module)
        return found if isinstance(found, Definition) else UNKNOWN

    @cached_property
    def instance_names(self) -> frozenset[str]:
        """Names that its methods set on ``self``, and those that annotations announce."""
        nodes = [node for part in self.own for node in ast.walk(part.node)]
        stored = {n.attr for n in nodes if isinstance(n, ast.Attribute) and not isinstance(n.ctx, ast.Load)}
        slots = {
            n.target.id for n in nodes if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)
        }
        return frozenset(stored | slots)

    @cached_property
    def hands_itself_out(self) -> bool:
        """Whether ``self`` is an argument somewhere in it: whoever gets it may set anything on it."""
        return any(
            isinstance(argument, ast.Name) and argument.id == "self"
            for part in self.own
            for call in ast.walk(part.node)
            if isinstance(call, ast.Call)
            for argument in (*call.args, *(keyword.value for keyword in call.keywords))
        )

    def decorator_name(self, node: ast.expr) -> str:
        """The full name of a decorator from outside, called or not."""
        return self.project.full_name(node.func if isinstance(node, ast.Call) else node, self.module)

    def _base(self, node: ast.expr) -> Blueprint | Unseen:
        found = self.project.resolve(node.value if isinstance(node, ast.Subscript) else node, self.module)
        if isinstance(found, Outside):
            return Unseen(found.name.replace("typing_extensions.", "typing."))
        if isinstance(found, Definition) and isinstance(found.node, ast.ClassDef):
            return Blueprint(found.node, found.module, self.project)
        return Unseen("")

    def _is_plain_metaclass(self, keyword: ast.keyword) -> bool:
        name = self.project.full_name(keyword.value, self.module)
        return keyword.arg == "metaclass" and name in ("abc.ABCMeta", "builtins.type")

    def _is_abstract_method(self, found: Definition) -> bool:
        decorators = getattr(found.node, "decorator_list", ())
        return any(self.project.full_name(node, found.module) in ABSTRACT for node in decorators)


def _builtin(name: str) -> object:
    return getattr(builtins, name.removeprefix("builtins."), None) if name.startswith("builtins.") else None
