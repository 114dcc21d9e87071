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

    __slots__ = ("_barriers", "lane", "messages", "queued_bytes")

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        """What can leave at once; what is added here by itself is to be counted in `queued_bytes`."""
        self.queued_bytes = 0
        """Bytes that wait, large buffers aside."""
        self.lane: deque[bytes | Bulk] | None = None
        """Messages with buffers, and those that must not pass them, where there are any."""
        self._barriers = 0

    @property
    def bulk_bytes(self) -> int:
        """Bytes of the large buffers that wait."""
        return sum(entry.left for entry in self.lane or () if not isinstance(entry, bytes))

    def add(self, data: bytes | Bulk, *, may_pass: bool = True) -> None:
        """Put `data` where it belongs; `may_pass` says whether it can leave before what stands in the lane."""
        if not isinstance(data, bytes):
            if self.lane is None:
                self.lane = deque()
            self.lane.append(data)
            self._barriers += data.is_barrier
            self.queued_bytes += data.inline_bytes
            return
        self.queued_bytes += len(data)
        if self.lane and (self._barriers or not may_pass):
            self.lane.append(data)
        else:
            self.messages.append(data)

    def take(self) -> bytes:
        """All that can leave without buffers."""
        messages, self.messages = self.messages, []
        lane = self.lane
        if lane is None:
            self.queued_bytes = 0
            return messages[0] if len(messages) == 1 else b"".join(messages)
        while lane and isinstance(entry := lane[0], bytes):
            messages.append(entry)
            lane.popleft()
        self.queued_bytes = sum(map(_inline_bytes, lane))
        return messages[0] if len(messages) == 1 else b"".join(messages)

    def next_piece(self, size: int) -> list[bytes | memoryview]:
        """What leaves next of the first message with buffers, about so many bytes of them. Ask after `take`."""
        bulk = self.lane[0] if self.lane else None
        if bulk is None or isinstance(bulk, bytes):
            return []
        pieces = bulk.next_piece(size)
        if not bulk.left and self.lane is not None:
            self.lane.popleft()
            self._barriers -= bulk.is_barrier
            self.queued_bytes -= bulk.inline_bytes
        return pieces

    def holds(self, call_id: int) -> bool:
        """Whether that call has not left as a whole."""
        return any(not isinstance(entry, bytes) and entry.call_id == call_id for entry in self.lane or ())

    def clear(self) -> None:
        """The connection has ended."""
        self.messages.clear()
        self.lane = None
        self.queued_bytes = self._barriers = 0


def _inline_bytes(entry: bytes | Bulk) -> int:
    return len(entry) if isinstance(entry, bytes) else entry.inline_bytes
