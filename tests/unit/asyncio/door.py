"""How tests of the asyncio door run coroutines, join two connections, and play a peer that says what it likes."""

from __future__ import annotations

import asyncio
import functools
import inspect
import socket
import ssl
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import pytest

import pellucid as pb
from pellucid.limits import Limits
from pellucid.wire.pb import banana

NewLoop = Callable[[], asyncio.AbstractEventLoop]

LOOPS: dict[str, NewLoop] = {"asyncio": asyncio.new_event_loop}
"""The kinds of event loop that there are here, by name."""

try:
    import uvloop
except ImportError:
    pass  # there is none for Windows
else:
    LOOPS["uvloop"] = uvloop.new_event_loop

__all__ = [
    "HERE",
    "LOOPS",
    "SECONDS",
    "Gate",
    "NewLoop",
    "Pair",
    "RawPeer",
    "Sink",
    "call_message",
    "crowd",
    "encoded",
    "on_each_loop",
    "outcome",
    "pair",
    "raw_server",
    "run",
    "turns",
]

P = ParamSpec("P")
T = TypeVar("T")

HERE = "pb://127.0.0.1:0"
"""Listening there takes any free port of this machine."""

SECONDS = 30
"""The longest that one test may take."""


def run(main: Coroutine[Any, Any, T], new_loop: NewLoop = asyncio.new_event_loop) -> T:
    """Run `main` in a loop of its own, in bounded time; what the loop complains of is a failure."""
    complaints: list[dict[str, Any]] = []

    async def in_time() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(SECONDS):
            return await main

    with warnings.catch_warnings(), asyncio.Runner(loop_factory=new_loop) as runner:
        try:
            result = runner.run(in_time())
        except BaseException:
            # What a failed test left open is no news; and uvloop, told of it by an exception, never closes.
            warnings.simplefilter("ignore", ResourceWarning)
            raise
    assert not complaints, complaints
    return result


def on_each_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Decorator: a test that is a coroutine function runs once on each kind of event loop."""

    @pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
    def run_it(new_loop: NewLoop, *args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs), new_loop)

    functools.update_wrapper(run_it, test)
    of_test = inspect.signature(test)
    new_loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    run_it.__signature__ = of_test.replace(parameters=[*of_test.parameters.values(), new_loop])  # type: ignore[attr-defined]
    return run_it


async def turns(count: int = 10) -> None:
    """Let the loop turn a few times: whatever is due without further input happens."""
    for _ in range(count):
        await asyncio.sleep(0)


async def crowd(connection: pb.Connection, name: str = "take", value: bytes = bytes(100_000)) -> pb.Call:
    """Send so much to a peer which does not read that a one-way call has to wait for room; that call."""
    one_way = connection.root.call_with(one_way=True)
    for _ in range(100_000_000 // len(value)):
        call = one_way.call(name, value)
        if not call.done:
            return call
        await call
    raise AssertionError("100 MB were not enough")


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """What `awaitable` gives, or the exception that it raises."""
    try:
        return await awaitable
    except Exception as error:  # noqa: BLE001  # the test looks at it
        return error


@dataclass(frozen=True, slots=True)
class Pair:
    """A server and the two ends of one connection to it."""

    server: pb.Server
    client: pb.Connection
    served: pb.Connection
    """The server's end."""


@asynccontextmanager
async def pair(root: Any, *, client: Mapping[str, Any] | None = None, **options: Any) -> AsyncGenerator[Pair]:
    """Serve `root` with `options`, and connect with those of `client`."""
    async with pb.serve(root, HERE, **options) as server, pb.connect(server.urls[0], **(client or {})) as connection:
        (served,) = server.connections
        await served.ready
        yield Pair(server, connection, served)


class Gate(pb.Root):
    """A root whose callers wait until it is opened; it tells who entered, and whose method was cancelled."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered: asyncio.Queue[Any] = asyncio.Queue()
        self.cancelled: asyncio.Queue[Any] = asyncio.Queue()
        self.left: asyncio.Queue[Any] = asyncio.Queue()

    async def remote_wait(self, value: Any = None) -> Any:
        """Return `value` once the gate is open."""
        self.entered.put_nowait(value)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled.put_nowait(value)
            raise
        self.left.put_nowait(value)
        return value

    def remote_echo(self, value: Any = None) -> Any:
        """Return `value` at once."""
        return value


class Sink(pb.Root):
    """A root that takes what it is given, one after another."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[Any] = asyncio.Queue()

    def remote_take(self, value: Any) -> None:
        """Put `value` with the others."""
        self.taken.put_nowait(value)


class _Streams(asyncio.StreamReaderProtocol):
    """Ends the connection when the other side has ended its half, as every PB peer does."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


def _small_reader() -> asyncio.StreamReader:
    """A reader that soon stops reading by itself where nobody reads from it."""
    return asyncio.StreamReader(limit=1024)


class RawPeer:
    """A peer that sends exactly what it is told, in dialect "none", and reads only when it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._decoder = banana.Decoder(Limits(), None)

    @classmethod
    async def connect(cls, url: str, *, receive_buffer: int | None = None) -> RawPeer:
        """Connect to a server of ours and agree on a dialect, as a client does."""
        peer = await cls.connect_silently(url, receive_buffer=receive_buffer)
        await peer.agree()
        return peer

    @classmethod
    async def connect_silently(cls, url: str, *, receive_buffer: int | None = None) -> RawPeer:
        """Connect to a server of ours and say nothing."""
        host, port = url.removeprefix("pb://").removeprefix("pbs://").split(":")
        sock = socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (host, int(port)))
        reader = _small_reader()
        transport, protocol = await loop.create_connection(lambda: _Streams(reader), sock=sock)
        return cls(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Go on inside TLS, as a client. Raises OSError where that fails."""
        await self._writer.start_tls(context, server_hostname="localhost")

    async def agree(self) -> None:
        """Agree on a dialect with a server of ours, as a client does."""
        assert b"none" in await self.receive()
        self.send_bytes(encoded(b"none"))
        self.send(b"version", 6)
        assert await self.receive() == [b"version", 6]

    async def welcome(self) -> None:
        """Agree on a dialect with a client of ours, as a server does."""
        self.send_bytes(encoded([b"none"]))
        assert await self.receive() == b"none"
        self.send(b"version", 6)
        assert await self.receive() == [b"version", 6]

    def send(self, *message: object) -> None:
        """Send one message."""
        self._writer.write(encoded(list(message)))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes of any kind."""
        self._writer.write(data)

    async def receive(self) -> Any:
        """The next expression that arrives. Raises EOFError where the connection ends instead."""
        while (expression := self._decoder.next_expression()) is banana.NEED_DATA:
            try:
                data = await self._reader.read(64 * 1024)
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError
            self._decoder.receive_data(data)
        return expression

    async def receive_until_closed(self) -> list[Any]:
        """Everything that still arrives before the connection ends."""
        received: list[Any] = []
        while True:
            try:
                received.append(await self.receive())
            except EOFError:
                return received

    async def receive_bytes_until_closed(self) -> bytes:
        """Whatever still arrives before the connection ends."""
        received = b""
        try:
            while data := await self._reader.read(64 * 1024):
                received += data
        except ConnectionError:
            pass
        return received

    async def hang_up(self) -> None:
        """End the connection from this side, once everything is sent."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass

    def say_no_more(self) -> None:
        """End this side's half of the connection."""
        self._writer.write_eof()

    async def close(self) -> None:
        """End the connection from this side, at once."""
        self._writer.transport.abort()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass


def encoded(expression: object) -> bytes:
    """An expression in banana, without vocabulary."""
    return banana.encode(expression, Limits(), None)


def call_message(
    call_id: int, name: bytes, *args: object, target: int | bytes = b"root", wants_answer: int = 1
) -> list[object]:
    """The message that calls a method; the arguments are jelly."""
    return [b"message", call_id, target, name, wants_answer, [b"tuple", *args], [b"dictionary"]]


@asynccontextmanager
async def raw_server(*, greet: bool = True) -> AsyncGenerator[tuple[str, asyncio.Queue[RawPeer]]]:
    """A server that says what it likes: its URL, and the peers that connect to it, greeted or not."""
    peers: asyncio.Queue[RawPeer] = asyncio.Queue()
    all_peers: list[RawPeer] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = RawPeer(reader, writer)
        all_peers.append(peer)
        if greet:
            await peer.welcome()
        peers.put_nowait(peer)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Streams(_small_reader(), accept), "127.0.0.1", 0)
    try:
        yield f"pb://127.0.0.1:{server.sockets[0].getsockname()[1]}", peers
    finally:
        server.close()
        for peer in all_peers:
            await peer.close()
