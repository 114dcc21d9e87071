"""Blocking sockets: bytes behind their length, echoed; with ormsgpack in the variant of that name."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

from benchmarks.peers.base import HOST, BlockingClient, Method, Ready, Setup, after_the_fact

Echo = Callable[[Any], Any]


def serve(setup: Setup, ready: Ready) -> None:
    listener = socket.create_server((HOST, 0), backlog=4096)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
    ready(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, setup.variant == "ormsgpack"), daemon=True).start()


def answer(connection: socket.socket, packed: bool) -> None:
    receive = connection.recv
    while head := receive(65_536):
        message = read_rest(connection, head)
        connection.sendall(repacked(message) if packed else message)


def repacked(message: bytes) -> bytes:
    """The same message, its value unpacked and packed again, as a server that looks at it must."""
    import ormsgpack

    body = ormsgpack.packb(ormsgpack.unpackb(memoryview(message)[4:]))
    return len(body).to_bytes(4, "big") + body


def read_rest(connection: socket.socket, head: bytes) -> bytes:
    """The message that begins with `head`."""
    while len(head) < 4:
        head += connection.recv(65_536)
    length = 4 + int.from_bytes(head[:4], "big")
    if len(head) == length:
        return head
    message = memoryview(bytearray(length))
    message[: len(head)] = head
    filled = len(head)
    while filled < length:
        filled += connection.recv_into(message[filled:])
    return bytes(message)


class Client(BlockingClient):
    async def open(self) -> None:
        self._connection = self._connect()

    def method(self, name: str) -> Method:
        connection = self._connection
        if name == "echo_structure":
            return after_the_fact(lambda value: echo_packed(connection, value))
        if name == "echo_bytes":
            return after_the_fact(lambda data: echo(connection, data))
        return after_the_fact(lambda text: echo(connection, text.encode()).decode())

    async def open_another(self) -> Method:
        connection = self._connect()
        return after_the_fact(lambda text: echo(connection, text.encode()).decode())

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.setup.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def echo(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(len(data).to_bytes(4, "big") + data)
    return read_rest(connection, connection.recv(65_536))[4:]


def echo_packed(connection: socket.socket, value: object) -> Any:
    import ormsgpack

    return ormsgpack.unpackb(echo(connection, ormsgpack.packb(value)))
