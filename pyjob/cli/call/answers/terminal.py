"""Text of others as a terminal may have it: harmless, JSON indented and in colours."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any, TextIO

from pyjob.errors import CONTROLS

INDENT = 2
NAME, TEXT, NUMBER, CONSTANT = "\x1b[34;1m", "\x1b[32m", "\x1b[36m", "\x1b[35m"
PLAIN = "\x1b[0m"
# Lines and tabs may stay.
_IN_TEXT = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}
_IN_JSON = {code: f"\\u{code:04x}" for code in CONTROLS}


class _Number(str):
    """A number as it was written: a float may not have all its digits."""

    __slots__ = ()


def has_colours(stream: TextIO) -> bool:
    """Whether ``stream`` is a terminal whose user has not asked for none (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def harmless(text: str) -> str:
    """``text`` with everything escaped that would move the cursor, colour what follows or forge its order."""
    return text.translate(_IN_TEXT)


def json_shown(text: str | bytes, *, coloured: bool, indented: bool = True) -> str:
    """JSON for people, numbers as they were written. Raises ValueError where it is none that can be read."""
    try:
        value = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
        return "".join(_parts(value, coloured, "\n" if indented else ""))
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def _parts(value: Any, coloured: bool, line: str) -> Iterator[str]:
    """``line`` begins a new line at the depth of ``value``; empty where all is to stand on one."""
    inner = f"{line}{' ' * INDENT}" if line else ""
    between = f",{inner}" if line else ", "
    if isinstance(value, dict) and value:
        for position, (name, item) in enumerate(value.items()):
            yield between if position else f"{{{inner}"
            yield f"{_painted(_quoted(name), NAME, coloured)}: "
            yield from _parts(item, coloured, inner)
        yield f"{line}}}"
    elif isinstance(value, list) and value:
        for position, item in enumerate(value):
            yield between if position else f"[{inner}"
            yield from _parts(item, coloured, inner)
        yield f"{line}]"
    elif isinstance(value, _Number):
        yield _painted(value, NUMBER, coloured)
    elif isinstance(value, str):
        yield _painted(_quoted(value), TEXT, coloured)
    else:
        yield _painted(json.dumps(value), CONSTANT, coloured and not isinstance(value, (dict, list)))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).translate(_IN_JSON)


def _painted(text: str, colour: str, coloured: bool) -> str:
    return f"{colour}{text}{PLAIN}" if coloured else text
