"""The hosts of a world, the ways between them, and who listens where."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pellucid.testing.links import Link, Path, Pipe, Sign, os_error
from pellucid.testing.scheduler import Scheduler
from pellucid.testing.sockets import Address, SimulatedSocket
from pellucid.testing.transport import Endpoint

if TYPE_CHECKING:
    from pellucid.testing.loop import SimulatedLoop

__all__ = ["Host", "Listener", "Network"]

FIRST_PORT = 49_152
"""From there on systems choose ports for who asks for none."""

LOOPBACK = Link(latency=(0.00001, 0.0001))
"""From a host to itself."""

EVERYWHERE = (None, "", "0.0.0.0", "::")  # noqa: S104 - of hosts that are simulated
HERE = ("localhost", "127.0.0.1", "::1")


class Host:
    """A machine: it has a name, an address, power, and ports."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.is_up = True
        self.listeners: dict[int | str, Listener] = {}
        """By port, or by path."""
        self._last_port = FIRST_PORT - 1

    def free_port(self) -> int:
        """A port that was not taken yet."""
        self._last_port += 1
        return self._last_port


class Listener(asyncio.AbstractServer):
    """What `create_server` gives: it listens at one port, or path, until it is closed."""

    def __init__(self, loop: SimulatedLoop, where: int | str, factory: Callable[[], Any], *, local: bool) -> None:
        self.is_local = local
        self._loop = loop
        self._where = where
        self._factory = factory
        self._is_open = True
        self._closed: asyncio.Future[None] | None = None
        address: Address = (loop.host.address, where) if isinstance(where, int) else where
        self._socket = SimulatedSocket(address)
        loop.host.listeners[where] = self
        loop.listeners[self] = None

    @property
    def sockets(self) -> tuple[Any, ...]:
        """What shows where it listens; nothing once it is closed."""
        return (self._socket,) if self._is_open else ()

    def take(self, endpoint: Endpoint) -> bool:
        """The system asks whether a connection is wanted; the program is told of it when it runs."""
        if not self._is_open:
            return False
        endpoint.belong_to(self._loop)
        self._loop.call_soon(self._accept, endpoint)
        return True

    def _accept(self, endpoint: Endpoint) -> None:
        if self._is_open:
            endpoint.attach(self._loop, self._factory())
        else:
            endpoint.hang_up()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            del self._loop.host.listeners[self._where]
            del self._loop.listeners[self]
            if self._closed is not None:
                self._closed.set_result(None)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._is_open

    async def start_serving(self) -> None:
        """It does so from the beginning."""

    async def serve_forever(self) -> None:
        try:
            await self._loop.create_future()
        finally:
            self.close()

    async def wait_closed(self) -> None:
        if self._is_open:
            if self._closed is None:
                self._closed = self._loop.create_future()
            await asyncio.shield(self._closed)


class Network:
    """Connects hosts."""

    def __init__(
        self, link: Link, scheduler: Scheduler, rng: random.Random, note: Callable[[str], None] | None
    ) -> None:
        self.hosts: dict[str, Host] = {}
        self._link = link
        self._scheduler = scheduler
        self._rng = rng
        self._note = note
        self._paths: dict[tuple[Host, Host], Path] = {}

    def host(self, name: str) -> Host:
        """The host of that name, which is made where there is none."""
        host = self.hosts.get(name)
        if host is None:
            number = len(self.hosts) + 1
            host = self.hosts[name] = Host(name, f"10.0.{number >> 8}.{number & 255}")
        return host

    def find(self, name: Any, asker: Host) -> Host:
        """The host that `name`, or an address, means to `asker`. Raises socket.gaierror where there is none."""
        if isinstance(name, bytes):
            name = name.decode()
        if name in HERE or name in EVERYWHERE:
            return asker
        for host in self.hosts.values():
            if name in (host.name, host.address):
                return host
        raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: no host of this world is called {name!r}")

    def path(self, source: Host, sink: Host) -> Path:
        """The way from one host to another."""
        path = self._paths.get((source, sink))
        if path is None:
            link = LOOPBACK if source is sink else self._link
            path = self._paths[source, sink] = Path(link, self._scheduler, self._rng)
        return path

    def paths(self, a: str, b: str | None, *, one_way: bool = False) -> Iterator[Path]:
        """The ways from host `a` to `b`, or to every other, and back unless it is `one_way`."""
        here = self._known(a)
        others = [host for host in self.hosts.values() if host is not here] if b is None else [self._known(b)]
        for other in others:
            yield self.path(here, other)
            if not one_way:
                yield self.path(other, here)

    def linked(self) -> list[tuple[str, str]]:
        """The hosts between which there were connections, or attempts at one."""
        return [(source.name, sink.name) for source, sink in self._paths if source is not sink]

    def clear(self) -> None:
        """The world has come to its end."""
        self.hosts.clear()
        self._paths.clear()

    def _known(self, name: str) -> Host:
        host = self.hosts.get(name)
        if host is None:
            raise ValueError(f"no process was started at {name!r}; there are {', '.join(map(repr, self.hosts))}")
        return host

    def listen(self, loop: SimulatedLoop, host: Any, where: int | str, factory: Callable[[], Any]) -> Listener:
        """Have `factory` make a protocol for each connection to `where`.

        Raises:
            OSError: somebody listens there, or `host` is another one.
        """
        here = loop.host
        names = host if isinstance(host, list | tuple) else (host,)
        if any(self.find(name, here) is not here for name in names):
            raise os_error(errno.EADDRNOTAVAIL)
        where = where or here.free_port()
        if where in here.listeners:
            raise os_error(errno.EADDRINUSE)
        return Listener(loop, where, factory, local=all(name in HERE for name in names))

    async def connect(
        self, loop: SimulatedLoop, there: Host, where: int | str, factory: Callable[[], Any]
    ) -> tuple[asyncio.Transport, Any]:
        """A connection to who listens `where` at host `there`.

        Raises:
            OSError: nobody does, or nothing is heard from there.
        """
        here = loop.host
        near: Address = (here.address, here.free_port()) if isinstance(where, int) else ""
        far: Address = (there.address, where) if isinstance(where, int) else where
        client = Endpoint(here, near, far, self._scheduler, self._rng)
        server = Endpoint(there, far, near, self._scheduler, self._rng)
        client.other, server.other = server, client
        forth, back = self.path(here, there), self.path(there, here)
        client.out = server.back = Pipe(forth, back, client, server, self._note)
        server.out = client.back = Pipe(back, forth, server, client, self._note)

        def accept(endpoint: Endpoint) -> bool:
            listener = there.listeners.get(where)
            return listener is not None and (here is there or not listener.is_local) and listener.take(endpoint)

        server.accept = accept
        client.belong_to(loop)
        client.dialling = loop.create_future()
        client.out.sign(Sign.SYN)
        try:
            await client.dialling
        except asyncio.CancelledError:
            client.hang_up()
            raise
        client.dialling = None
        protocol = factory()
        client.attach(loop, protocol)
        attached = loop.create_future()
        loop.call_soon(attached.set_result, None)
        try:
            await attached
        except asyncio.CancelledError:
            client.close()
            raise
        return client, protocol
