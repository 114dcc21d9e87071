"""The ways from host to host: how long bytes take, in which pieces they come, and what keeps them from coming."""

from __future__ import annotations

import errno
import math
import os
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pellucid.testing.scheduler import Scheduler

__all__ = ["End", "Link", "Path", "Pipe", "Sign", "os_error"]

LOST_SECONDS = (0.2, 3.0)
"""Between which of them a packet that is lost comes later: TCP sends it again, and what follows waits for it."""

HEALED_SECONDS = 1.0
"""Within which of them TCP tries again once it could."""

DIAL_SECONDS = 127.0
"""How long Linux tries to connect to a host that does not answer."""

GIVE_UP_SECONDS = 925.0
"""How long Linux sends again what nobody acknowledges, before the connection is lost."""


@dataclass(frozen=True, slots=True)
class Link:
    """How bytes travel from one host to another, one way."""

    latency: tuple[float, float] = (0.0002, 0.005)
    """Between which numbers of seconds a segment takes. None overtakes another of the same connection."""

    bytes_per_second: float = math.inf
    """How fast one connection carries."""

    segments: tuple[int, int] = (1, 65_536)
    """Between which sizes, in bytes, what is written is cut up: small ones are as likely as large ones."""

    loss: float = 0.0
    """How likely it is, from 0 to 1, that a segment has to be sent again, which costs 0.2 to 3 seconds."""

    window: int = 65_536
    """How many bytes one connection takes that its far end has not read yet. Then its writer waits."""

    cut_after: int | None = None
    """After how many bytes a connection is cut, perhaps in the middle of a message. None for never."""

    def __post_init__(self) -> None:
        if not 0 <= self.latency[0] <= self.latency[1]:
            raise ValueError(f"latency is (least, most) in seconds, not {self.latency}")
        if not 1 <= self.segments[0] <= self.segments[1]:
            raise ValueError(f"segments is (least, most) in bytes, not {self.segments}")
        if not 0 <= self.loss < 1:
            raise ValueError(f"loss is a probability below 1, not {self.loss}")
        if not (self.window > 0 and self.bytes_per_second > 0):
            raise ValueError("with no window, or no bytes per second, nothing ever arrives")


def os_error(number: int) -> OSError:
    """What the system raises for that number: `OSError` knows which class it is."""
    return OSError(number, os.strerror(number))


class Sign(Enum):
    """What travels beside bytes."""

    SYN = "asks for a connection"
    ACCEPTED = "accepts it"
    FIN = "has no more to say"
    RESET = "knows of no such connection"


class Path:
    """One way from a host to another, as it is at this moment."""

    def __init__(self, link: Link, scheduler: Scheduler, rng: random.Random) -> None:
        self.link = link
        self.is_blocked: bool = False
        self.stalled_until: float = 0.0
        self.pipes: dict[Pipe, None] = {}
        """One for each connection."""
        self.acknowledging: dict[Pipe, None] = {}
        """Those of the other direction: what they carry is acknowledged this way."""
        self.scheduler = scheduler
        self.rng = rng

    def block(self) -> None:
        """Let nothing through."""
        self.is_blocked = True

    def unblock(self) -> None:
        """Let everything through that has been waiting, too."""
        self.is_blocked = False
        self.go_on()

    def go_on(self) -> None:
        """What kept things from arriving may be over."""
        for pipe in [*self.pipes, *self.acknowledging]:
            pipe.go_on()

    def stall(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self.stalled_until = max(self.stalled_until, self.scheduler.now + seconds)


class End(Protocol):
    """One end of a connection, as the system there knows it."""

    @property
    def is_reachable(self) -> bool:
        """Whether its host has power."""
        ...

    @property
    def name(self) -> str:
        """The address."""
        ...

    def arrive(self, item: bytes | Sign) -> None:
        """Something has come from the other end."""
        ...

    def has_room(self) -> None:
        """The pipe takes more."""
        ...

    def fail(self, error: OSError) -> None:
        """The system gives the connection up."""
        ...


class Pipe:
    """One direction of one connection: what is put in comes out at the other end, in order, sometime or never."""

    def __init__(self, path: Path, back: Path, source: End, sink: End, note: Callable[[str], None] | None) -> None:
        self.room: int = path.link.window
        """How many bytes it takes at this moment."""
        self.is_forgotten = False
        """Whether something on the way has forgotten the connection, so that nothing passes in either direction."""
        self.give_up_seconds = DIAL_SECONDS
        self._path = path
        self._back = back
        self._source = source
        self._sink = sink
        self._note = note
        self._flying: deque[tuple[float, bytes | Sign]] = deque()
        self._busy_until = 0.0
        self._latest = 0.0
        self._carried = 0
        self._is_armed = False
        self._unacknowledged_since: float | None = None
        self._owed = 0  # bytes that were read, which the source has not been told of
        self._is_ended = False
        path.pipes[self] = back.acknowledging[self] = None

    @property
    def is_open(self) -> bool:
        """Whether what is put in now would come out."""
        return not (self._path.is_blocked or self.is_forgotten) and self._sink.is_reachable

    @property
    def is_unacknowledged(self) -> bool:
        """Whether something is on its way."""
        return bool(self._flying) or self._unacknowledged_since is not None

    def carry(self, data: bytes) -> None:
        """Take `data`, for which there is room."""
        link, rng = self._path.link, self._path.rng
        self.room -= len(data)
        if link.cut_after is not None and self._carried + len(data) > link.cut_after:
            last = data[: link.cut_after - self._carried]
            self._carried += len(last)
            if last:  # no loop tells a protocol of no bytes
                self._put(last)
            self.cut()
            return
        self._carried += len(data)
        least, most = link.segments
        if most == 1 or len(data) <= least:
            most = least
        start = 0
        while start < len(data):
            # Evenly on a scale of logarithms: a message of forty bytes is cut up as often as one of forty thousand.
            size = least if least == most else int(least * (most / least) ** rng.random())
            self._put(data[start : start + size])
            start += size

    def sign(self, sign: Sign) -> None:
        """Take what is no bytes. After an end nothing follows but a reset."""
        if self._is_ended and sign is not Sign.RESET:
            return
        self._is_ended = sign in (Sign.FIN, Sign.RESET)
        self._put(sign)

    def cut(self) -> None:
        """Something on the way tells both ends that there is no connection."""
        self._put(Sign.RESET)
        self._path.scheduler.at(self._path.scheduler.now, lambda: self._source.arrive(Sign.RESET))

    def take_back(self, count: int) -> None:
        """The far end has read so many bytes."""
        self._owed += count
        if self._back.is_blocked or self.is_forgotten:
            self._miss()
        else:
            self._acknowledge()

    def go_on(self) -> None:
        """What kept it from carrying may be over."""
        if self.is_forgotten:
            return
        if not self._back.is_blocked:
            self._acknowledge()
        if self._flying and not self._is_armed and self.is_open:
            self._arm(self._path.scheduler.now + self._path.rng.uniform(0, HEALED_SECONDS))

    def drop(self) -> None:
        """The system at its source is not going to send again what can't pass now."""
        if not self.is_open:
            self._flying.clear()
            self._unacknowledged_since = None

    def close(self) -> None:
        """Nothing comes out any more, and nothing is to be known of it."""
        self._flying.clear()
        self._unacknowledged_since = None
        self._path.pipes.pop(self, None)
        self._back.acknowledging.pop(self, None)

    def _put(self, item: bytes | Sign) -> None:
        link, rng = self._path.link, self._path.rng
        at = self._path.scheduler.now
        if isinstance(item, bytes):
            self._busy_until = at = max(at, self._busy_until) + len(item) / link.bytes_per_second
        at += rng.uniform(*link.latency)
        if link.loss and rng.random() < link.loss:
            at += rng.uniform(*LOST_SECONDS)
        self._latest = at = max(at, self._latest)
        self._flying.append((at, item))
        if not self._is_armed:
            self._arm(at)

    def _arm(self, when: float) -> None:
        self._is_armed = True
        self._path.scheduler.at(when, self._deliver)

    def _deliver(self) -> None:
        self._is_armed = False
        flying, now = self._flying, self._path.scheduler.now
        if not self.is_open:
            self._miss()
            return
        if self._path.stalled_until > now:
            self._arm(self._path.stalled_until)
            return
        if self._back.is_blocked:
            self._miss()
        else:
            self._unacknowledged_since = None
        while flying and flying[0][0] <= now:
            item = flying.popleft()[1]
            if self._note is not None:
                what = f"{len(item)} bytes" if isinstance(item, bytes) else item.value
                self._note(f"{self._source.name} -> {self._sink.name}: {what}")
            self._sink.arrive(item)
        if flying:
            self._arm(flying[0][0])

    def _miss(self) -> None:
        """What was sent is not acknowledged: sent again and again, and given up one day."""
        scheduler = self._path.scheduler
        if self._unacknowledged_since is None:
            self._unacknowledged_since = since = scheduler.now
            scheduler.at(since + self.give_up_seconds, lambda: self._give_up(since))

    def _give_up(self, since: float) -> None:
        if self._unacknowledged_since == since:
            self._source.fail(os_error(errno.ETIMEDOUT))

    def _acknowledge(self) -> None:
        owed, self._owed = self._owed, 0
        if not self._flying:
            self._unacknowledged_since = None
        if owed:
            self.room += owed
            self._source.has_room()
