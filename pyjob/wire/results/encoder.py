"""Which encoder writes the results of an application."""

from __future__ import annotations

from collections.abc import Callable

from pyjob.wire.results.encoding import encode


def encoder() -> Callable[[object], bytes]:
    """That of orjson where it can be imported (the extra `fast`), else the standard library's (SPEC 4.5).

    Both raise `ResultError`, and what they write decodes to equal values.
    """
    try:
        # Puts off orjson: importing pyjob must cost no more where it is installed.
        from pyjob.wire.results.fast import encode as fast
    except ImportError:
        return encode
    return fast
