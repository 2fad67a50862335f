"""The server that an application meets with its first request, where pyjob did not start it (SPEC 5.3, 10.4).

A plain waitress that serves the application and nothing else is taken over: from then on calls wait there
without threads, as under `pyjob run`. Under any other server waiting calls hold its threads, and the log
says once what that means.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.proxy_headers import proxy_headers_middleware
from waitress.server import BaseWSGIServer
from waitress.task import ThreadedTaskDispatcher

from pyjob.application import Application
from pyjob.gate.door import SEAT
from pyjob.lanes.lanes import DEFAULT_THREADS, Lanes
from pyjob.serving.connection.channel import Channel
from pyjob.serving.limits import MOST_CONNECTIONS, capacity_for, capacity_under, tell_if_short
from pyjob.serving.listener import tell_if_open

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# select() stops at descriptor 1,024, not all descriptors are connections, and a long body waits in a file.
MOST_UNDER_SELECT = 450

logger = logging.getLogger(__name__)


class UnknownServerError(Exception):
    """A waitress that is not taken over, and why."""


def meet(application: Application, environ: WSGIEnvironment, *roots: object) -> None:
    """Take the server over, or tell what calls that wait mean under it.

    ``roots`` are the callables under which a server may know ``application``.
    """
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)
    taken = getattr(getattr(channel, "server", None), "channel_class", None) is Channel
    if SEAT in environ or taken:  # a server of ours, or a connection from before it became one
        return
    name = application.manifest.name
    # A client of a test is no server.
    if environ.get("SERVER_SOFTWARE") and not logger.hasHandlers():
        logger.warning(
            "job %s: nobody has set up logging in this process, so that only warnings are shown: call "
            "logging.basicConfig(level=logging.INFO), or see docs/logging.md",
            name,
        )
    if channel is not None:
        try:
            servers = _servers(channel, roots)
            threads = _take_over(application, servers)
        except UnknownServerError as reason:
            logger.warning("job %s: this waitress is left as it is, since %s", name, reason)
        except Exception:
            logger.exception("job %s: this waitress is left as it is, by a fault of pyjob", name)
        else:
            logger.info("job %s: waitress serves up to %d calls at once, the others wait", name, threads)
            tell_if_open(application, servers)
            return
    if environ.get("wsgi.multiprocess"):
        logger.warning(
            "job %s: this server has several processes: max_concurrency, its line and all metrics are those "
            "of each process alone",
            name,
        )
    # With one thread, no call ever meets another.
    is_threaded = environ.get("wsgi.multithread")
    if is_threaded and application.gate.slots is not None and application.threads is None:
        logger.warning(
            "job %s: calls that wait hold threads of this server, which probes then wait for, and its "
            "threads bound the line: say how many there are, create(..., threads=N), to keep one free",
            name,
        )


def _take_over(application: Application, servers: list[Any]) -> int:
    """Serve through lanes of our own from now on; how many calls at once. Raises `UnknownServerError`."""
    adj, gate = servers[0].adj, application.gate
    usual = adj.threads == Adjustments.threads
    if gate.slots is None or not usual:
        gate.cap_at(DEFAULT_THREADS if usual else adj.threads)
    if adj.connection_limit == Adjustments.connection_limit:
        most = MOST_CONNECTIONS if adj.asyncore_use_poll else MOST_UNDER_SELECT
        capacity = capacity_for(gate, most=most)
        adj.connection_limit = capacity.connection_limit
    else:
        capacity = capacity_under(adj.connection_limit, gate)
    if application.manifest.jobtype_extra.max_concurrency is not None:
        tell_if_short(gate, capacity, application.manifest.name)
    # Read on while a call waits or runs: only so is it seen that its caller has left.
    adj.channel_request_lookahead = max(1, adj.channel_request_lookahead)
    for server in servers:
        server.channel_class = Channel
    # Connections that stand already keep the blocking door, and may hold a thread each; so may one that each
    # socket is about to accept.
    standing = sum(len(server.active_channels) + 1 for server in servers)
    lanes = Lanes(application.gates, application.lane_of, extra=standing)
    _replace(servers[0].task_dispatcher, lanes, servers)
    return gate.slots or DEFAULT_THREADS


def _servers(channel: object, roots: tuple[object, ...]) -> list[Any]:
    """The listening sockets of the server behind ``channel``, if they are what is known here."""
    if not isinstance(channel, HTTPChannel) or not isinstance(channel.server, BaseWSGIServer):
        raise UnknownServerError("its connections are of an unknown kind")
    servers: list[Any] = [one for one in list(channel._map.values()) if isinstance(one, BaseWSGIServer)]
    dispatcher = channel.server.task_dispatcher
    for server in servers:
        if not _is_root(server.application, roots):
            raise UnknownServerError("the job stands behind another application")
        if server.channel_class is not HTTPChannel or server.task_dispatcher is not dispatcher:
            raise UnknownServerError("its sockets are of an unknown kind")
    if type(dispatcher) is not ThreadedTaskDispatcher:
        raise UnknownServerError("its threads are of an unknown kind")
    return servers


def _is_root(served: object, roots: tuple[object, ...]) -> bool:
    """Whether a server calls one of ``roots`` itself, or through waitress's own wrapper."""
    wrapper = proxy_headers_middleware(None).__code__
    if inspect.isfunction(served) and served.__code__ is wrapper:
        served = inspect.getclosurevars(served).nonlocals.get("app")
    return any(served is root for root in roots)


def _replace(dispatcher: Any, lanes: Lanes, servers: list[Any]) -> None:
    """Have ``lanes`` serve what ``dispatcher`` did; its own threads end after what they have."""
    for server in servers:
        server.task_dispatcher = lanes
    # Several sockets have a common object that ends the dispatcher, and knows no other.
    dispatcher.add_task = lanes.add_task
    dispatcher.shutdown = lanes.shutdown
    dispatcher.set_thread_count(0)
    # Not once but while requests come: a thread may have been about to queue something just now.
    lanes.watch(lambda: _move_queue(dispatcher, lanes))


def _move_queue(dispatcher: Any, lanes: Lanes) -> bool:
    with dispatcher.lock:
        tasks = list(dispatcher.queue)
        dispatcher.queue.clear()
    for task in tasks:
        lanes.add_task(task)
    return bool(tasks)
