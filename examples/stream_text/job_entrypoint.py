import random
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pyjob import EndpointConfig

# A larger model thinks about each word.
SECONDS_A_WORD = 0.05
MOST_WORDS = 500


class JobEntrypoint:
    """Goes on with a text, word by word, in the manner of one page about a harbour."""

    def __init__(self) -> None:
        words = Path("harbour.txt").read_text().split()
        # The model: what has followed each word, and each pair of words.
        self.after: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for length in (1, 2):
            for at in range(len(words) - length):
                self.after[tuple(words[at : at + length])].append(words[at + length])
        self.beginnings = [second for first, second in pairwise(words) if first.endswith(".")]

    def perform(self, prompt: str, words: int = 30, seed: int = 1) -> Iterator[str]:
        """
        Go on with a text.
        :param prompt: How it begins.
        :param words: How many to add, 500 at most.
        :param seed: Another number gives another text, the same one the same.
        :return: One word after the other.
        """
        if not 0 < words <= MOST_WORDS:
            raise ValueError(f"words: expected 1 to {MOST_WORDS}")
        dice = random.Random(seed)
        said = prompt.split()
        for _ in range(int(words)):
            known = self.after.get(tuple(said[-2:])) or self.after.get(tuple(said[-1:]))
            word = dice.choice(known or self.beginnings)
            said.append(word)
            time.sleep(SECONDS_A_WORD)
            yield word

    def auxiliary_endpoints_v2(self) -> list[EndpointConfig]:
        # For the page: a browser's EventSource can send GET only.
        return [EndpointConfig("/words", "GET", self.perform)]

    def static_endpoints(self) -> dict[str, str]:
        return {"/page": "page.html"}

    def docs_input_examples(self) -> dict[str, dict[str, object]]:
        sample: dict[str, object] = {"prompt": "The keeper", "words": 8}
        return {"/perform": sample, "/words": sample}
