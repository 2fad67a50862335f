"""waitress, set up for jobs, from the first socket to the last answer (SPEC 9)."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Sequence
from typing import Any

from pyjob.application import Application
from pyjob.errors import AddressError
from pyjob.lanes.lanes import DEFAULT_THREADS, Lanes
from pyjob.serving.drain import Drain
from pyjob.serving.limits import capacity_for, tell_if_short
from pyjob.serving.listener import Listener, open_listeners, tell_if_open
from pyjob.serving.loop import Loop
from pyjob.serving.proxy import BELIEVED, CheckedProxy
from pyjob.serving.signals import Signals

logger = logging.getLogger(__name__)

ANY_HOST = "0.0.0.0"  # nosec B104 # a service is there to be reached; the docs say so
DEFAULT_HOST = ANY_HOST
DEFAULT_PORT = 7000
DEFAULT_GRACE = 30.0
# The loop's longest sleep, in seconds: while it serves, and on the way down.
TURN = 1.0
LAST_TURNS = 0.02
# How long threads may take to come back that have nothing left to do; those of calls that hang take longer.
UNWINDING_SECONDS = 0.2


def serve_application(
    application: Application,
    *,
    host: str,
    port: int,
    threads: int | None = None,
    unix_socket: str | None = None,
    trusted_proxy: str | None = None,
    bound: Sequence[socket.socket] = (),
    fail_fast: bool = False,
    grace: float = DEFAULT_GRACE,
    drain_delay: float = 0.0,
    warns_if_open: bool = True,
) -> int:
    """Listen, load the job, serve until SIGTERM or SIGINT, and let calls end; the exit status.

    ``bound`` are sockets that listen already, in place of ``host`` and ``port``. ``trusted_proxy``: the
    address whose X-Forwarded headers are believed; "localhost" on a Unix socket. ``threads``: most calls at
    once. Where nobody says, 500 for a job without `max_concurrency`. With
    ``fail_fast`` a failed load ends the process with status 1. ``application.gates.running`` tells how many
    calls were left to themselves. ``warns_if_open``: whether the log says that everybody is let in, where
    that is so. Raises `AddressError`.
    """
    gate = application.gate
    if threads is not None or gate.slots is None:
        gate.cap_at(threads or DEFAULT_THREADS)
    loop = Loop()
    lanes = Lanes(application.gates, application.lane_of)
    try:
        listeners = _listen(
            application,
            loop,
            lanes,
            host=host,
            port=port,
            unix_socket=unix_socket,
            trusted_proxy=trusted_proxy,
            bound=bound,
        )
        try:
            _announce(application, listeners, unix_socket)
            if warns_if_open:
                tell_if_open(application, listeners)
            with Signals(loop.sockets) as signals:
                _start(application, fail_fast=fail_fast)
                while not signals.count:
                    loop.turn(TURN)
                _go_down(Drain(application, listeners, grace=grace, delay=drain_delay), loop, signals)
        finally:
            # Connections first: a thread that waits for one to be read must hear of it.
            for channel in [channel for listener in listeners for channel in listener.channels()]:
                channel.handle_close()
            # Then threads: one whose answer has just been sent still wakes the loop, by a pipe.
            lanes.shutdown(cancel_pending=False, timeout=UNWINDING_SECONDS)
            loop.close()
    finally:
        lanes.shutdown(cancel_pending=False, timeout=0)
    application.shut_down()
    _tell_end(application)
    return 1 if fail_fast and application.state.status == "failed" else 0


def _listen(
    application: Application,
    loop: Loop,
    lanes: Lanes,
    *,
    host: str,
    port: int,
    unix_socket: str | None,
    trusted_proxy: str | None,
    bound: Sequence[socket.socket],
) -> list[Listener]:
    where: dict[str, Any] = {"unix_socket": unix_socket} if unix_socket else {"host": host, "port": port}
    if bound:
        where = {"sockets": list(bound)}
    capacity = capacity_for(application.gate)
    if application.manifest.jobtype_extra.max_concurrency is not None:
        tell_if_short(application.gate, capacity, application.manifest.name)
    options = where | _options(application) | {"connection_limit": capacity.connection_limit}
    if trusted_proxy:
        options |= {"trusted_proxy": trusted_proxy, "trusted_proxy_headers": BELIEVED}
    try:
        listeners = open_listeners(application, loop.sockets, lanes, options)
    except (OSError, ValueError) as error:
        place = unix_socket or _url(host, port)
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        remedy = "; choose another port, or 0 for any that is free" if taken else ""
        raise AddressError(f"cannot listen on {place}: {error}{remedy}") from error
    for listener in listeners:
        listener.reception = application.reception
        if trusted_proxy:
            listener.application = CheckedProxy(listener.application, application.reception, trusted_proxy)
    return listeners


def _options(application: Application) -> dict[str, Any]:
    return {
        # waitress refuses at this size, the job's limit is the largest size that passes.
        "max_request_body_size": application.manifest.jobtype_extra.max_body_size + 1,
        "max_request_header_size": 64 * 1024,
        # Read on while a call waits or runs: only so is it seen that its caller has left.
        "channel_request_lookahead": 1,
        "channel_timeout": 60,
        # As the loop here does: select() stops at descriptor 1024.
        "asyncore_use_poll": True,
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


def _go_down(drain: Drain, loop: Loop, signals: Signals) -> None:
    for _ in drain.turns():
        # What a drain does to connections, nobody tells the loop of.
        loop.turn(LAST_TURNS, everybody=True)
        if signals.count > 1:
            drain.hurry()


def _announce(application: Application, listeners: Sequence[Listener], unix_socket: str | None) -> None:
    manifest = application.manifest
    job = f"job {manifest.name} {manifest.version}"
    if unix_socket:
        logger.info("%s: listening on %s", job, unix_socket)
        return
    # Several sockets where the host's name has several addresses, as localhost may.
    host, port = str(listeners[0].effective_host), int(listeners[0].effective_port)
    # Any host is where it listens, not what a browser can open.
    reachable = {ANY_HOST: "127.0.0.1", "::": "::1"}.get(host, host)
    logger.info("%s: listening on %s, docs at %s/docs", job, _url(host, port), _url(reachable, port))


def _tell_end(application: Application) -> None:
    manifest, left = application.manifest, application.gates.running
    if left:
        logger.warning("job %s %s: stopped, %d calls cut off", manifest.name, manifest.version, left)
    else:
        logger.info("job %s %s: stopped", manifest.name, manifest.version)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
