"""Hostile bytes harm only the connection that they came over, or only the call: a stock client is served meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

import pellucid as pb
from pellucid.wire.pb import banana
from pellucid.wire.pb.vocabulary import TOKENS, WORDS
from tests.interop import twin
from tests.interop.harness import Client, Connect, run

OFFER = [b"pellucid", b"pb", b"none"]
VERSION = [b"version", 6]
LIMITS = pb.Limits(message_bytes=200_000, handshake_seconds=0.2)


def encode(dialect: str | None, *expressions: Any) -> bytes:
    limits = pb.Limits(nesting=100_000)
    return b"".join(banana.encode(each, limits, TOKENS if dialect == "pb" else None) for each in expressions)


def call(name: bytes = b"echo", *args: Any, request: int = 1, target: Any = b"root") -> list[Any]:
    return [b"message", request, target, name, 1, [b"tuple", *args], [b"dictionary"]]


class Stranger:
    """A client that says whatever it likes."""

    def __init__(self, dialect: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.dialect = dialect
        self.reader = reader
        self.writer = writer
        self.decoder = banana.Decoder(pb.Limits(), None)

    async def negotiate(self) -> None:
        assert await self.hear() == OFFER
        self.writer.write(encode(None, self.dialect.encode()))
        self.decoder = banana.Decoder(pb.Limits(), WORDS if self.dialect == "pb" else None)
        self.say(VERSION)
        assert await self.hear() == VERSION

    def say(self, *expressions: Any) -> None:
        self.writer.write(encode(self.dialect, *expressions))

    async def hear(self) -> Any:
        """The next expression from the server, or None at the end of the connection."""
        while (expression := self.decoder.next_expression()) is banana.NEED_DATA:
            try:
                data = await self.reader.read(65536)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self.decoder.receive_data(data)
        return expression

    async def is_alive(self) -> bool:
        """Whether a call is answered; releases of what was never delivered may come first."""
        self.say(call(b"echo", 42, request=4242))
        heard = await self.hear()
        while heard is not None and heard[0] in (b"decref", b"decache"):
            heard = await self.hear()
        return bool(heard == [b"answer", 4242, 42])


@asynccontextmanager
async def stranger(port: int, dialect: str) -> AsyncGenerator[Stranger]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Stranger(dialect, reader, writer)
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def others_are_served(stock_client: Client, dialect: str, ports: dict[str, int]) -> bool:
    return bool(await asyncio.to_thread(stock_client.ask, "dialect", dialect, ports, {}) == dialect)


# What ends the connection

NOT_BANANA = {
    "an unknown type byte": b"\x00\xff",
    "an endless prefix": b"\x01" * 65,
    "an int too large": b"\x01" * 65 + b"\x81",
    "a string too long": b"\x01\x00\x28\x82",
    "a list too long": b"\x01\x00\x28\x80",
    "a list too deep": b"\x01\x80" * 300,
    "a message too long": b"\x05\x80" + (b"\x00\x00\x04\x82" + b"x" * 65536) * 4,
    "an unknown word": b"\x7f\x87",
    "text": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10,
    "noise": bytes(range(255, 0, -1)),
}

NOT_A_MESSAGE: dict[str, Any] = {
    "an int": 5,
    "a string": b"message",
    "an empty list": [],
    "a list without a command": [1, 2],
    "a command in a list": [[b"message"], 1],
    "a message cut short": [b"message", 1, b"root"],
    "a message too long by one": [*call(), 1],
    "a request id of text": [b"message", b"1", b"root", b"echo", 1, [b"tuple"], [b"dictionary"]],
    "a float for an object id": [b"message", 1, 1.0, b"echo", 1, [b"tuple"], [b"dictionary"]],
    "arguments that are no jelly": [b"message", 1, b"root", b"echo", 1, 5, [b"dictionary"]],
    "an update of a cache by a name": [b"cachemessage", 1, b"root", b"set", 1, [b"tuple"], [b"dictionary"]],
    "another version": [b"version", 7],
    "an answer to nothing": [b"answer", 99, [b"None"]],
    "an error to nothing": [b"error", 99, [b"None"]],
    "the release of what was never given": [b"decref", 99],
    "the release of a named object": [b"decref", b"root"],
    "the release of a cache that was never given": [b"decache", 99],
}


@pytest.mark.parametrize("name", [*NOT_BANANA, *NOT_A_MESSAGE])
def test_a_stranger_that_breaks_the_protocol_loses_its_connection_alone(
    dialect: str, stock_client: Client, name: str
) -> None:
    data = NOT_BANANA[name] if name in NOT_BANANA else encode(dialect, NOT_A_MESSAGE[name])

    async def scenario() -> None:
        async with twin.serving(limits=LIMITS) as ports, stranger(ports["root"], dialect) as hostile:
            await hostile.negotiate()
            hostile.writer.write(data)
            assert await hostile.hear() is None
            assert await others_are_served(stock_client, dialect, ports)

    run(scenario())


def pieces(data: bytes) -> list[bytes]:
    return [data[start : start + 100_000] for start in range(0, len(data), 100_000)]


@pytest.mark.parametrize("name", [*NOT_BANANA, *NOT_A_MESSAGE])
def test_a_twisted_server_that_breaks_the_protocol_loses_its_connection_alone(
    connect: Connect, dialect: str, name: str
) -> None:
    data = NOT_BANANA[name] if name in NOT_BANANA else encode(dialect, NOT_A_MESSAGE[name])

    async def scenario() -> None:
        async with connect() as other, connect(limits=LIMITS) as connection:
            with pytest.raises(pb.PBConnectionLost):
                await asyncio.gather(*(connection.root.call("send_raw", piece) for piece in pieces(data)))
            await connection.wait_closed()
            assert await other.root.call("echo", "alive") == "alive"

    run(scenario())


@pytest.mark.parametrize(
    "reply",
    [
        encode(None, b"foolscap"),
        encode(None, [b"pb"]),
        encode(None, 6),
        encode(None, [b"version", 6]),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512),
        NOT_BANANA["text"],
        NOT_BANANA["an endless prefix"],
        b"\x01\x87",
        b"\x02\x82p",
        b"",
    ],
    ids=["unknown", "list", "int", "message", "TLS", "HTTP", "endless prefix", "word", "half a choice", "silence"],
)
def test_a_stranger_that_does_not_negotiate_loses_its_connection_alone(
    dialect: str, stock_client: Client, reply: bytes
) -> None:
    async def scenario() -> None:
        async with twin.serving(limits=LIMITS) as ports, stranger(ports["root"], dialect) as hostile:
            assert await hostile.hear() == OFFER
            hostile.writer.write(reply)
            assert await hostile.hear() is None
            assert await others_are_served(stock_client, dialect, ports)

    run(scenario())


# What ends only the call

MALFORMED: dict[str, Any] = {
    "an empty list": [],
    "a tag that is a number": [5],
    "a tag that is a list": [[b"list"]],
    "an unknown tag": [b"warp"],
    "a class to import": [b"os.system", [b"tuple", b"true"]],
    "a class": [b"class", b"builtins.object"],
    "a function": [b"function", b"os.system"],
    "a module": [b"module", b"os"],
    "a method": [b"method", b"system", [b"None"], [b"class", b"os.system"]],
    "an instance": [b"instance", [b"class", b"builtins.object"], [b"dictionary"]],
    "a placeholder": [b"unpersistable", b"a secret"],
    "text that is no UTF-8": [b"unicode", b"\xff"],
    "text that is a number": [b"unicode", 5],
    "text without text": [b"unicode"],
    "a boolean that is neither": [b"boolean", b"maybe"],
    "a date that never was": [b"date", b"2023 2 29"],
    "a date of words": [b"date", b"to day"],
    "a datetime cut short": [b"datetime", b"2023 2"],
    "a timedelta out of range": [b"timedelta", b"9999999999 0 0"],
    "a date of a million digits": [b"date", b"1" * 100_000 + b" 1 1"],
    "a decimal of text": [b"decimal", b"1", 0],
    "a decimal with a huge exponent": [b"decimal", 1, 10**100],
    "a pair of three": [b"dictionary", [1, 2, 3]],
    "a pair that is a number": [b"dictionary", 5],
    "a key that can't be hashed": [b"dictionary", [[b"list"], 1]],
    "a set of lists": [b"set", [b"list"]],
    "a dereference to nothing": [b"dereference", 1],
    "a number defined twice": [b"list", [b"reference", 1, [b"list"]], [b"reference", 1, [b"list"]]],
    "a reference to itself": [b"reference", 1, [b"dereference", 1]],
    "a tuple of itself": [b"reference", 1, [b"tuple", [b"dereference", 1]]],
    "an object of mine that I never had": [b"local", 77],
    "an object of mine by an unknown name": [b"local", b"other"],
    "a cache that was never sent": [b"cached", 77],
    "a cache of mine that I never had": [b"lcache", 77],
    "a copy without a state": [b"interop.Point"],
    "a copy of a number": [b"interop.Point", 5],
    "a cache without a state": [b"interop.Pond", 7],
    "a reference to a name": [b"remote", b"root"],
}


def doubling(levels: int) -> list[Any]:
    """A kilobyte of back-references that stands for 2 ** levels elements."""
    expression: list[Any] = [b"list"]
    for number in range(1, levels):
        expression = [b"list", [b"reference", number, expression], [b"dereference", number]]
    return expression


MALFORMED["a terabyte in a kilobyte"] = doubling(40)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_stranger_is_answered_with_an_error_where_its_jelly_is_malformed(dialect: str, name: str) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as hostile:
            await hostile.negotiate()
            hostile.say(call(b"echo", MALFORMED[name]))
            command, request, failure = await hostile.hear()
            assert (command, request) == (b"error", 1)
            assert failure[0] == b"twisted.spread.pb.CopyableFailure"
            assert len(encode(dialect, failure)) < 2000
            assert await hostile.is_alive()

    run(scenario())


# A placeholder is taken in an answer. A cache never sent is released all the same, which no stock peer survives.
@pytest.mark.parametrize("name", sorted(MALFORMED.keys() - {"a placeholder", "a cache that was never sent"}))
def test_a_malformed_answer_of_twisteds_fails_that_call_alone(connect: Connect, dialect: str, name: str) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises((pb.InsecureJelly, pb.RemoteProtocolError, pb.LimitExceeded, pb.Error)):
                await connection.root.call("send_raw", encode(dialect, [b"answer", 1, MALFORMED[name]]))
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


@pytest.mark.parametrize("name", sorted(MALFORMED.keys() - {"a cache that was never sent"}))
def test_a_malformed_error_of_twisteds_fails_that_call_alone(connect: Connect, dialect: str, name: str) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for request, jelly in (1, MALFORMED[name]), (2, [b"twisted.spread.pb.CopyableFailure", MALFORMED[name]]):
                with pytest.raises((pb.InsecureJelly, pb.RemoteProtocolError, pb.LimitExceeded, pb.Error)):
                    await connection.root.call("send_raw", encode(dialect, [b"error", request, jelly]))
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


@pytest.mark.parametrize(
    "message",
    [
        call(target=77),
        call(target=b"other"),
        call(target=-1),
        call(b"__class__"),
        call(b"_private"),
        call(b""),
        call(b"method_for"),
        call(b"\xff\x00"),
        call(b"x" * 100_000),
        [b"cachemessage", 1, 77, b"set", 1, [b"tuple"], [b"dictionary"]],
        [b"message", 1, b"root", b"echo", 1, [b"list", 1], [b"dictionary"]],
        [b"message", 1, b"root", b"echo", 1, [b"tuple"], [b"list"]],
        [b"message", 1, b"root", b"keywords", 1, [b"tuple"], [b"dictionary", [5, 5]]],
        [b"message", 1, b"root", b"keywords", 1, [b"tuple"], [b"dictionary", [[b"None"], 5]]],
    ],
    ids=str,
)
def test_a_stranger_is_answered_with_an_error_where_its_call_makes_no_sense(dialect: str, message: list[Any]) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as hostile:
            await hostile.negotiate()
            hostile.say(message)
            assert (await hostile.hear())[:2] == [b"error", 1]
            assert await hostile.is_alive()

    run(scenario())


def test_keyword_names_of_a_python_2_peer_are_understood(dialect: str) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as old:
            await old.negotiate()
            old.say([b"message", 1, b"root", b"keywords", 1, [b"tuple"], [b"dictionary", [b"name", b"Bob"]]])
            assert await old.hear() == [b"answer", 1, [b"unicode", b"list[list[], dict{str name: bytes 426f62}]"]]

    run(scenario())


def test_what_arrives_with_a_call_that_makes_no_sense_is_released(dialect: str) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as hostile:
            await hostile.negotiate()
            hostile.say(call(b"echo", [b"remote", 5], [b"remote", 5], [b"warp"], [b"remote", 6]))
            heard = [await hostile.hear() for _ in range(4)]
            assert [b"decref", 6] in heard
            assert heard.count([b"decref", 5]) == 2
            assert await hostile.is_alive()

    run(scenario())


def test_commands_from_the_future_are_answered_and_otherwise_ignored(dialect: str) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as newer:
            await newer.negotiate()
            newer.say([b"sing", b"a song", [b"list"]])
            assert await newer.hear() == [b"didNotUnderstand", b"sing"]
            newer.say([b"didNotUnderstand", b"didNotUnderstand"])
            newer.say([b"uncache", 99])  # as comes after a cache that could not be decoded
            assert await newer.is_alive()

    run(scenario())


def test_a_stranger_that_never_finishes_a_message_holds_up_nobody(dialect: str, stock_client: Client) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as hostile:
            await hostile.negotiate()
            hostile.writer.write(encode(dialect, call())[:-1])
            assert await others_are_served(stock_client, dialect, ports)
            hostile.writer.write(encode(dialect, call())[-1:])
            assert (await hostile.hear())[:2] == [b"error", 1]

    run(scenario())


def test_a_call_that_comes_byte_by_byte_is_answered(dialect: str) -> None:
    async def scenario() -> None:
        async with twin.serving() as ports, stranger(ports["root"], dialect) as slow:
            await slow.negotiate()
            for byte in encode(dialect, call(b"echo", [b"unicode", b"hello"])):
                slow.writer.write(bytes([byte]))
                await slow.writer.drain()
                await asyncio.sleep(0)
            assert await slow.hear() == [b"answer", 1, [b"unicode", b"hello"]]

    run(scenario())


def test_a_client_that_knows_none_of_the_dialects_says_so(dialect: str) -> None:
    async def scenario() -> None:
        hung_up = asyncio.Event()

        async def offer_others(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(encode(None, [b"foolscap", b"sing"]))
            await reader.read()
            writer.close()
            await writer.wait_closed()
            hung_up.set()

        async with await asyncio.start_server(offer_others, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(pb.NoCommonDialect):
                await pb.connect(f"pb://127.0.0.1:{port}", dialects=(dialect,))
            await hung_up.wait()

    run(scenario())
