"""The ends of connections: what the system knows of each, and the transport that a program has of it."""

from __future__ import annotations

import asyncio
import errno
import random
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, cast

from pellucid.testing.links import GIVE_UP_SECONDS, Pipe, Sign, os_error
from pellucid.testing.scheduler import Scheduler
from pellucid.testing.sockets import Address, SimulatedSocket

if TYPE_CHECKING:
    from pellucid.testing.loop import SimulatedLoop
    from pellucid.testing.network import Host

__all__ = ["Endpoint"]

READ_BYTES = 256 * 1024
"""The most that a program is handed at once, as by asyncio."""

HIGH_WATER = 64 * 1024


class Endpoint(asyncio.Transport):
    """One end of one connection.

    Below is what the system there does, whether or not a program listens to it; above, what asyncio's transports do.
    """

    def __init__(self, host: Host, address: Address, peer: Address, scheduler: Scheduler, rng: random.Random) -> None:
        super().__init__()
        self.host = host
        self.socket: SimulatedSocket = SimulatedSocket(address, peer)
        self.socket.when_kept_alive = self._keep_alive
        self.out: Pipe
        self.back: Pipe
        """What the other end puts in."""
        self.other: Endpoint
        self.accept: Callable[[Endpoint], bool] | None = None
        """Whether somebody listens here, for a connection that is asked for."""
        self.dialling: asyncio.Future[None] | None = None
        """Who waits for the other end to accept."""
        self._scheduler = scheduler
        self._rng = rng
        self._loop: SimulatedLoop | None = None
        self._context: Context | None = None
        self._protocol: asyncio.Protocol | None = None
        # What the system knows: whether there is a connection, and what has come that the program has not read.
        self._exists = True
        self._received: deque[bytes] = deque()
        self._has_come_to_end = False
        self._error: OSError | None = None
        self._last_heard = 0.0
        self._probes = 0
        self._probe_at = 0.0
        # What the transport knows.
        self._buffer = bytearray()
        self._high, self._low = HIGH_WATER, HIGH_WATER // 4
        self._is_paused = False  # the protocol was told to write no more
        self._is_reading = False
        self._is_due = False  # to read
        self._is_closing = False
        self._has_ended = False  # write_eof
        self._is_lost = False

    def __repr__(self) -> str:
        return f"<Endpoint {self.name}{'' if self._exists else ' closed'}>"

    # The system's side.

    @property
    def name(self) -> str:
        """Its host and port."""
        address = self.socket.getsockname()
        return f"{self.host.name}:{address[1]}" if isinstance(address, tuple) else address

    @property
    def is_reachable(self) -> bool:
        """Whether its host has power."""
        return self.host.is_up

    def arrive(self, item: bytes | Sign) -> None:
        """Something has come from the other end."""
        self._last_heard, self._probes = self._scheduler.now, 0
        if not self._exists:
            if item is not Sign.RESET:
                self.out.sign(Sign.RESET)
        elif isinstance(item, bytes):
            self._received.append(item)
            self._read_soon()
        elif item is Sign.FIN:
            self._has_come_to_end = True
            self._read_soon()
        elif item is Sign.SYN:
            if self.accept is not None and self.accept(self):
                self.out.give_up_seconds = GIVE_UP_SECONDS
                self.out.sign(Sign.ACCEPTED)
            else:
                self._vanish()
                self.out.sign(Sign.RESET)
        elif item is Sign.ACCEPTED:
            self.out.give_up_seconds = GIVE_UP_SECONDS
            if self.dialling is not None and not self.dialling.done():
                self.dialling.set_result(None)
        else:
            if self._rng.random() < 0.5:
                self._received.clear()  # some systems throw away what was not read yet
            self.fail(os_error(errno.ECONNREFUSED if self.dialling is not None else errno.ECONNRESET))

    def has_room(self) -> None:
        """The pipe takes more."""
        if self._buffer and self._loop is not None and self._exists:
            self._loop.call_soon(self._push, context=self._context)

    def fail(self, error: OSError) -> None:
        """There is no connection any more, which the program is told when it has read what has come."""
        if not self._exists:
            return
        received = self._received.copy()
        self._vanish()
        self.out.drop()
        if self.dialling is not None and not self.dialling.done():
            self.dialling.set_exception(error)
        elif self._loop is not None and (self._is_reading or self._protocol is None):
            self._received, self._error = received, error
            self._read_soon()
        else:
            self._force_close(error)

    def hang_up(self) -> None:
        """The program is gone, or never took the connection: the system closes it as it stands."""
        if not self._exists:
            return
        self._is_closing = self._is_lost = True
        self._buffer.clear()
        self._close_socket()

    def lose_power(self) -> None:
        """Nothing is left of it, and nobody is told."""
        self._is_closing = self._is_lost = True
        self._buffer.clear()
        self.out.drop()
        self._vanish()

    def _close_socket(self) -> None:
        """As close() of a socket does: what is on its way arrives, and then the end; or a reset, if more had come."""
        if not self._exists:
            return
        unread = bool(self._received)
        self._vanish()
        self.out.sign(Sign.RESET if unread else Sign.FIN)

    def _vanish(self) -> None:
        self._exists = False
        self._received.clear()
        if self._loop is not None:
            self._loop.endpoints.pop(self, None)
        if not self.other._exists:  # then nothing that is still on its way matters to anybody
            self.out.close()
            self.back.close()

    # TCP's signs of life.

    def _keep_alive(self) -> None:
        """An option of it was set: from now on things go by that."""
        self._probe_in(self.socket.tcp_option("TCP_KEEPIDLE", 7200))

    def _probe_in(self, seconds: float) -> None:
        self._probe_at = at = self._scheduler.now + seconds
        self._scheduler.at(at, lambda: self._probe() if self._exists and self._probe_at == at else None)

    def _probe(self) -> None:
        idle, now = self.socket.tcp_option("TCP_KEEPIDLE", 7200), self._scheduler.now
        if now < self._last_heard + idle or self.out.is_unacknowledged:
            # Something has come, or is sent again and again until it is acknowledged: nobody asks for more.
            self._probe_in(max(1.0, self._last_heard + idle - now))
        elif self.out.is_open and self.back.is_open:
            if not self.other._exists:
                self.fail(os_error(errno.ECONNRESET))
                return
            self._last_heard, self._probes = now, 0
            self._probe_in(idle)
        elif self._probes == self.socket.tcp_option("TCP_KEEPCNT", 9):
            self.fail(os_error(errno.ETIMEDOUT))
        else:
            self._probes += 1
            self._probe_in(self.socket.tcp_option("TCP_KEEPINTVL", 75))

    # The program's side.

    def attach(self, loop: SimulatedLoop, protocol: asyncio.Protocol) -> None:
        """Give the connection to `protocol`, whose process runs `loop`."""
        self._protocol = protocol
        self._context = copy_context()
        self._is_reading = True
        loop.call_soon(protocol.connection_made, self, context=self._context)
        loop.call_soon(self._read_soon, context=self._context)

    def belong_to(self, loop: SimulatedLoop) -> None:
        """Its process runs `loop`."""
        self._loop = loop
        loop.endpoints[self] = None

    def _read_soon(self) -> None:
        if (
            self._is_reading
            and not self._is_due
            and self._loop is not None
            and (self._received or self._has_come_to_end or self._error is not None)
        ):
            self._is_due = True
            self._loop.call_soon(self._read, context=self._context)

    def _read(self) -> None:
        self._is_due = False
        if not self._is_reading or self._is_closing or self._protocol is None:
            return
        if self._received:
            data = self._take()
            self.back.take_back(len(data))
            try:
                self._protocol.data_received(data)
            except Exception as error:  # noqa: BLE001 - as asyncio does
                self._break(error, "Fatal error: protocol.data_received() call failed.")
                return
            self._read_soon()
        elif self._error is not None:
            self._force_close(self._error)
        elif self._has_come_to_end:
            self._is_reading = False
            try:
                stays_open = self._protocol.eof_received()
            except Exception as error:  # noqa: BLE001 - as asyncio does
                self._break(error, "Fatal error: protocol.eof_received() call failed.")
                return
            if not stays_open:
                self.close()

    def _take(self) -> bytes:
        received = self._received
        if len(received) == 1:
            return received.popleft()
        parts, size = [], 0
        while received and size < READ_BYTES:
            parts.append(received.popleft())
            size += len(parts[-1])
        return b"".join(parts)

    def _break(self, error: Exception, message: str) -> None:
        assert self._loop is not None  # a protocol was called
        context = {"message": message, "exception": error, "transport": self, "protocol": self._protocol}
        self._loop.call_exception_handler(context)
        self._force_close(error)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._has_ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._is_lost or self._is_closing or not data:
            return
        self._buffer += data
        self._push()
        if len(self._buffer) > self._high and not self._is_paused and self._protocol is not None:
            self._is_paused = True
            self._protocol.pause_writing()

    def _push(self) -> None:
        """Give the pipe as much as it takes."""
        if self._is_lost or not self._exists:
            return
        buffer = self._buffer
        count = min(len(buffer), self.out.room)
        if count > 0:
            data = bytes(buffer[:count])
            del buffer[:count]
            self.out.carry(data)
        if self._is_paused and len(buffer) <= self._low and self._protocol is not None:
            self._is_paused = False
            self._protocol.resume_writing()
        if not self._buffer:
            if self._is_closing:
                self._lose_soon(None)
            elif self._has_ended:
                self.out.sign(Sign.FIN)

    def write_eof(self) -> None:
        if self._is_closing or self._has_ended:
            return
        self._has_ended = True
        if not self._buffer:
            self.out.sign(Sign.FIN)

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        if self._is_closing:
            return
        self._is_closing = True
        self._is_reading = False
        if not self._buffer:
            self._lose_soon(None)

    def abort(self) -> None:
        self._force_close(None)

    def is_closing(self) -> bool:
        return self._is_closing

    def _force_close(self, error: Exception | None) -> None:
        self._buffer.clear()
        self._is_closing = True
        self._is_reading = False
        self._lose_soon(error)

    def _lose_soon(self, error: Exception | None) -> None:
        if not self._is_lost and self._loop is not None:
            self._is_lost = True
            self._loop.call_soon(self._lose, error, context=self._context)

    def _lose(self, error: Exception | None) -> None:
        try:
            if self._protocol is not None:
                self._protocol.connection_lost(error)
        finally:
            self._protocol = None
            self._close_socket()

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        if not self._is_closing and not self._is_reading:
            self._is_reading = True
            self._read_soon()

    def is_reading(self) -> bool:
        return self._is_reading and not self._is_closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self._high, self._low = high, low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return len(self._buffer)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.Protocol, self._protocol)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "socket":
                return self.socket
            case "sockname":
                return self.socket.getsockname()
            case "peername":
                return self.socket.getpeername()
            case _:
                return default
