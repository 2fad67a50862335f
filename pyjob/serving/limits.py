"""How many connections a server takes, and how many calls can wait on them (SPEC 5.2, 5.3)."""

from __future__ import annotations

import logging
import resource
from dataclasses import dataclass

from pyjob.gate.gate import Gate
from pyjob.serving.connection.seat import RESERVE, reserve_of

# Connections that a server takes where the line asks for no more.
USUAL_CONNECTIONS = 1000
# A turn of waitress's loop looks at every connection: with more than these it would be slow for all.
MOST_CONNECTIONS = 5000
# Listeners, pipes: waitress counts them as connections, too.
LOOPS_OWN = 10
# Fewer would serve nobody, whatever the descriptors.
LEAST_CONNECTIONS = 20
# Descriptors for what is no connection: listeners, pipes, files of the job, its own connections.
OTHER_DESCRIPTORS = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Capacity:
    """``connection_limit`` is waitress's number; ``waiting`` of the connections can be calls that wait."""

    connection_limit: int
    waiting: int


def capacity_for(gate: Gate, *, most: int = MOST_CONNECTIONS) -> Capacity:
    """What fits the line of ``gate``, at most ``most`` connections and what the descriptors allow.

    Raises the process's limit of descriptors where the system lets it.
    """
    wanted = max(USUAL_CONNECTIONS, (gate.slots or 0) + (gate.queue or 0) + RESERVE)
    # Two for each connection: a long body waits in a file.
    descriptors = _descriptors(2 * min(wanted, most) + OTHER_DESCRIPTORS)
    connections = max(LEAST_CONNECTIONS, min(wanted, most, (descriptors - OTHER_DESCRIPTORS) // 2))
    return capacity_under(connections + LOOPS_OWN, gate)


def capacity_under(connection_limit: int, gate: Gate) -> Capacity:
    """What a limit that somebody has chosen leaves for the line."""
    used = LOOPS_OWN + reserve_of(connection_limit) + (gate.slots or 0)
    return Capacity(connection_limit, max(0, connection_limit - used))


def tell_if_short(gate: Gate, capacity: Capacity, name: str) -> None:
    """One warning where the manifest promises a longer line than the server can hold."""
    if gate.queue is None or gate.queue > capacity.waiting:
        promised = (
            "without max_concurrency_queue any number of calls may"
            if gate.queue is None
            else f"max_concurrency_queue lets {gate.queue} calls"
        )
        logger.warning(
            "job %s: %s wait, but this server can hold %d: later ones get 503",
            name,
            promised,
            capacity.waiting,
        )


def _descriptors(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
        except (OSError, ValueError):
            return soft
        return best
    return soft
