"""Serves `bare` on waitress with its defaults and 8 threads, a process of its own; prints where."""

from __future__ import annotations

from typing import Any

from summing import bare
from waitress.server import create_server

THREADS = 8


def main() -> None:
    server: Any = create_server(bare, host="127.0.0.1", port=0, threads=THREADS)
    print(f"listening on http://127.0.0.1:{server.effective_port}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
