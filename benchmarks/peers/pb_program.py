"""One program for Perspective Broker on Twisted's reactor, whichever package its `pb` is from.

`twisted_pb` runs it on Twisted's own, `pellucid_twisted` on pellucid's door for Twisted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any, TypeVar

from twisted.internet import defer, reactor

from benchmarks.peers import base
from benchmarks.peers.base import HOST, PIECE, Method, Ready, Setup, Sightings, Thing

T = TypeVar("T")

TAG = "benchmarks.board"


def make_made(pb: Any) -> Any:
    """The class of the objects that the root makes."""

    class Made(Thing, pb.Referenceable):  # type: ignore[name-defined, misc]
        def remote_echo(self, value: object) -> object:
            return value

    return Made


def make_board(pb: Any) -> Any:
    """The cacheable."""

    class Board(pb.Cacheable):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            self.observers: list[Any] = []

        def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> dict[str, Any]:
            self.observers.append(observer)
            return {"value": 0}

        def stoppedObserving(self, perspective: Any, observer: Any) -> None:
            self.observers.remove(observer)

        def getTypeToCopyFor(self, perspective: Any) -> bytes:
            return TAG.encode()

        def change(self, value: object) -> None:
            update_all = getattr(pb, "update_all", None)
            if update_all is not None:
                update_all(self.observers, "changed", value)
                return
            for observer in self.observers:
                observer.callRemote("changed", value)

    return Board()


def make_root(pb: Any, coroutine_method: Callable[[Callable[..., Any]], Any]) -> Any:
    """The root object; `coroutine_method` makes a remote method of a function that gives a coroutine."""
    made, board = make_made(pb), make_board(pb)

    class Root(pb.Root):  # type: ignore[name-defined, misc]
        listener: Any = None

        def remote_echo(self, value: object) -> object:
            return value

        async def _echo(self, value: object) -> object:
            return value

        remote_echo_coroutine = coroutine_method(_echo)

        def remote_swallow(self, data: bytes) -> int:
            return len(data)

        def remote_make(self) -> Any:
            return made()

        def remote_live(self) -> int:
            return Thing.alive

        def remote_offer(self, listener: Any) -> None:
            self.listener = listener

        def remote_relay(self, value: object) -> Any:
            return self.listener.callRemote("echo", value)

        def remote_board(self) -> Any:
            return board

        def remote_change(self, value: object) -> None:
            board.change(value)

    return Root()


def serve(pb: Any, root: Any, broker: Any, setup: Setup, ready: Ready) -> None:
    """Publish `root`, by brokers of that class."""
    factory = pb.PBServerFactory(root)
    factory.protocol = broker
    port = reactor.listenTCP(0, factory, backlog=4096, interface=HOST)
    ready(port.getHost().port)
    reactor.run(installSignalHandlers=False)


class Client(base.Client):
    """The client, on the package and with the broker class that a subclass names."""

    pb: Any
    broker: Any

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        outcome: list[Any] = []

        def begin() -> None:
            defer.ensureDeferred(work).addBoth(outcome.append).addBoth(lambda _: reactor.stop())

        reactor.callWhenRunning(begin)
        reactor.run(installSignalHandlers=False)
        result: Any = outcome[0]
        if hasattr(result, "raiseException"):
            result.raiseException()
        return result

    async def gather(self, works: Iterable[Coroutine[Any, Any, Any]]) -> None:
        await defer.gatherResults([defer.ensureDeferred(work) for work in works], consumeErrors=True)

    def waiter(self) -> tuple[Awaitable[Any], Callable[[], None]]:
        """Something to await, and what ends that."""
        deferred: defer.Deferred[None] = defer.Deferred()
        return deferred, partial(deferred.callback, None)

    async def open(self) -> None:
        self.root = await self.connect()

    async def connect(self) -> Any:
        """The root of a new connection."""
        factory = self.pb.PBClientFactory()
        factory.protocol = self.broker
        reactor.connectTCP(HOST, self.setup.port, factory)
        return await factory.getRootObject()

    def method(self, name: str) -> Method:
        if name == "echo_bytes":
            return self._echo_bytes
        return partial(self.root.callRemote, "echo" if name == "echo_structure" else name)

    async def open_another(self) -> Method:
        return partial((await self.connect()).callRemote, "echo")

    async def call_thing(self, thing: Any, text: str) -> str:
        answer: str = await thing.callRemote("echo", text)
        return answer

    async def offer(self) -> None:
        class Listener(self.pb.Referenceable):  # type: ignore[name-defined, misc]
            def remote_echo(self, value: object) -> object:
                return value

        await self.root.callRemote("offer", Listener())

    async def observe(self, count: int) -> Sightings:
        sightings = Sightings(count, self.waiter)

        class Copy(self.pb.RemoteCache):  # type: ignore[name-defined, misc]
            def observe_changed(self, value: object) -> None:
                sightings.saw(value)

        self.pb.setUnjellyableForClass(TAG, Copy)
        roots = [await self.connect() for _ in range(count)]
        self.copies = [await root.callRemote("board") for root in roots]
        return sightings

    async def _echo_bytes(self, data: bytes) -> bytes:
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        return b"".join(await self.root.callRemote("echo", pieces))

    async def swallow(self, data: bytes) -> int:
        taken_in = 0
        for start in range(0, len(data), PIECE):
            taken_in += await self.root.callRemote("swallow", data[start : start + PIECE])
        return taken_in
