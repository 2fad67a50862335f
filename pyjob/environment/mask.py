"""Secret values replaced in whatever is told of a job (SPEC 3.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

LEAST = 6  # characters; shorter ones are found in too many words
MASKED = "***"
# A line of a longer secret, such as a key: shorter ones may be anything.
_LEAST_LINE = 16


class Mask:
    """Replaces secret values in text, as they are and as they look inside of repr, JSON and URLs.

    Empty (false) where there is none to replace.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        spellings = {form for secret in secrets if len(secret) >= LEAST for form in _spellings(secret)}
        # The longest first: one may be the beginning of another.
        pattern = "|".join(re.escape(one) for one in sorted(spellings, key=len, reverse=True))
        self._pattern = re.compile(pattern) if pattern else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        """``text`` with ``***`` for every secret in it."""
        return text if self._pattern is None else self._pattern.sub(MASKED, text)

    def inside(self, value: Any) -> Any:
        """The same of every text in a JSON value, names included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self.inside(key): self.inside(item) for key, item in value.items()}
        return [self.inside(item) for item in value] if isinstance(value, (list, tuple)) else value


def _spellings(secret: str) -> Iterator[str]:
    lines = [line.strip() for line in secret.splitlines()]
    for text in (secret, *(line for line in lines if len(line) >= _LEAST_LINE)):
        yield text
        yield repr(text)[1:-1]
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield quote(text)
        yield quote(text, safe="")
        yield quote_plus(text)
