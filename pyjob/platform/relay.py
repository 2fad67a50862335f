"""The bytes of one request and its answer, both ways as they come.

Nothing is kept but the piece on its way: who reads slowly slows down who writes. That one side has ended its
sending half is passed on, so that a job notices a caller who has left.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

PIECE = 64 * 1024
# How long what a caller still sends is thrown away after the answer, in seconds: if that met a closed
# connection, the answer might be lost with it.
LINGER = 2.0


class Relay:
    """Between a ``caller`` and the process of a job; ``answered`` once that has sent a byte."""

    def __init__(self, caller: socket.socket, job: socket.socket) -> None:
        self._caller = caller
        self._job = job
        self.answered = False
        self.caller_has_left = False

    async def run(self, first: bytes) -> None:
        """Send ``first`` to the job, then whatever comes, until the answer ends or the caller has gone."""
        up = asyncio.create_task(self._send_up(first))
        down = asyncio.create_task(self._send_down())
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if not self.caller_has_left:
                await down
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _send_up(self, piece: bytes) -> None:
        loop = asyncio.get_running_loop()
        while piece:
            try:
                await loop.sock_sendall(self._job, piece)
            except OSError:  # the job reads no more: its answer is on its way, if it has one
                return
            try:
                piece = await loop.sock_recv(self._caller, PIECE)
            except OSError:
                self.caller_has_left = True
                return
        with suppress(OSError):
            self._job.shutdown(socket.SHUT_WR)

    async def _send_down(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                piece = await loop.sock_recv(self._job, PIECE)
            except OSError:
                return
            if not piece:
                return
            self.answered = True
            try:
                await loop.sock_sendall(self._caller, piece)
            except OSError:
                self.caller_has_left = True
                return


async def hang_up(caller: socket.socket) -> None:
    """End the answer; what the caller still sends is read and dropped for a moment."""
    loop = asyncio.get_running_loop()
    with suppress(OSError, TimeoutError):
        caller.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LINGER):
            while await loop.sock_recv(caller, PIECE):
                pass
