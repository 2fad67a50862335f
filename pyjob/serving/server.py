"""waitress, set up for jobs (SPEC 9)."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from waitress.server import create_server

from pyjob.app import create
from pyjob.application import Application
from pyjob.errors import AddressError
from pyjob.logs import set_up_logging

logger = logging.getLogger(__name__)

DEFAULT_HOST = "0.0.0.0"  # noqa: S104  a service is there to be reached; the docs say so
DEFAULT_PORT = 7000
DEFAULT_THREADS = 8


def serve(
    job: type | object,
    *,
    manifest: Mapping[str, object] | None = None,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    threads: int = DEFAULT_THREADS,
) -> None:
    """Serve a class or an instance at hand until interrupted: a notebook, ``if __name__ == "__main__"``.

    By the same rules as a job in a folder (SPEC 10.6); logging is set up where nobody has done so.
    Raises `ManifestError` and `AddressError`.
    """
    if not logging.getLogger().handlers:
        set_up_logging(os.environ.get("LOG_LEVEL") or "info")
    serve_application(create(job, manifest=manifest), host=host, port=port, threads=threads)


def serve_application(
    application: Application,
    *,
    host: str,
    port: int,
    threads: int,
    unix_socket: str | None = None,
    fail_fast: bool = False,
) -> int:
    """Listen, load the job, serve until SIGTERM or SIGINT; the exit status.

    With ``fail_fast`` a failed load ends the process with status 1. Raises `AddressError`.
    """
    where: dict[str, Any] = {"unix_socket": unix_socket} if unix_socket else {"host": host, "port": port}
    try:
        server = create_server(application, **where, **_options(application, threads))
    except (OSError, ValueError) as error:
        place = unix_socket or _url(host, port)
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        remedy = "; choose another port, or 0 for any that is free" if taken else ""
        raise AddressError(f"cannot listen on {place}: {error}{remedy}") from error
    try:
        _announce(application, server, unix_socket)
        # waitress ends its loop at SystemExit; a signal may also come just before or after the loop.
        with suppress(SystemExit), _signals_end_the_server():
            _start(application, fail_fast=fail_fast)
            server.run()
        logger.info("job %s %s: stopped", application.manifest.name, application.manifest.version)
    finally:
        server.close()
    return 1 if fail_fast and application.state.status == "failed" else 0


def _options(application: Application, threads: int) -> dict[str, Any]:
    return {
        "threads": threads,
        # waitress refuses at this size, the job's limit is the largest size that passes.
        "max_request_body_size": application.manifest.jobtype_extra.max_body_size + 1,
        "max_request_header_size": 64 * 1024,
        "connection_limit": 1000,
        # select() stops at descriptor 1024.
        "asyncore_use_poll": True,
        "channel_timeout": 60,
        "clear_untrusted_proxy_headers": True,
        "expose_tracebacks": False,
        # The Server header, and SERVER_SOFTWARE of the environ, which has to be text (PEP 3333).
        "ident": "pyjob",
    }


def _start(application: Application, *, fail_fast: bool) -> None:
    application.start()
    if not fail_fast:
        return

    def end_if_failed() -> None:
        if application.state.wait() == "failed":
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_if_failed, name="pyjob-fail-fast", daemon=True).start()


@contextmanager
def _signals_end_the_server() -> Iterator[None]:
    """SIGTERM ends the server as SIGINT does: waitress finishes running calls and returns.

    Signals can only be handled in the main thread; elsewhere (a notebook's) they are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _announce(application: Application, server: Any, unix_socket: str | None) -> None:
    manifest = application.manifest
    job = f"job {manifest.name} {manifest.version}"
    if unix_socket:
        logger.info("%s: listening on %s", job, unix_socket)
        return
    # Several sockets where the host's name has several addresses, as localhost may.
    addresses = getattr(server, "effective_listen", None) or [(server.effective_host, server.effective_port)]
    host, port = addresses[0]
    # 0.0.0.0 is where it listens, not what a browser can open.
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    logger.info("%s: listening on %s, docs at %s/docs", job, _url(host, port), _url(reachable, port))


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
