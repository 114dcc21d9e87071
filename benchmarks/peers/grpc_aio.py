"""grpc.aio, with generic handlers, so that no code is generated; values other than text and bytes by ormsgpack."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import ormsgpack

from benchmarks.peers.base import HOST, AsyncioClient, Method, Ready, Setup

SERVICE = "benchmarks.Echo"
OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),  # else channels to one server share one connection
]

Serializer = Callable[[Any], Any] | None


def _write_text(text: str) -> bytes:
    return text.encode()


def _read_text(data: bytes) -> str:
    return data.decode()


def _write_number(number: int) -> bytes:
    return number.to_bytes(8, "big")


def _read_number(data: bytes) -> int:
    return int.from_bytes(data, "big")


SERIALIZERS: dict[str, tuple[Serializer, Serializer, Serializer, Serializer]] = {
    "echo": (_write_text, _read_text, None, _read_text),
    "echo_coroutine": (_write_text, _read_text, None, _read_text),
    "echo_bytes": (None, None, None, None),
    "echo_structure": (ormsgpack.packb, ormsgpack.unpackb, ormsgpack.packb, ormsgpack.unpackb),
    "swallow": (None, None, _write_number, _read_number),
}
"""By method: how its request is written and read, how its answer is. Its server encodes text by itself."""


def _echo(request: Any, context: Any) -> Any:
    return request


async def _echo_coroutine(request: Any, context: Any) -> Any:
    return request


async def _swallow(request: bytes, context: Any) -> int:
    return len(request)


METHODS: dict[str, Callable[[Any, Any], Any]] = {
    "echo": _echo,
    "echo_coroutine": _echo_coroutine,
    "echo_bytes": _echo_coroutine,
    "echo_structure": _echo_coroutine,
    "swallow": _swallow,
}


def serve(setup: Setup, ready: Ready) -> None:
    async def main() -> None:
        server = grpc.aio.server(options=OPTIONS)
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                method, request_deserializer=SERIALIZERS[name][1], response_serializer=SERIALIZERS[name][2]
            )
            for name, method in METHODS.items()
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        port = server.add_insecure_port(f"{HOST}:0")
        await server.start()
        ready(port)
        await server.wait_for_termination()

    asyncio.run(main())


class Client(AsyncioClient):
    async def open(self) -> None:
        self._channel = self._connect()

    def method(self, name: str) -> Method:
        return _method(self._channel, name)

    async def open_another(self) -> Method:
        return _method(self._connect(), "echo_coroutine")

    def _connect(self) -> Any:
        return grpc.aio.insecure_channel(f"{HOST}:{self.setup.port}", options=OPTIONS)


def _method(channel: Any, name: str) -> Method:
    write, _, _, read = SERIALIZERS[name]
    call: Method = channel.unary_unary(f"/{SERVICE}/{name}", request_serializer=write, response_deserializer=read)
    return call
