"""Pellucid's door for asyncio, in the `pb` or the native dialect, on asyncio's loop or on uvloop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pellucid as pb
from benchmarks.peers.base import (
    HOST,
    PIECE,
    AsyncioClient,
    Method,
    Ready,
    Setup,
    Sightings,
    Thing,
    Unavailable,
    run_on_loop,
)

NATIVE = "pellucid"
TAG = "benchmarks.Board"

_LARGER = "list_elements message_bytes elements expanded_elements inline_bytes references_exported references_imported"


def generous(limits: pb.Limits) -> pb.Limits:
    """Limits for workloads that grow beyond what a server should take from strangers."""
    known = [name for name in _LARGER.split() if hasattr(limits, name)]
    return replace(limits, **{name: getattr(limits, name) * 64 for name in known})


def settings(setup: Setup) -> dict[str, Any]:
    """What both sides are told."""
    limits = generous(pb.Limits()) if setup.size else pb.Limits()
    return {"limits": limits, "dialects": [NATIVE if "native" in setup.variant else "pb"]}


class Made(Thing, pb.Referenceable):
    def remote_echo(self, value: object) -> object:
        return value


class Board(pb.Cacheable):
    def __init__(self) -> None:
        self.observers: list[pb.Observer] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, Any]:
        self.observers.append(observer)
        return {"value": 0}

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self.observers.remove(observer)

    def get_type_to_copy_for(self, perspective: Any) -> str:
        return TAG


class Root(pb.Root):
    def __init__(self) -> None:
        self.board = Board()
        self.listener: Any = None

    def remote_echo(self, value: object) -> object:
        return value

    async def remote_echo_coroutine(self, value: object) -> object:
        return value

    def remote_swallow(self, data: bytes) -> int:
        return len(data)

    def remote_make(self) -> Made:
        return Made()

    def remote_live(self) -> int:
        return Thing.alive

    def remote_offer(self, listener: Any) -> None:
        self.listener = listener

    def remote_relay(self, value: object) -> Awaitable[Any]:
        answer: Awaitable[Any] = self.listener.call("echo", value)
        return answer

    def remote_board(self) -> Board:
        return self.board

    def remote_change(self, value: object) -> None:
        update_all: Callable[..., Any] | None = getattr(pb, "update_all", None)
        if update_all is not None:
            update_all(self.board.observers, "changed", value)
            return
        for observer in self.board.observers:
            observer.update("changed", value)


class Listener(pb.Referenceable):
    def remote_echo(self, value: object) -> object:
        return value


def serve(setup: Setup, ready: Ready) -> None:
    async def main() -> None:
        async with pb.serve(Root(), f"pb://{HOST}:0", **settings(setup)) as server:
            ready(int(server.urls[0].rsplit(":", 1)[1]))
            await server.serve_forever()

    try:
        run_on_loop(main(), setup.variant)
    except ValueError as unknown:  # serve() knows no such dialect
        raise Unavailable("no native dialect yet") from unknown


class Client(AsyncioClient):
    async def open(self) -> None:
        self._native = "native" in self.setup.variant
        self._connection = await self._connect()
        self._root = self._connection.root

    def method(self, name: str) -> Method:
        if name == "echo_bytes" and not self._native:
            return self._echo_pieces
        return partial(self._root.call, "echo" if name in ("echo_bytes", "echo_structure") else name)

    async def open_another(self) -> Method:
        return partial((await self._connect()).root.call, "echo")

    async def batch(self, texts: Sequence[str]) -> list[str]:
        gather: Any = getattr(pb, "gather", None)
        prepare: Any = getattr(self._root, "prepare", None)
        if gather is None or prepare is None:
            self.lack("no batches yet")
        answers: list[str] = await gather(*(prepare("echo", text) for text in texts))
        return answers

    async def call_thing(self, thing: Any, text: str) -> str:
        answer: str = await thing.call("echo", text)
        return answer

    async def use_reference_pipelined(self, text: str) -> str:
        thing: Any = self._root.call("make")
        if not hasattr(thing, "call"):
            await thing
            self.lack("no pipelining yet")
        answer: str = await thing.call("echo", text)
        return answer

    async def offer(self) -> None:
        await self._root.call("offer", Listener())

    async def observe(self, count: int) -> Sightings:
        sightings = Sightings(count, self.waiter)

        class Copy(pb.RemoteCache):
            def observe_changed(self, value: object) -> None:
                sightings.saw(value)

        pb.DEFAULT_REGISTRY.register(Copy, TAG)
        roots = [(await self._connect()).root for _ in range(count)]
        self._copies = [await root.call("board") for root in roots]
        return sightings

    async def bystander(self) -> Method:
        return partial((await self._root.call("make")).call, "echo")  # calls of one object keep their order

    async def swallow(self, data: bytes) -> int:
        if self._native:
            return await super().swallow(data)
        taken_in = 0
        for start in range(0, len(data), PIECE):
            taken_in += await self._root.call("swallow", data[start : start + PIECE])
        return taken_in

    async def _connect(self) -> pb.Connection:
        return await pb.connect(f"pb://{HOST}:{self.setup.port}", **settings(self.setup))

    async def _echo_pieces(self, data: bytes) -> bytes:
        pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
        return b"".join(await self._root.call("echo", pieces))
