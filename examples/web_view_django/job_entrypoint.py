from django.core.handlers.wsgi import WSGIHandler
from pages import make_pages

WORDS = {
    "billing": {"bill", "charged", "invoice", "paid", "price", "refund"},
    "login": {"account", "locked", "login", "password", "reset"},
    "outage": {"crashes", "down", "error", "fails", "offline", "slow"},
}


class JobEntrypoint:
    """Sorts the tickets of a help desk."""

    def perform(self, text: str) -> dict[str, object]:
        """
        Choose the team for a ticket.
        :param text: What the customer wrote.
        :return: The team, and the words that spoke for it.
        """
        if not text.strip():
            raise ValueError("text: expected some words")
        found = {word.strip(".,;:!?") for word in text.lower().split()}
        team = max(WORDS, key=lambda name: len(WORDS[name] & found))
        words = sorted(WORDS[team] & found)
        return {"team": team if words else "general", "words": words}

    def docs_input_example(self) -> dict[str, object]:
        return {"text": "I was charged twice: where is my refund?"}

    def webview_app(self, base_url: str) -> WSGIHandler:
        return make_pages(base_url, self.perform)
