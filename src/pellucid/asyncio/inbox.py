"""What a peer says, on its way into the broker: at once where that is little, else in slices."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from pellucid.asyncio.methods import Runner
from pellucid.asyncio.outbox import Outbox
from pellucid.asyncio.slices import AT_ONCE, LARGE, PIECE, READ, SLICE_SECONDS, STIRRED, slices_of
from pellucid.core.batches import BatchRun
from pellucid.core.broker import Broker
from pellucid.errors import ConnectFailed, ProtocolError
from pellucid.wire.messages import Answer, MethodCall

__all__ = ["Inbox"]


class Host(Protocol):
    """What an inbox needs of its connection."""

    def settle(self, event: Any) -> None:
        """This is what the broker made of what the peer said."""
        ...

    def break_off(self, error: Exception) -> None:
        """The peer has broken the protocol so."""
        ...

    def abort(self, reason: str, *, level: int) -> None:
        """End the connection now."""
        ...


class Inbox:
    """Hands what comes to a broker, and what that makes of it to the connection, event by event.

    One that is sent much waits for its slice like others of its kind, and nothing further is read meanwhile. What all
    this gives to send leaves when it has been dealt with.
    """

    __slots__ = (
        "_broker",
        "_ends",
        "_held",
        "_host",
        "_loop",
        "_outbox",
        "_runner",
        "_slices",
        "_transport",
        "_unread",
        "heard",
        "used",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, broker: Broker, outbox: Outbox, runner: Runner, host: Host
    ) -> None:
        self.heard: bool = True
        """Whether anything came since whoever looks for life has set this to False."""
        self.used: bool = True
        """Whether anything happened for that since this was set to False."""
        self._loop = loop
        self._broker = broker
        self._outbox = outbox
        self._runner = runner
        self._host = host
        self._slices = slices_of(loop)
        self._transport: asyncio.Transport | None = None
        # What waits for its slice, of that what was not handed over yet.
        self._unread: memoryview | None = None
        self._held: Any = None  # what was made of the last of that, where there was no time left to settle it
        # What is to happen once that is dealt with.
        self._ends: Sequence[Callable[[], object]] = ()

    def attach(self, transport: asyncio.Transport) -> None:
        """The connection is made."""
        self._transport = transport
        if hasattr(transport, "max_size"):  # asyncio's own, without TLS
            cast(Any, transport).max_size = READ
        self._slices.connections += 1

    def detach(self) -> None:
        """It is no more."""
        self._slices.connections -= 1

    @property
    def is_waiting(self) -> bool:
        """Whether the peer has said what is not dealt with yet."""
        return self._unread is not None

    def receive(self, data: bytes) -> None:
        """The peer has sent this."""
        broker = self._broker
        if broker.books.closed:
            return
        slices, arrivals = self._slices, broker.arrivals
        left, until = AT_ONCE if slices.connections > 1 else -1, 0.0
        if self._unread is not None or (left > 0 and len(data) > LARGE):
            self._wait(data)
            return
        if left > 0 and len(data) > PIECE:
            until = self._loop.time() + SLICE_SECONDS
        self._outbox.held_back = self.heard = True
        try:
            broker.receive_data(data)
            while (event := broker.next_event()) is not None:
                self.used = True
                if until and self._loop.time() >= until:
                    self._held = event
                    self._wait()
                    break
                if type(event) is MethodCall:  # nearly all are one of these
                    self._runner.arrive(event)
                elif type(event) is Answer:
                    event.call.succeed(event.value)
                else:
                    self._host.settle(event)
                    if left > 0 and type(event) is BatchRun and broker.serving.more is not None:
                        left = 1  # this was a portion, and others have their turn before the next
                left -= 1
                # A call that is given what another one ended in can take as long as the largest message.
                if not left or arrivals.copied > LARGE:
                    self._wait()
                    break
            else:
                slices.others_spoke = True
        except (ProtocolError, ConnectFailed) as error:
            self._host.break_off(error)
        finally:
            self._outbox.held_back = False
        self._outbox.flush()

    def then(self, end: Callable[[], object]) -> None:
        """The peer has ended, which may be told of right behind the last that it said: that comes first, then `end`."""
        if self._unread is None or self._broker.books.closed:
            end()
        else:
            self._ends = [*self._ends, end]

    def take_slice(self, until: float) -> bool:
        """Deal with what the peer has said, until that time; whether there may be more. See `slices`."""
        broker, loop, runner = self._broker, self._loop, self._runner
        has_more = False
        runner.stirred = 0
        self._outbox.held_back = self.heard = self.used = True
        try:
            while not broker.books.closed:
                event, self._held = self._held, None
                if event is not None:
                    self._host.settle(event)
                elif (event := broker.next_event()) is not None:
                    self._held = event  # to read it may have taken long
                elif self._unread:
                    self._take_piece(self._unread)
                else:
                    break
                if loop.time() >= until or runner.stirred >= STIRRED:
                    has_more = True
                    break
        except (ProtocolError, ConnectFailed) as error:
            self._host.break_off(error)
        except Exception:  # a fault of ours: as a transport does where it calls
            self._host.abort("what the peer said could not be dealt with", level=logging.ERROR)
            raise
        finally:
            broker.arrivals.copied = 0
            self._outbox.held_back = False
            self._outbox.flush()
            if not has_more:
                self._go_on()
        return has_more

    def _go_on(self) -> None:
        """All that waited is dealt with."""
        self._unread = self._held = None
        ends, self._ends = self._ends, ()
        for end in ends:
            end()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _wait(self, data: bytes = b"") -> None:
        if self._unread is not None:  # a transport may hand over what it has read already
            self._unread = memoryview(bytes(self._unread) + data)
            return
        self._unread = memoryview(data)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()
        self._slices.wait(self)

    def _take_piece(self, unread: memoryview) -> None:
        """Hand over some of what waits: little, unless it is known that nothing comes of it before there is more."""
        size = max(PIECE, self._broker.missing_bytes)
        self._unread = unread[size:]
        self._broker.receive_data(bytes(unread[:size]))
