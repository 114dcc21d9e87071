"""What a broker needs of what stands between it and the world."""

from __future__ import annotations

from typing import Protocol

from pellucid.core.caches import CacheObserver
from pellucid.core.calls import Call, Maker
from pellucid.core.references import CallOptions, RemoteReference
from pellucid.flavors.dispatch import Translator

__all__ = ["Door"]


class Door(Protocol):
    """Runs methods, moves bytes, and says how calls are awaited; one for each connection."""

    @property
    def translator(self) -> Translator:
        """What methods get that take a whole call in PB's way; `DECODED`, unless a door has more to give them."""
        ...

    @property
    def log_number(self) -> str | None:
        """Stands for the connection in this side's log, and the peer is told: eight random hexadecimal digits.

        None where there is no log.
        """
        ...

    @property
    def reference_class(self) -> type[RemoteReference]:
        """What the peer's objects are here: `RemoteReference`, or a subclass with more verbs."""
        ...

    @property
    def observer_class(self) -> type[CacheObserver]:
        """What the peer's copies of our cacheables are here: `CacheObserver`, or a subclass with more verbs."""
        ...

    def now(self) -> float:
        """The time in seconds, by a clock that only runs forward."""
        ...

    def make_call(self, maker: Maker, name: str, options: CallOptions) -> Call:
        """The promise of a call that begins now."""
        ...

    def check_room(self) -> None:
        """Raise Overloaded where so much waits to be sent that no call can be made."""
        ...

    def call_was_made(self, call: Call, *, one_way: bool) -> None:
        """There is a call to send. No answer will come to a one-way call: the door says when it is done."""
        ...

    def update_was_made(self) -> None:
        """There is a change of a cacheable to send."""
        ...

    def knock(self) -> None:
        """There are releases to send: soon ask for `data_to_send`. Called in any thread, in the middle of anything."""
        ...
