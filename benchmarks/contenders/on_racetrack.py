"""`racetrack_job_runner`, its command as it is, except that it listens on the loopback alone.

It has no option for the address and takes every one; a benchmark should not be open to the network.
"""

from __future__ import annotations

from typing import Any

from racetrack_job_wrapper import main, server

serve = server.serve_asgi_app


def serve_on_loopback(app: Any, **options: Any) -> None:
    """What the command calls once it has read its arguments."""
    serve(app, **(options | {"http_addr": "127.0.0.1"}))


server.serve_asgi_app = serve_on_loopback
main.main()
