"""Foolscap. Its connections are between Tubs and always over TLS; each Tub has a key of its own.

`eventual-send` and references are as in PB. Values have no schemas here, hence no limits.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from foolscap.api import Referenceable, Tub
from twisted.internet import defer, reactor

from benchmarks.peers import pb_program
from benchmarks.peers.base import HOST, Method, Ready, Setup, Thing


class Made(Thing, Referenceable):
    def remote_echo(self, value: object) -> object:
        return value


class Root(Referenceable):
    listener: Any = None

    def remote_echo(self, value: object) -> object:
        return value

    def remote_echo_coroutine(self, value: object) -> Any:
        return defer.ensureDeferred(self._echo(value))

    async def _echo(self, value: object) -> object:
        return value

    def remote_swallow(self, data: bytes) -> int:
        return len(data)

    def remote_make(self) -> Made:
        return Made()

    def remote_live(self) -> int:
        return Thing.alive

    def remote_offer(self, listener: Any) -> None:
        self.listener = listener

    def remote_relay(self, value: object) -> Any:
        return self.listener.callRemote("echo", value)


def serve(setup: Setup, ready: Ready) -> None:
    tub = Tub()

    def begin() -> None:
        tub.startService()
        listener = tub.listenOn(f"tcp:0:interface={HOST}")
        port = listener.getPortnum()
        tub.setLocation(f"tcp:{HOST}:{port}")
        ready(port, tub.registerReference(Root()))

    reactor.callWhenRunning(begin)
    reactor.run(installSignalHandlers=False)


class Listener(Referenceable):
    def remote_echo(self, value: object) -> object:
        return value


class Client(pb_program.Client):
    async def connect(self) -> Any:
        self._tub = Tub()
        self._tub.startService()
        return await self._tub.getReference(self.setup.where)

    def method(self, name: str) -> Method:
        return partial(self.root.callRemote, "echo" if name in ("echo_bytes", "echo_structure") else name)

    async def open_another(self) -> Method:
        self.lack("each connection needs a Tub with a key of its own")

    async def offer(self) -> None:
        await self.root.callRemote("offer", Listener())

    async def swallow(self, data: bytes) -> int:
        taken_in: int = await self.root.callRemote("swallow", data)
        return taken_in
