"""The job as reading finds it: its class, and the methods of it that make endpoints."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from pyjob.check.code.reading.annotation import AnnotationReader
from pyjob.check.code.reading.blueprint import Blueprint
from pyjob.check.code.reading.literal import only_return
from pyjob.check.code.reading.method import Method, read_method
from pyjob.check.code.reading.project import MISSING, UNKNOWN, Absence, Definition, Project
from pyjob.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Draft:
    """The job's class as it is written, in its surroundings."""

    blueprint: Blueprint
    project: Project
    manifest: Manifest

    def method(self, name: str) -> Method | None:
        """The method of that name, where it is one that can be read."""
        found = self.blueprint.find(name)
        return read_method(name, found, self.project) if isinstance(found, Definition) else None

    def lacks(self, name: str) -> bool:
        """Whether an instance has nothing called ``name``, for certain."""
        blueprint = self.blueprint
        if name in blueprint.instance_names or blueprint.may_have_more or blueprint.hands_itself_out:
            return False
        if hasattr(object, name):
            return False
        return blueprint.find(name) is MISSING

    def is_none(self, name: str) -> bool:
        """Whether the job has no such method for certain: it lacks it, or has something else there."""
        found = self.blueprint.find(name)
        if name in self.blueprint.instance_names or self.blueprint.may_have_more:
            return False
        return self.lacks(name) or is_no_function(found)

    def given(self, name: str) -> ast.expr | Absence:
        """What the method ``name`` gives whenever it is asked: MISSING where the job has no such method."""
        if self.is_none(name):
            return MISSING
        method = self.method(name)
        if method is None or method.wrapper is not None or method.parameters is None:
            return UNKNOWN
        if name in self.blueprint.instance_names or self.blueprint.is_opaque:
            return UNKNOWN
        return only_return(method.node) or UNKNOWN

    def reader(self, method: Method) -> AnnotationReader:
        """What resolves the annotations of a method."""
        owners = [part for part in self.blueprint.own if method.node in part.node.body]
        return AnnotationReader(self.project, method.module, owners[0].scope if owners else None)


def is_no_function(found: Definition | Absence) -> bool:
    """Whether it is something that cannot be called, for certain."""
    return isinstance(found, Definition) and isinstance(
        found.node, (ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.JoinedStr)
    )
