from collections import Counter


class JobEntrypoint:
    """Counts words."""

    def perform(self, text: str, shortest: int = 1) -> dict[str, int]:
        """
        Count the words of a text.
        :param text: Words with blanks between them.
        :param shortest: Leave out words of fewer letters.
        :return: How often each word occurs, the most frequent first.
        """
        words = Counter(word for word in text.lower().split() if len(word) >= shortest)
        return dict(words.most_common())

    def docs_input_example(self) -> dict[str, object]:
        return {"text": "to be or not to be", "shortest": 2}
