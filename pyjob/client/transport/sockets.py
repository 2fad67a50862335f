"""Requests over connections, which are kept."""

from __future__ import annotations

import socket
from http.client import NO_CONTENT, HTTPException, HTTPResponse, RemoteDisconnected

from pyjob.client.request import Address, Request
from pyjob.client.transport.connection import SWITCHING, Connection, connected
from pyjob.client.transport.deadline import Deadline
from pyjob.client.transport.pool import Pool
from pyjob.client.transport.transport import TransportError
from pyjob.errors import one_line

PIECE = 64 * 1024


class Sockets:
    """Carries requests to the server of ``address``, on connections of ``pool`` where there are some."""

    def __init__(self, address: Address, pool: Pool) -> None:
        self.host = address.authority
        self._address = address
        self._pool = pool

    def exchange(self, request: Request, deadline: Deadline) -> SocketAnswer:
        """Send ``request``, and wait for the head of its answer. Raises `TransportError`.

        A connection that was kept may have been closed by the server just now. Where nothing has been
        answered on it, the request is sent once more, on a new one, unless its body cannot be.
        """
        kept = self._pool.take(self._address)
        if kept is not None:
            try:
                return self._on(kept, request, deadline)
            except ConnectionError as error:
                if kept.has_received or deadline.is_cancelled or not request.body.is_repeatable:
                    raise _broken(error, deadline) from error
            except (OSError, HTTPException) as error:
                raise _broken(error, deadline) from error
        try:
            new = connected(self._address, deadline, self._pool.tls)
        except (OSError, UnicodeError) as error:
            raise _unconnected(error, self._address, deadline) from error
        try:
            return self._on(new, request, deadline)
        except (OSError, HTTPException) as error:
            raise _broken(error, deadline) from error

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.close()

    def _on(self, connection: Connection, request: Request, deadline: Deadline) -> SocketAnswer:
        connection.begin(deadline)
        try:
            try:
                connection.send(request)
            except ConnectionError:
                # It may have been answered already, and not wanted to read the rest.
                if not connection.is_readable():
                    raise
            response = connection.answer(request.method)
        except BaseException:
            connection.close()
            raise
        return SocketAnswer(response, connection, self._address, self._pool, deadline)


class SocketAnswer:
    """An answer on a connection, which is kept once it has been read."""

    def __init__(
        self, response: HTTPResponse, connection: Connection, address: Address, pool: Pool, deadline: Deadline
    ) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self._response = response
        self._connection: Connection | None = connection
        self._address = address
        self._pool = pool
        self._deadline = deadline
        self._count = 0
        self._end_if_complete()

    def piece(self) -> bytes:
        """The next bytes of the body, as they come; none at its end. Raises `TransportError`."""
        if self._connection is None:
            return b""
        try:
            data = self._response.read1(PIECE)
        # The last one where another thread has closed it meanwhile.
        except (OSError, HTTPException, ValueError, AttributeError) as error:
            self.close()
            raise self._broken_off(error) from error
        if not data and self._response.length:
            self.close()
            raise self._broken_off(None)
        self._count += len(data)
        if data:
            self._end_if_complete()
        else:
            self._end()
        return data

    def close(self) -> None:
        """Close the connection, unless all has been read."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            self._response.close()
            connection.close()

    def _broken_off(self, error: Exception | None) -> TransportError:
        if isinstance(error, TimeoutError):
            return TransportError(_cancelled_or(self._deadline, "the answer did not end"), is_late=True)
        return TransportError(f"the answer broke off after {self._count} bytes")

    def _end_if_complete(self) -> None:
        if self._response.length == 0:  # None of one in chunks, unless its status has no body
            self._end()

    def _end(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._response.close()
        may_stay = connection.is_sent and self.status != SWITCHING and not self._response.will_close
        if not may_stay or not _ends_clearly(self._response):
            connection.close()
        else:
            connection.end()
            self._pool.keep(self._address, connection)


def _ends_clearly(response: HTTPResponse) -> bool:
    """Whether its head tells in one way only where it ends (RFC 9112, 6.3).

    Else a proxy before us may see another end, and what follows is an answer for somebody else.
    """
    headers = response.headers
    lengths, codings = headers.get_all("Content-Length", []), headers.get_all("Transfer-Encoding", [])
    if headers.defects or len(lengths) + len(codings) > 1:
        return False
    if response.status == NO_CONTENT:
        return not codings and lengths in ([], ["0"])
    return all(one.isascii() and one.isdigit() for one in lengths) and all(
        one.lower() == "chunked" for one in codings
    )


def _unconnected(error: OSError | UnicodeError, address: Address, deadline: Deadline) -> TransportError:
    if isinstance(error, TimeoutError):
        return TransportError(_cancelled_or(deadline, f"no connection to {address.authority}"), is_late=True)
    is_unknown = isinstance(error, (socket.gaierror, UnicodeError))
    reason = "the name is not known" if is_unknown else getattr(error, "strerror", None) or str(error)
    return TransportError(f"no connection to {address.authority}: {one_line(reason)[:300]}")


def _broken(error: Exception, deadline: Deadline) -> TransportError:
    if isinstance(error, TimeoutError):
        return TransportError(_cancelled_or(deadline, "no answer"), is_late=True)
    if isinstance(error, (RemoteDisconnected, ConnectionError)):
        return TransportError("the connection was closed before anything was answered")
    if isinstance(error, HTTPException):
        told = one_line(f"{type(error).__name__}: {error}")[:200]
        return TransportError(f"what was answered is no HTTP: {told}")
    return TransportError(f"the connection failed: {one_line(str(error))[:300]}")


def _cancelled_or(deadline: Deadline, what: str) -> str:
    return "cancelled" if deadline.is_cancelled else f"{what} within {round(deadline.seconds or 0, 3):g} s"
