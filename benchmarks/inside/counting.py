"""A job that says how long its argument is, and the least that a WSGI function can do for the same answer.

`pyjob run counting.py` serves the one, `python -m inside.counting` the other, on waitress.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

THREADS = 8


class Counting:
    """The job."""

    def perform(self, x: str | list[Any]) -> int:
        """The length of a text or a list."""
        return len(x)

    def docs_input_example(self) -> dict[str, str]:
        """As short as can be."""
        return {"x": "a"}


def bare(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Nothing is checked."""
    arguments = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    body = json.dumps(len(arguments["x"])).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def main() -> None:
    # Only here: the job does without.
    from waitress.server import create_server

    server: Any = create_server(bare, host="127.0.0.1", port=0, threads=THREADS)
    print(f"listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
