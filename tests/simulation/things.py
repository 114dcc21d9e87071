"""The objects of the random application: servers publish them, clients hand theirs over, and all note who calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pellucid as pb
from pellucid.testing import Process
from tests.simulation.record import Record, within_limits

__all__ = ["REGISTRY", "Broken", "House", "Item", "Pond", "PondCopy"]


class Broken(pb.Error):
    """On purpose."""


class Noted:
    """Whatever is called notes by its token that it ran."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.latest: dict[str, int] = {}
        """The latest call that each peer made of this: calls of one target start in the order made."""

    def starts(self, token: int) -> None:
        self.record.runs(token)
        peer = pb.current_call().peer
        latest = self.latest.get(peer, -1)
        assert latest < token, f"call {token} of {self} starts after {latest}"
        self.latest[peer] = token


class Item(Noted, pb.Referenceable):
    """Hands back what it was given."""

    def remote_play(self, token: int, *values: Any) -> Any:
        self.starts(token)
        return [token, *values]

    async def remote_play_later(self, token: int, *values: Any) -> Any:
        self.starts(token)
        await asyncio.sleep(self.record.world.random.choice((0, 0.001, 0.1, 3.0)))
        return [token, *values]

    async def remote_play_forever(self, token: int) -> None:
        """Until the call is given up: who does not hear of that is found out by what is left."""
        self.starts(token)
        await asyncio.get_running_loop().create_future()

    def remote_fresh(self, token: int, *values: Any) -> Any:
        self.starts(token)
        return Item(self.record)

    async def remote_fresh_later(self, token: int, *values: Any) -> Any:
        self.starts(token)
        await asyncio.sleep(0.01)
        return Item(self.record)

    def remote_break(self, token: int, *values: Any) -> Any:
        self.starts(token)
        raise Broken(str(token))

    def remote_spoil(self, token: int, *values: Any) -> Any:
        """A result that may not cross, but for what comes with it."""
        self.starts(token)
        return [Item(self.record), *values, object()]

    async def remote_call_back(self, token: int, reference: pb.RemoteReference) -> Any:
        """Call what the caller owns, and hand it back."""
        self.starts(token)
        inner = self.record.token()
        assert await reference.call("play_later", inner) == [inner]
        return [token, reference]


class Pond(pb.Cacheable):
    """Tells all who watch it how deep it is."""

    def __init__(self, expect: Callable[[str], Any], dice: Random) -> None:
        self._random = dice
        self.depth = 0
        self.has_missed = False
        """Whether some observer could not be told of a change."""
        self.observers: dict[Any, Any] = {}
        self._expect = expect

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> Any:
        assert observer not in self.observers
        self.observers[observer] = self._expect("stopped_observing")
        return {"depth": self.depth}

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self.observers.pop(observer).happen()

    def rise(self) -> None:
        self.depth += 1
        failed: dict[Any, Exception] = {}
        if self._random.random() < 0.5:
            failed |= pb.update_all(list(self.observers), "depth", self.depth)
        else:
            for observer in list(self.observers):
                try:
                    observer.update("depth", self.depth)
                except Exception as error:  # noqa: BLE001 - as update_all gathers them
                    failed[observer] = error
        for why in failed.values():
            # Or it has gone, or was given the state in a message that could not be sent.
            self.has_missed = self.has_missed or isinstance(why, pb.Overloaded)
            if not isinstance(why, pb.Overloaded | pb.DeadReferenceError | pb.LocalProtocolError):
                raise why


class PondCopy(pb.RemoteCache):
    depth: int

    def observe_depth(self, depth: int) -> None:
        assert depth > self.depth, f"told of {depth} after {self.depth}"
        self.depth = depth


REGISTRY = pb.Registry()
REGISTRY.register(PondCopy, Pond)
REGISTRY.register_error(Broken)


class House:
    """What one life of a server publishes, and remembers of its visitors."""

    def __init__(self, record: Record, process: Process) -> None:
        self.record = record
        self.process = process
        self.pond = Pond(self.expect, record.world.random)
        self.connections: dict[str, pb.Connection] = {}
        """By the address of the client."""
        self.kept: list[pb.RemoteReference] = []
        self.servers: tuple[pb.Server, ...] = ()

    def expect(self, what: str) -> Any:
        return self.record.once(f"{what} at {self.process.name}", self.process)

    def root_for(self, connection: pb.Connection) -> pb.Root:
        self.connections[connection.peer] = connection
        told = self.expect(f"the disconnect notice of {connection.peer}")
        connection.notify_on_disconnect(told.happen)
        return Hall(self, connection)

    def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        visitor = Visitor(self, mind)
        return visitor, visitor.logout.happen


class Hall(Item, pb.Root):
    """The root of one connection."""

    def __init__(self, house: House, connection: pb.Connection) -> None:
        super().__init__(house.record)
        self.house = house
        self.connection = connection
        self.facets: list[pb.Facet] = []

    def starts(self, token: int) -> None:
        super().starts(token)
        if token % 4 == 0:
            within_limits(self.connection)

    def remote_pond(self, token: int) -> Pond:
        self.starts(token)
        return self.house.pond

    def remote_rise(self, token: int) -> Any:
        self.starts(token)
        self.house.pond.rise()
        return [token]

    def remote_rise_later(self, token: int) -> Any:
        """When nobody reads from anybody: an observer is told all the same."""
        self.starts(token)
        asyncio.get_running_loop().call_later(1, self.house.pond.rise)
        return [token]

    def remote_keep(self, token: int, *things: Any) -> Any:
        self.starts(token)
        self.house.kept += [thing for thing in things if isinstance(thing, pb.RemoteReference)][:1]
        del self.house.kept[:-8]
        return [token]

    def remote_take(self, token: int) -> Any:
        """What somebody left here: its owner gets it back, others may not have it."""
        self.starts(token)
        return self.house.kept.pop() if self.house.kept else None

    async def remote_call_kept(self, token: int) -> Any:
        """Call what others own."""
        self.starts(token)
        for reference in self.house.kept[-2:]:
            inner = self.record.token()
            try:
                assert await reference.call_with(timeout=5).call("play", inner, inner) == [inner, inner]
            except (pb.PBConnectionLost, pb.DeadReferenceError, pb.DeadlineExceeded, pb.LimitExceeded):
                pass
        return [token]

    def remote_facet(self, token: int) -> pb.Facet:
        self.starts(token)
        shown = Shown(self.record)
        facet = shown.facet = pb.facet(shown, methods=["play", "play_later"])
        self.facets.append(facet)
        return facet

    def remote_revoke(self, token: int) -> Any:
        self.starts(token)
        while self.facets:
            self.facets.pop().revoke()
        return [token]


class Shown(Item):
    """Is called through a facet alone."""

    facet: pb.Facet | None = None

    def starts(self, token: int) -> None:
        super().starts(token)
        assert self.facet is not None
        assert not self.facet.revoked, f"call {token} runs through a facet that was revoked"


class Visitor(Noted):
    """The avatar of one login."""

    def __init__(self, house: House, mind: Any) -> None:
        super().__init__(house.record)
        self.mind = mind
        self.logout = house.expect("a logout")

    def perspective_play(self, token: int) -> Any:
        self.starts(token)
        return [token]

    async def perspective_play_later(self, token: int) -> Any:
        self.starts(token)
        await asyncio.sleep(0.1)
        return [token]

    async def perspective_think(self, token: int) -> Any:
        """Call the mind."""
        self.starts(token)
        inner = self.record.token()
        assert await self.mind.call("play", inner) == [inner]
        return [token]
