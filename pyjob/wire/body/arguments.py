"""Where the arguments of a call stand: in the body, or also in path and query (SPEC 1.3, 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pyjob.errors import PayloadError
from pyjob.job.endpoints import Endpoint
from pyjob.method.binary import Base64
from pyjob.method.conversion import converter_of, json_or_text
from pyjob.wire.body.content import Content
from pyjob.wire.body.form import repeated
from pyjob.wire.body.payload import not_an_object
from pyjob.wire.body.upload import Uploaded, made_of

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Where the dispatcher leaves what stood in braces: https://wsgi.readthedocs.io/en/latest/specifications/routing_args.html
ROUTING_ARGS = "wsgiorg.routing_args"
MOST_IN_QUERY = 1000

Arguments = dict[str, Any]
# Reads the arguments of a request whose body is at most so long. Raises `PayloadError`.
# Whoever gets an `Uploaded` closes it.
ReadArguments = Callable[["WSGIEnvironment", int], Arguments]


def reader_of(endpoint: Endpoint) -> ReadArguments:
    """What reads the arguments of requests to ``endpoint``."""
    if endpoint.takes_text:
        return _Reader(endpoint).read
    return Content(endpoint.signature.parameters).read_arguments


class _Reader:
    """Path first, then query, then body; no argument may come twice."""

    def __init__(self, endpoint: Endpoint) -> None:
        parameters = endpoint.signature.parameters
        self._converters = {p.name: converter_of(p) for p in parameters}
        self._body_name = endpoint.body_name
        self._base64 = Base64(parameters, made_of)
        self._content = Content([p for p in parameters if p.name not in endpoint.path_names])

    def read(self, environ: WSGIEnvironment, most: int) -> Arguments:
        arguments: Arguments = {}
        for name, text in self._texts(environ):
            if name in arguments:
                raise repeated([name])
            arguments[name] = self._converters.get(name, json_or_text)(text)
        self._base64.decode(arguments)
        body: object = self._content.read(environ, most)
        if not isinstance(body, dict):
            body = self._as_member(body, arguments)
        twice = arguments.keys() & body.keys()
        if twice:
            if isinstance(body, Uploaded):
                body.close()
            raise repeated(sorted(twice))
        # Into what was read of the body: it may have files to close.
        body.update(arguments)
        return body

    def _texts(self, environ: WSGIEnvironment) -> Iterator[tuple[str, str]]:
        yield from environ.get(ROUTING_ARGS, ((), {}))[1].items()
        query = environ.get("QUERY_STRING", "")
        if not query:
            return
        try:
            yield from parse_qsl(
                query.encode("latin-1").decode("utf-8"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MOST_IN_QUERY,
            )
        except UnicodeError:
            raise PayloadError("the query is not valid UTF-8") from None
        except ValueError:
            raise PayloadError(f"the query has more than {MOST_IN_QUERY} arguments") from None

    def _as_member(self, body: object, arguments: Arguments) -> Arguments:
        """A body that is no object, as the value of the one parameter that takes such."""
        if self._body_name is None or self._body_name in arguments:
            raise not_an_object(body)
        member = {self._body_name: body}
        self._base64.decode(member)
        return member
