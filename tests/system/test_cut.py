"""A line that is cut after any byte of a conversation, over real sockets: both ends end as documented."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from typing import cast

import pytest

import pellucid as pb
from pellucid.errors import ConnectFailed, DeadReferenceError, PBConnectionLost
from tests.system.conversation import REGISTRY, Caller, Realm, each_call_ended_as_documented, portal, tables
from tests.unit.asyncio.door import HERE, LOOPS, outcome, run, turns

SHORT = bytes(100)
"""What is said as if it were large: every byte of it is a place to cut."""


class Line:
    """A line to a server. One that is connected to it is cut off when so many bytes have come from one side."""

    def __init__(self, host: str, port: int) -> None:
        self.where = host, port
        self.cut_side, self.cut_after, self.reset = "", 0, False
        self.carried = Counter[str]()
        """Bytes that have come, by side."""

    def end(self) -> End:
        """The near end of a new line."""
        self.carried.clear()
        return End(self, "client")


class End(asyncio.Protocol):
    """One end of a line, which hands on what comes."""

    def __init__(self, line: Line, side: str, other: End | None = None) -> None:
        self._line, self._side, self._other = line, side, other
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._other is None:
            self._transport.pause_reading()
            self._connecting = asyncio.ensure_future(self._connect())
        if self._is_over():
            self._cut()

    def data_received(self, data: bytes) -> None:
        carried = self._line.carried
        if self._side == self._line.cut_side:
            data = data[: self._line.cut_after - carried[self._side]]
        carried[self._side] += len(data)
        other = self._other
        if other is not None and other._transport is not None:
            other._transport.write(data)
        if self._is_over():
            self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._other is not None and self._other._transport is not None:
            self._other._transport.close()

    async def _connect(self) -> None:
        assert self._transport is not None
        self._other = other = End(self._line, "server", self)
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: other, *self._line.where)
        if self._transport.is_closing():
            transport.close()
        else:
            self._transport.resume_reading()

    def _is_over(self) -> bool:
        return self._side == self._line.cut_side and self._line.carried[self._side] == self._line.cut_after

    def _cut(self) -> None:
        """Both ends hear that the other one has gone: politely, or by a reset as of a machine that has restarted."""
        for end in self, self._other:
            if end is None or end._transport is None:
                continue
            if self._line.reset:
                sock = end._transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end._transport.close()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("dialect", ["pellucid", "pb"])
def test_a_line_may_be_cut_after_any_byte_that_one_side_sends(dialect: str, side: str, loop: str) -> None:
    async def cut_everywhere() -> None:
        ran: list[str] = []
        running = asyncio.get_running_loop()
        async with pb.serve(portal(Realm(ran.append)), HERE, registry=REGISTRY) as server:
            host, port = server.urls[0].removeprefix("pb://").split(":")
            line = Line(host, int(port))
            listener = await running.create_server(line.end, "127.0.0.1", 0)
            url = f"pb://127.0.0.1:{listener.sockets[0].getsockname()[1]}"

            async def say() -> object:
                ran.clear()
                served: set[pb.Connection] = set()
                notices = Counter[str]()
                caller = Caller(lambda line: notices.update([line]), SHORT)
                saying = asyncio.ensure_future(outcome(caller.converse(url, dialect)))
                while not saying.done() or (line.cut_side and server.connections):
                    served |= server.connections
                    await turns(1)
                ended = await saying
                if caller.connection is None:
                    assert isinstance(ended, ConnectFailed)
                    assert not ran
                    return ended
                if not line.cut_side:
                    await caller.connection.close()
                await each_call_ended_as_documented(caller, ran)
                for connection in served:
                    await connection.wait_closed()
                    assert tables(connection) == [0] * 5
                assert ran.count("logout") == ran.count("login") <= 1
                assert ran.count("unobserved") == ran.count("observed") <= 1
                assert notices["notice"] == 1
                return ended

            assert await say() == 0
            line.cut_side = side
            # Every byte is a place to cut for one of the loops.
            for place in range(list(LOOPS).index(loop), line.carried[side] + 1, len(LOOPS)):
                line.cut_after, line.reset = place, place // len(LOOPS) % 2 == 1
                ended = await say()
                assert isinstance(ended, ConnectFailed | PBConnectionLost | DeadReferenceError), (place, ended)
            listener.close()

    run(cut_everywhere(), LOOPS[loop])
