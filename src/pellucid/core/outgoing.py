"""What waits to be sent to one peer, in which order.

Messages leave in the order made, but for those with large buffers: these stand in a lane of their own and leave piece
by piece, while other messages pass them. What must not pass stands in that lane too: a release, since the object might
be needed by what waits there; word of answers that are seen, since what waits there might name one; a call that may
refer to one that waits there; and everything, while something waits that enters objects in the peer's tables.
"""

from __future__ import annotations

from collections import deque

from pellucid.wire.dialect import Bulk

__all__ = ["Outgoing"]


class Outgoing:
    """The messages that wait."""

    __slots__ = ("_barriers", "_held", "_lane_bytes", "bulk_bytes", "in_order", "lane", "messages", "queued_bytes")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        """What can leave at once; what is added here by itself is to be counted in `queued_bytes`."""
        self.queued_bytes = 0
        """Bytes that wait, large buffers aside."""
        self.bulk_bytes = 0
        """Bytes of the large buffers that wait."""
        self.lane: deque[tuple[bytes | Bulk, int | None]] | None = None
        """Messages with buffers, and those that must not pass them, where there are any; which call each makes."""
        self._held: set[int] | None = None  # the calls in the lane
        self._lane_bytes = 0  # of `queued_bytes`
        self.in_order = False
        """Whether nothing passes anything: a door whose programs lean on that says so."""
        self._barriers = 0

    def add(self, data: bytes | Bulk, *, may_pass: bool = True, call_id: int | None = None) -> None:
        """Put `data`, which makes that call, where it belongs.

        `may_pass` says whether it can leave before what stands in the lane.
        """
        if isinstance(data, bytes):
            size = len(data)
            if not self.lane or (may_pass and not self._barriers and not self.in_order):
                self.messages.append(data)
                self.queued_bytes += size
                return
        else:
            size = data.inline_bytes
            self._barriers += data.is_barrier
            self.bulk_bytes += data.left
        if self.lane is None:
            self.lane = deque()
        self.lane.append((data, call_id))
        if call_id is not None:
            if self._held is None:
                self._held = set()
            self._held.add(call_id)
        self._lane_bytes += size
        self.queued_bytes += size

    def take(self) -> bytes:
        """All that can leave without buffers."""
        messages, self.messages = self.messages, []
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
        self.lane = self._held = None
        self.queued_bytes = self.bulk_bytes = self._lane_bytes = self._barriers = 0

    def _leave(self, size: int) -> None:
        """What stood first in the lane, of so many bytes, has left."""
        assert self.lane is not None  # something stood there
        call_id = self.lane.popleft()[1]
        self._lane_bytes -= size
        if call_id is not None and self._held is not None:
            self._held.discard(call_id)
