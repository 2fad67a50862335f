"""Paths and the rooms that answer them, as they are collected before there is a dispatcher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# Of a room that has everything below a path, what the caller's path has more: empty, or from a slash on.
REST = "pyjob.rest"
# Of a room that answers every method.
ANY = "any method"

Methods = Mapping[str, "WSGIApplication"]
Routes = Mapping[str, Methods]
# Which threads a room needs, where the server has several lanes: those for what is short, those for calls of
# the job, those for calls that await and need none, or those for pages of its web application. A room says so
# by an attribute ``lane``.
Lane = Literal["quick", "calls", "awaited", "pages"]


class RouteTable:
    """Paths and the rooms that answer them, by method; collected before a `Dispatcher` is made."""

    def __init__(self) -> None:
        self.exact: dict[str, dict[str, WSGIApplication]] = {}
        self.below: dict[str, dict[str, WSGIApplication]] = {}
        self.templates: dict[str, dict[str, WSGIApplication]] = {}
        self.own: set[str] = set()

    def at(self, path: str, methods: Methods) -> None:
        """Exactly ``path``; other methods of it are left as they are."""
        self.exact.setdefault(path, {}).update(methods)

    def at_all(self, routes: Routes) -> None:
        """Each of ``routes`` of the service, by its exact path, which is its own: whatever else would answer
        there by any method, such as the short form of a job's endpoint, gives way."""
        for path, methods in routes.items():
            self.exact[path] = dict(methods)
            self.own.add(path)

    def at_template(self, path: str, methods: Methods) -> None:
        """Paths like ``path``, in which a name in braces stands for a part of one segment."""
        self.templates.setdefault(path, {}).update(methods)

    def at_and_below(self, path: str, methods: Methods) -> None:
        """``path`` and all that goes on from it with a slash, but for what has a route of its own."""
        self.at(path, methods)
        self.below.setdefault(path, {}).update(methods)
