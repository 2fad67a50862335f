"""A process that serves the job in a folder below /one of another application, and tells where it listens.

``python -m tests.browser.mounted FOLDER [PREFIX]``; the job is told PREFIX, if anything.
"""

from __future__ import annotations

import sys
from pathlib import Path

from waitress.server import create_server
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import pyjob


def main(folder: Path, prefix: str = "") -> None:
    outside = DispatcherMiddleware(NotFound(), {"/one": pyjob.create(folder, load="now", prefix=prefix)})
    server = create_server(outside, host="127.0.0.1", port=0)
    print(f"http://127.0.0.1:{server.effective_port}")
    server.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
