"""Pyro5, a thread for each connection, with the fastest of its serializers and TCP_NODELAY."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import Pyro5.api

from benchmarks.peers.base import HOST, BlockingClient, Method, Ready, Setup, Thing, after_the_fact

Pyro5.config.SERIALIZER = "msgpack"
Pyro5.config.SOCK_NODELAY = True


@Pyro5.api.expose
class Made(Thing):
    def echo(self, value: object) -> object:
        return value


@Pyro5.api.expose
class Root:
    _listener: Any = None

    def echo(self, value: object) -> object:
        return value

    def make(self) -> Made:
        made = Made()
        self._pyroDaemon.register(made)  # type: ignore[attr-defined]
        return made

    def live(self) -> int:
        return Thing.alive

    def offer(self, listener: Any) -> None:
        self._listener = Pyro5.api.Proxy(listener)

    def relay(self, value: object) -> object:
        return self._listener.echo(value)


def serve(setup: Setup, ready: Ready) -> None:
    if setup.case == "connections":
        Pyro5.config.SERVERTYPE = "multiplex"  # the other has a thread for each connection, 80 at most
    elif setup.case == "callback":
        Pyro5.config.THREADPOOL_SIZE_MIN = 1
    daemon = Pyro5.api.Daemon(host=HOST)
    uri = daemon.register(Root(), "root")
    ready(uri.port, str(uri))
    daemon.requestLoop()


@Pyro5.api.expose
class Listener:
    def echo(self, value: object) -> object:
        return value


class Client(BlockingClient):
    async def open(self) -> None:
        self._root = Pyro5.api.Proxy(self.setup.where)
        self._root._pyroBind()

    def method(self, name: str) -> Method:
        return after_the_fact(getattr(self._root, "echo" if name in ("echo_bytes", "echo_structure") else name))

    async def batch(self, texts: Sequence[str]) -> list[str]:
        batch = Pyro5.api.BatchProxy(self._root)
        for text in texts:
            batch.echo(text)
        return list(batch())

    async def open_another(self) -> Method:
        proxy = Pyro5.api.Proxy(self.setup.where)
        return after_the_fact(proxy.echo)

    async def call_thing(self, thing: Any, text: str) -> str:
        answer: str = thing.echo(text)
        thing._pyroRelease()
        return answer

    async def offer(self) -> None:
        daemon = Pyro5.api.Daemon(host=HOST)
        uri = daemon.register(Listener())
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        self._root.offer(str(uri))
