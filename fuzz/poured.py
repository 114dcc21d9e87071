"""A connection of the asyncio door that an input is poured into, and what must hold whatever that is.

Nothing leaves `data_received`; the loop has nothing to complain of; what is logged as an error is what methods here do
on purpose; what is held stays within the limits; and when the connection has ended nothing is held.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pellucid as pb
from fuzz.things import REFUSED
from pellucid.asyncio.connection import Settings
from pellucid.errors import ConnectFailed, ProtocolError
from tests.unit.asyncio.pipe import Pipe

__all__ = ["STEPS", "Poured", "attempt"]

STEPS = (1 << 20, 1, 7, 64)
"""Into how long pieces the bytes are cut."""

_EXPECTED = (
    "the result of",  # "... can't be sent": methods here hand back what may not cross
    "Peer will receive following PB traceback: 'login",  # called with other arguments than it takes
    "Peer will receive following PB traceback: 'respond",
)
_TURNS = 6

# One for all inputs: making a loop costs more than trying an input.
_LOOP = asyncio.new_event_loop()


class _Complaints(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if not text.startswith(_EXPECTED) and REFUSED not in text:
            self.heard.append(text + str(record.exc_info))


_COMPLAINTS = _Complaints()
for _name in "pellucid", "asyncio":
    logging.getLogger(_name).addHandler(_COMPLAINTS)
    logging.getLogger(_name).propagate = False


class Poured:
    """A connection, and the pipe that its peer has the other end of."""

    def __init__(
        self, settings: Settings, *, root: Callable[[pb.Connection], Any] | None = None, reads: bool = True
    ) -> None:
        self.connection = pb.Connection(settings, listens=root is not None, root_for=root)
        self.pipe = Pipe(self.connection)
        self.connection.connection_made(self.pipe)
        self._reads = reads

    async def pour(self, data: bytes, step: int) -> None:
        """Have the peer send `data`, and look at what comes of it."""
        for at in range(0, len(data), step):
            if self.connection.is_closed:
                break
            self.pipe.send(data[at : at + step])
            if self._reads:
                self.pipe.read()
            if not at & 63:
                await asyncio.sleep(0)
        await self._turn()
        limits = self.connection.broker.limits
        usage = self.connection.usage if not self.connection.is_closed else {}  # one over a limit is what ended it
        for name, (used, most) in usage.items():
            room = most + limits.queued_bytes + limits.inline_bytes if name == "queued_bytes" else most
            assert used <= room, (name, used, most)
        error = self.connection._ending
        assert error is None or isinstance(error, ProtocolError | ConnectFailed), error
        assert error is None or len(str(error)) < 1_000, error

    async def end(self) -> None:
        """End it, and see that nothing is left."""
        self.pipe.end()
        await self.connection.wait_closed()
        await self._turn()
        books, runner = self.connection.broker.books, self.connection._runner
        held = len(books.exports) + len(books.imports) + len(books.cache_exports) + len(books.cache_imports)
        assert not held + len(books.pending)
        assert not len(self.connection.broker.arrivals)
        assert not runner._tasks, runner._tasks
        assert runner.usage["waiting_calls"] == 0

    async def _turn(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)
            if self._reads:
                self.pipe.read()


def attempt(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run `scenario`; what the loop or the log complains of is a failure."""
    complaints: list[dict[str, Any]] = []
    _LOOP.set_exception_handler(lambda _, context: complaints.append(context))
    _COMPLAINTS.heard.clear()

    async def in_time() -> None:
        async with asyncio.timeout(20):
            await scenario()

    _LOOP.run_until_complete(in_time())
    assert not complaints, complaints
    assert not _COMPLAINTS.heard, _COMPLAINTS.heard
