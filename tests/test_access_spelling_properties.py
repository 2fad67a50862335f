"""Whatever is made up by the grammar of hostile spellings: nothing of it opens what is closed (SPEC 8)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests import spellings as grammar
from tests.access_job import TARGETS, make_guarded, model
from tests.judged import InProcess, Judge, sendable

pytest.importorskip("hypothesis")
from hypothesis import event, given, settings
from hypothesis import strategies as st

SEGMENTS = st.sampled_from([path.split(b"/")[1:] for _, *both in TARGETS for path in both])
METHODS = st.sampled_from(grammar.METHODS)
MOUNTS = st.sampled_from(("", "/mounted"))


@st.composite
def targets(draw: Any) -> bytes:
    """A target by the grammar, in which any alternative may stand beside any other."""

    def one_of(usual: bytes, *others: Iterable[bytes]) -> bytes:
        """Mostly what is usual: where all is odd at once, all is refused."""
        if draw(st.integers(0, 7)):
            return usual
        return bytes(draw(st.sampled_from([one for other in others for one in other])))

    target = one_of(b"", grammar.STARTS)
    for _ in range(draw(st.integers(0, 2))):
        target += one_of(draw(st.sampled_from(grammar.USUAL_PREFIXES)), grammar.PREFIXES)
    for _ in range(draw(st.integers(1, 2))):
        for segment in draw(SEGMENTS):
            at = draw(st.integers(0, len(segment) - 1))
            odd = [segment[:at] + one + segment[at + 1 :] for one in grammar.letters(segment[at : at + 1])]
            target += one_of(b"/", grammar.SLASHES, grammar.UPS, grammar.JOINTS)
            target += one_of(segment, grammar.cases(segment), odd) + one_of(b"", grammar.PARAMETERS)
    raw = grammar.encoded(draw(st.binary(max_size=3)))
    return target + one_of(b"", grammar.ENDS, (raw, b"/" + raw))


@pytest.fixture(scope="module")
def in_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    one = InProcess(*make_guarded(tmp_path_factory.mktemp("guarded")))
    yield one
    one.close()


def hold(in_process: InProcess, target: bytes, method: str, mount: str) -> None:
    """Nothing of what is closed runs, and what is open does; where a server lets it pass at all."""
    if sendable(target):
        judge = Judge(model())
        judge.see(method, target, in_process.ask(method, target, mount=mount))
        event(next(iter(judge.seen)))
        assert judge.problems == []


@settings(max_examples=300)
@given(targets(), METHODS, MOUNTS)
def test_no_made_up_spelling_opens_what_is_closed(
    in_process: InProcess, target: bytes, method: str, mount: str
) -> None:
    hold(in_process, target, method, mount)


@pytest.mark.slow
@settings(max_examples=20_000)
@given(targets(), METHODS, MOUNTS)
def test_none_of_20_000_opens_what_is_closed(
    in_process: InProcess, target: bytes, method: str, mount: str
) -> None:
    hold(in_process, target, method, mount)
