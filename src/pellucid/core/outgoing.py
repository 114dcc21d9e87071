"""What waits to be sent to one peer, in which order.

Messages leave in the order made, but for those with large buffers: these stand in a lane of their own and leave piece
by piece, while other messages pass them. What must not pass stands in that lane too: a call of an object that another
call in it is aimed at, since calls of one object keep their order; a release, since the object might be needed by what
waits there; word of answers that are seen, since what waits there might name one; a call that may refer to one that
waits there; and everything, while something waits that enters objects in the peer's tables.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pellucid.wire.dialect import Bulk
from pellucid.wire.messages import ExportId, Promised

__all__ = ["Aim", "Outgoing"]


Aim = tuple[bool, ExportId | Promised]
"""What a call is aimed at: whether that is a copy of a cacheable, and its number or name."""

_Entry = tuple[bytes | Bulk, int | None, Sequence[Aim]]


class Outgoing:
    """The messages that wait."""

    __slots__ = (
        "_aims",
        "_barriers",
        "_held",
        "_lane_bytes",
        "bulk_bytes",
        "in_order",
        "lane",
        "messages",
        "queued_bytes",
    )

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        """What can leave at once; what is added here by itself is to be counted in `queued_bytes`."""
        self.queued_bytes: int = 0
        """Bytes that wait, large buffers aside."""
        self.bulk_bytes: int = 0
        """Bytes of the large buffers that wait."""
        self.lane: deque[_Entry] | None = None
        """Messages with buffers, and those that must not pass them, where there are any."""
        # The calls in the lane; and what they are aimed at, how often.
        self._held: set[int] | None = None
        self._aims: dict[Aim, int] | None = None
        self._lane_bytes = 0  # of `queued_bytes`
        self.in_order: bool = False
        """Whether nothing passes anything: a door whose programs lean on that says so."""
        self._barriers = 0

    def add(
        self, data: bytes | Bulk, *, may_pass: bool = True, call_id: int | None = None, aims: Sequence[Aim] = ()
    ) -> None:
        """Put `data` where it belongs: a message that makes the call `call_id`, if any, or a batch, aimed at `aims`.

        `may_pass` says whether it can leave before what stands in the lane, calls of its aims aside.
        """
        if isinstance(data, bytes):
            size = len(data)
            is_free = may_pass and not self._barriers and not self.in_order and not any(map(self._is_aimed_at, aims))
            if not self.lane or is_free:
                self.messages.append(data)
                self.queued_bytes += size
                return
        else:
            size = data.inline_bytes
            self._barriers += data.is_barrier
            self.bulk_bytes += data.left
        if self.lane is None:
            self.lane = deque()
        self.lane.append((data, call_id, aims))
        if call_id is not None:
            if self._held is None or self._aims is None:
                self._held, self._aims = set(), {}
            self._held.add(call_id)
            for aim in aims:
                self._aims[aim] = self._aims.get(aim, 0) + 1
        self._lane_bytes += size
        self.queued_bytes += size

    def take(self) -> bytes:
        """All that can leave without buffers."""
        none: list[bytes] = []  # before: making one may run a finaliser, and that may have all of it sent
        messages, self.messages = self.messages, none
        lane = self.lane
        while lane and isinstance(entry := lane[0][0], bytes):
            messages.append(entry)
            self._leave(len(entry))
        self.queued_bytes = self._lane_bytes
        return messages[0] if len(messages) == 1 else b"".join(messages)

    def next_piece(self, size: int) -> list[bytes | memoryview]:
        """What leaves next of the first message with buffers, about so many bytes of them. Ask after `take`."""
        bulk = self.lane[0][0] if self.lane else b""
        if isinstance(bulk, bytes):
            return []
        left = bulk.left
        pieces = bulk.next_piece(size)
        self.bulk_bytes -= left - bulk.left
        if not bulk.left:
            self._barriers -= bulk.is_barrier
            self.queued_bytes -= bulk.inline_bytes
            self._leave(bulk.inline_bytes)
        return pieces

    def holds(self, call_id: int) -> bool:
        """Whether that call has not left as a whole, since it stands in the lane."""
        return self._held is not None and call_id in self._held

    def clear(self) -> None:
        """The connection has ended."""
        self.messages.clear()
        self.lane = self._held = self._aims = None
        self.queued_bytes = self.bulk_bytes = self._lane_bytes = self._barriers = 0

    def _leave(self, size: int) -> None:
        """What stood first in the lane, of so many bytes, has left."""
        assert self.lane is not None  # something stood there
        _, call_id, aims = self.lane.popleft()
        self._lane_bytes -= size
        if call_id is not None and self._held is not None and self._aims is not None:
            self._held.discard(call_id)
            for aim in aims:
                self._aims[aim] -= 1
                if not self._aims[aim]:
                    del self._aims[aim]

    def _is_aimed_at(self, aim: Aim) -> bool:
        return self._aims is not None and aim in self._aims
