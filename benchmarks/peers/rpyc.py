"""RPyC, a thread for each connection, with TCP_NODELAY. What is no plain immutable value it passes by reference."""

from __future__ import annotations

import pickle
import socket
from collections import deque
from functools import partial
from itertools import cycle, islice
from time import perf_counter
from typing import Any

import rpyc
from rpyc.utils.server import ThreadedServer

from benchmarks.cases import LARGE, TEXTS
from benchmarks.peers.base import (
    HOST,
    BlockingClient,
    Latencies,
    Method,
    Ready,
    Setup,
    Thing,
    WrongAnswer,
    after_the_fact,
)

CONFIG = {"sync_request_timeout": None}


class Made(Thing):
    def exposed_echo(self, value: object) -> object:
        return value


class Root(rpyc.Service):  # type: ignore[misc]
    def exposed_echo(self, value: object) -> object:
        return value

    def exposed_echo_pickled(self, pickled: bytes) -> bytes:
        return pickle.dumps(pickle.loads(pickled))

    def exposed_swallow(self, data: bytes) -> int:
        return len(data)

    def exposed_make(self) -> Made:
        return Made()

    def exposed_live(self) -> int:
        return Thing.alive

    def exposed_offer(self, listener: Any) -> None:
        self.listener = listener

    def exposed_relay(self, value: object) -> object:
        return self.listener(value)


def serve(setup: Setup, ready: Ready) -> None:
    server = ThreadedServer(Root(), hostname=HOST, port=0, protocol_config=CONFIG, backlog=4096)
    server.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
    ready(server.port)
    server.start()


class Client(BlockingClient):
    async def open(self) -> None:
        self._connection = self._connect()
        self._root = self._connection.root

    def method(self, name: str) -> Method:
        if name == "echo_structure":
            echo = self._root.echo_pickled
            return after_the_fact(lambda value: pickle.loads(echo(pickle.dumps(value))))
        return after_the_fact(getattr(self._root, "echo" if name == "echo_bytes" else name))

    async def open_another(self) -> Method:
        connection = self._connect()
        return after_the_fact(partial(_echo, connection))

    async def call_thing(self, thing: Any, text: str) -> str:
        answer: str = thing.echo(text)
        return answer

    async def offer(self) -> None:
        self._root.offer(lambda value: value)

    async def many(self, name: str, count: int, width: int) -> int:
        """RPyC has no workers that wait: `width` calls are kept under way."""
        call = rpyc.async_(self._root.echo)
        under_way: deque[tuple[str, Any]] = deque()
        for text in islice(cycle(TEXTS), count):
            if len(under_way) == width:
                _check(*under_way.popleft())
            under_way.append((text, call(text)))
        while under_way:
            _check(*under_way.popleft())
        return count

    async def during_large(self) -> Latencies:
        echo = self._root.echo
        latencies: list[float] = []
        begin = perf_counter()
        large = rpyc.async_(self._root.swallow)(LARGE)
        for text in cycle(TEXTS):
            start = perf_counter()
            if echo(text) != text:
                raise WrongAnswer("echo")
            latencies.append(perf_counter() - begin if not len(latencies) else perf_counter() - start)
            if large.ready:
                break
        took = perf_counter() - begin
        if large.value != len(LARGE):
            raise WrongAnswer("swallow")
        return latencies, took

    def _connect(self) -> Any:
        stream = rpyc.SocketStream.connect(HOST, self.setup.port, nodelay=True)
        return rpyc.connect_stream(stream, config=CONFIG)


def _echo(connection: Any, text: str) -> Any:
    return connection.root.echo(text)


def _check(text: str, answer: Any) -> None:
    if answer.value != text:
        raise WrongAnswer("echo")
