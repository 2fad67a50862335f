"""Secret values replaced in whatever is told of a job (SPEC 3.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

LEAST = 6  # characters; shorter ones are found in too many words
MASKED = "***"
# Of a longer secret, a beginning of this length counts as well: messages cut long values short.
_LEAST_BEGINNING = 16
# A line of a secret that has several, such as a key: shorter ones may be anything.
_LEAST_LINE = 8
# What writers of URLs leave as it is, beside letters and digits: Python's, JavaScript's, that of requests.
_URL_SAFE = ("", "/", "!'()*~", "!#$%&'()*+,/:;=?@[]~")
_ENCODED = re.compile("%[0-9A-F]{2}")


class Mask:
    """Replaces secret values in text, as they are and as they look inside of repr, JSON, URLs and HTML.

    Empty (false) where there is none to replace.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        found = {form for secret in secrets if len(secret) >= LEAST for form in _spellings(secret)}
        self._forms: dict[str, list[str]] = {}
        for form in found:
            self._forms.setdefault(form[:_LEAST_BEGINNING], []).append(form)
        # The longest first: one may be the beginning of another.
        beginnings = sorted(self._forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, beginnings))) if beginnings else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def __call__(self, text: str) -> str:
        """``text`` with ``***`` for every secret in it."""
        if self._pattern is None:
            return text
        told, end = [], 0
        while match := self._pattern.search(text, end):
            told += [text[end : match.start()], MASKED]
            end = max(_end_of(form, text, match.start()) for form in self._forms[match.group()])
        return "".join(told) + text[end:] if told else text

    def inside(self, value: Any) -> Any:
        """The same of every text in a JSON value, names included."""
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {self.inside(key): self.inside(item) for key, item in value.items()}
        return [self.inside(item) for item in value] if isinstance(value, (list, tuple)) else value


def _end_of(form: str, text: str, start: int) -> int:
    """Where ``text`` ceases to be ``form``, which begins at ``start`` in it."""
    low, high = min(len(form), _LEAST_BEGINNING), len(form)
    while low < high:  # the longest beginning of it that is there
        middle = (low + high + 1) // 2
        if text.startswith(form[:middle], start):
            low = middle
        else:
            high = middle - 1
    return start + low


def _spellings(secret: str) -> Iterator[str]:
    lines = (line.strip() for line in secret.splitlines())
    for text in {secret, secret.strip(), *(line for line in lines if len(line) >= _LEAST_LINE)}:
        yield from spellings(text)


def spellings(whole: str) -> Iterator[str]:
    """A text as it is, and as it looks inside of repr, JSON, URLs and HTML."""
    import html  # for jobs that have secrets: it brings a long table
    import unicodedata

    for text in {whole, *(unicodedata.normalize(form, whole) for form in ("NFC", "NFD"))}:
        once = _escaped(text)
        yield from once
        for form in once:  # what is escaped is often escaped again: a KeyError of a repr
            yield from _escaped(form)
        for safe in _URL_SAFE:
            yield from _in_both_cases(quote(text, safe=safe))
        yield from _in_both_cases(quote_plus(text))
        yield html.escape(text)
        yield html.escape(text, quote=False)


def _escaped(text: str) -> set[str]:
    writers: tuple[Callable[[str], str], ...] = (repr, ascii, json.dumps, _json_as_is)
    return {text, repr(text.encode(errors="replace"))[2:-1], *(write(text)[1:-1] for write in writers)}


def _json_as_is(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _in_both_cases(text: str) -> tuple[str, str]:
    return text, _ENCODED.sub(lambda found: found.group().lower(), text)
