import html
import math
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

HALF_DAY = 12.42  # hours from one high tide to the next
MEAN = 2.1  # metres
RANGE = 1.4
LONGEST_FORM = 1000

PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Tides</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="static/style.css">
  </head>
  <body>
    <main>
      <h1>Tides</h1>
      <p>Hours are counted from midnight of the first day of the year.</p>
      <form method="post" action="./">
        <label for="hour">Hour</label>
        <input id="hour" name="hour" inputmode="decimal" value="{hour}" required>
        <button>When is high tide?</button>
      </form>
      <p role="status">{answer}</p>
    </main>
  </body>
</html>
"""


class JobEntrypoint:
    """Tells the tides of a harbour."""

    def perform(self, hour: float) -> float:
        """
        Tell how high the water is.
        :param hour: Hours since the year began.
        :return: Metres.
        """
        return round(MEAN + RANGE * math.cos(2 * math.pi * hour / HALF_DAY), 2)

    def next_tide(self, hour: float) -> float:
        """
        Tell when the water is highest next.
        :param hour: Hours since the year began.
        :return: Hours since the year began.
        """
        if not math.isfinite(hour):
            raise ValueError("hour: expected a number")
        return round(math.ceil(hour / HALF_DAY) * HALF_DAY, 2)

    def auxiliary_endpoints(self) -> dict[str, Callable[..., float]]:
        return {"/next-tide": self.next_tide}

    def docs_input_examples(self) -> dict[str, dict[str, float]]:
        return {"/perform": {"hour": 6.21}, "/next-tide": {"hour": 30}}

    def webview_app(self, base_url: str) -> Callable[..., Iterable[bytes]]:
        """One page with a form, in plain WSGI. Its links are relative: right below every `base_url`."""

        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            status, hour, answer = "200 OK", "30", ""
            if environ["REQUEST_METHOD"] == "POST":
                length = min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_FORM)
                form = parse_qs(environ["wsgi.input"].read(length).decode("latin-1"))
                hour = form.get("hour", [""])[0]
                try:
                    answer = f"High tide is at hour {self.next_tide(float(hour))}."
                except ValueError:
                    status, answer = "400 Bad Request", "The hour has to be a number."
            page = PAGE.format(hour=html.escape(hour), answer=answer)
            start_response(status, [("Content-Type", "text/html; charset=utf-8")])
            return [page.encode()]

        return app
