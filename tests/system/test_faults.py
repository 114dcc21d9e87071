"""Hostile and dying peers: whatever one of them does ends at most its own connection, with words in the log."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import pellucid as pb
from pellucid.errors import ConnectFailed
from tests.unit.asyncio.door import (
    HERE,
    LOOPS,
    Gate,
    NewLoop,
    RawPeer,
    call_message,
    encoded,
    on_each_loop,
    outcome,
    raw_server,
    run,
    turns,
)

LIMITS = pb.Limits(
    string_bytes=1000, list_elements=1000, nesting=20, message_bytes=5000, unknown_messages=10, handshake_seconds=5
)


class Target(Gate):
    """What is attacked, while somebody else uses it."""

    def remote_thing(self) -> pb.Referenceable:
        return pb.Referenceable()


class Remembering(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Scene:
    """A server, somebody who uses it, and what it logs."""

    def __init__(self, server: pb.Server, friend: pb.Connection, records: list[logging.LogRecord]) -> None:
        self.server = server
        self.friend = friend
        self._records = records

    async def connect(self) -> RawPeer:
        """A hostile peer that has agreed on a dialect."""
        return await RawPeer.connect(self.server.urls[0])

    async def connect_silently(self) -> RawPeer:
        """A hostile peer that has said nothing yet."""
        return await RawPeer.connect_silently(self.server.urls[0])

    def words(self) -> list[str]:
        """What was logged that is more than information."""
        return [record.getMessage() for record in self._records if record.levelno >= logging.WARNING]

    async def everything_else_works(self) -> None:
        """The friend is served, and the server holds nothing of anybody else."""
        assert await self.friend.root.call("echo", "friend") == "friend"
        while len(self.server.connections) > 1:
            await turns(1)
        async with pb.connect(self.server.urls[0]) as newcomer:
            assert await newcomer.root.call("echo", "newcomer") == "newcomer"


@asynccontextmanager
async def scene() -> AsyncGenerator[Scene]:
    handler = Remembering()
    log = logging.getLogger("pellucid")
    log.addHandler(handler)
    try:
        async with pb.serve(Target(), HERE, limits=LIMITS) as server, pb.connect(server.urls[0]) as friend:
            yield Scene(server, friend, handler.records)
    finally:
        log.removeHandler(handler)


# What ends a connection.

LONG = b"x" * 1001
HOSTILE: dict[str, tuple[bytes, str]] = {
    "no type byte of banana": (b"\x01\xff", "0xff"),
    "a word where there are none": (b"\x01\x87", "without a vocabulary"),
    "a string over the limit": (encoded([b"message"])[:-9] + b"\x69\x07\x82", "string_bytes"),
    "a list over the limit": (b"\x69\x07\x80", "list_elements"),
    "a prefix over the limit": (b"\x01" * 65 + b"\x81", "prefix_digits"),
    "a prefix without end": (b"\x01" * 2000, "prefix_digits"),
    "nesting over the limit": (b"\x01\x80" * 21, "nesting"),
    "a message over the limit": (encoded([b"x" * 900] * 6), "message_bytes"),
    "a number": (encoded(7), "a message is a list"),
    "a string": (encoded(b"message"), "a message is a list"),
    "an empty list": (encoded([]), "a message is a list"),
    "a list without a command": (encoded([1, 2]), "a message is a list"),
    "another version": (encoded([b"version", 5]), "version"),
    "a call without parts": (encoded([b"message"]), "malformed message"),
    "a call with too many parts": (encoded([*call_message(1, b"echo"), 1]), "malformed message"),
    "a call with an id that is none": (encoded([b"message", b"1", *call_message(1, b"echo")[2:]]), "malformed"),
    "a call of a name that is none": (
        encoded([b"message", 1, b"root", 5, 1, [b"tuple"], [b"dictionary"]]),
        "malformed",
    ),
    "an update of a cache by name": (encoded([b"cachemessage", *call_message(1, b"x")[1:]]), "not a name"),
    "an answer to nothing": (encoded([b"answer", 1, 1]), "not under way"),
    "an error for nothing": (encoded([b"error", 1, [b"None"]]), "not under way"),
    "the release of nothing": (encoded([b"decref", 77]), "does not hold"),
    "the release of the root": (encoded([b"decref", b"root"]), "by name"),
    "the release of no cache": (encoded([b"decache", 77]), "does not hold"),
    "too much that is not understood": (encoded([b"sing", 1]) * 11, "unknown_messages"),
    "too much confusion": (encoded([b"didNotUnderstand", b"message"]) * 11, "unknown_messages"),
}


@pytest.mark.parametrize(("said", "words"), HOSTILE.values(), ids=HOSTILE)
@on_each_loop
async def test_what_no_peer_may_say_ends_its_connection_with_words_and_nobody_elses(said: bytes, words: str) -> None:
    async with scene() as stage:
        hostile = await stage.connect()
        hostile.send_bytes(said)
        await hostile.receive_until_closed()
        await stage.everything_else_works()
        *confusion, last = stage.words()
        assert last.startswith("connection with 127.0.0.1:")
        assert " aborted: " in last
        assert words in last
        assert all("did not understand" in line for line in confusion)
        await hostile.close()


@on_each_loop
async def test_a_reference_may_not_be_released_more_often_than_it_was_received() -> None:
    async with scene() as stage:
        hostile = await stage.connect()
        hostile.send(*call_message(1, b"thing"))
        (_, _, (_, export_id)) = await hostile.receive()
        hostile.send(b"decref", export_id)
        hostile.send(b"decref", export_id)
        await hostile.receive_until_closed()
        await stage.everything_else_works()
        assert "does not hold" in stage.words()[-1]
        await hostile.close()


@on_each_loop
async def test_an_object_given_to_one_peer_cannot_be_called_by_another() -> None:
    async with scene() as stage:
        hostile = await stage.connect()
        thing = await stage.friend.root.call("thing")
        hostile.send(*call_message(1, b"anything", target=thing.export_id))
        assert b"Invalid Object ID" in repr(await hostile.receive()).encode()
        await hostile.close()
        await stage.everything_else_works()


EARLY: dict[str, bytes] = {
    "a dialect that was not offered": encoded(b"native"),
    "a list": encoded([b"pb"]),
    "a number": encoded(6),
    "garbage": b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
    "a long string": b"\x7f\x7f\x7f\x82",
    "another greeting than the version": encoded(b"none") + encoded(call_message(1, b"echo")),
}


@pytest.mark.parametrize("said", EARLY.values(), ids=EARLY)
@on_each_loop
async def test_what_no_peer_may_say_first_ends_its_connection_with_words_and_nobody_elses(said: bytes) -> None:
    async with scene() as stage:
        hostile = await stage.connect_silently()
        hostile.send_bytes(said)
        await hostile.receive_until_closed()
        await stage.everything_else_works()
        (line,) = stage.words()
        assert " aborted: " in line
        await hostile.close()


# What is answered.

BAD_ARGUMENTS: dict[str, object] = {
    "no tag": [],
    "a tag that is none": [1],
    "an unknown tag": [b"no.such.Class", [b"dictionary"]],
    "a class": [b"class", b"os.system"],
    "a module": [b"module", b"os"],
    "an instance": [b"subprocess.Popen", [b"dictionary"]],
    "text that is no UTF-8": [b"unicode", b"\xff"],
    "a dictionary without pairs": [b"dictionary", [1]],
    "a key that has no hash": [b"dictionary", [[b"list"], 1]],
    "a reference to nowhere": [b"dereference", 7],
    "an object that it was never given": [b"local", 77],
    "a cache that it was never given": [b"lcache", 77],
    "a boolean that is none": [b"boolean", b"perhaps"],
    "a date that is none": [b"date", b"2024 13 45"],
    "a number that is none": [b"decimal", b"1", b"2"],
    "too few parts": [b"unicode"],
}


@pytest.mark.parametrize("argument", BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
@on_each_loop
async def test_an_argument_that_makes_no_sense_fails_that_call_alone(argument: object) -> None:
    async with scene() as stage:
        hostile = await stage.connect()
        hostile.send(*call_message(1, b"echo", argument))
        hostile.send(*call_message(2, b"echo", b"sense"))
        assert (await hostile.receive())[:2] == [b"error", 1]
        assert await hostile.receive() == [b"answer", 2, b"sense"]
        await hostile.hang_up()
        await stage.everything_else_works()


@on_each_loop
async def test_a_command_that_pb_does_not_have_is_answered_and_the_connection_lives() -> None:
    async with scene() as stage:
        hostile = await stage.connect()
        hostile.send(b"sing", b"a song")
        hostile.send(*call_message(1, b"echo", b"sense"))
        assert await hostile.receive() == [b"didNotUnderstand", b"sing"]
        assert await hostile.receive() == [b"answer", 1, b"sense"]
        await hostile.close()


# Anything at all.

WORDS = [
    *b"version message cachemessage answer error decref decache uncache didNotUnderstand".split(),
    *b"tuple list dictionary reference dereference remote local cached lcache unicode None set frozenset".split(),
    *b"root echo wait thing twisted.spread.pb.CopyableFailure boolean true decimal date persistent".split(),
]
EXPRESSIONS = st.recursive(
    st.sampled_from(WORDS) | st.integers(-3, 10) | st.integers() | st.floats() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=15,
)
PAYLOADS = st.recursive(
    st.sampled_from([[b"None"], [b"unicode", b"text"], [b"remote", 1], [b"remote", 2], [b"local", 1], b"x", 1]),
    lambda inner: st.builds(
        lambda tag, items: [tag, *items],
        st.sampled_from([b"tuple", b"list", b"set", b"dictionary", b"reference", b"dereference"]),
        st.lists(inner | EXPRESSIONS, max_size=4),
    ),
)
NEARLY_MESSAGES = st.one_of(
    st.builds(
        lambda name, *rest: [name, *rest],
        st.sampled_from([b"message", b"cachemessage"]),
        st.integers(1, 5),
        st.sampled_from([b"root", 1, 2, 3]),
        st.sampled_from([b"echo", b"wait", b"thing", b"nothing"]),
        st.integers(0, 1),
        PAYLOADS.map(lambda payload: [b"tuple", payload]) | EXPRESSIONS,
        st.just([b"dictionary"]) | EXPRESSIONS,
    ),
    st.builds(lambda name, number: [name, number], st.sampled_from(WORDS[:9]), st.integers(-1, 5)),
    st.builds(
        lambda name, number, what: [name, number, what], st.sampled_from(WORDS[3:5]), st.integers(0, 3), PAYLOADS
    ),
    EXPRESSIONS,
)


KNOWN_WORDS = (" aborted: ", "did not understand", "Peer will receive following PB traceback", "can't be sent")
"""What may be logged of an attack: above all, it is said why its connection ended."""


def an_attack_ends_where_it_began(attack: Callable[[Scene], Any], new_loop: NewLoop) -> None:
    async def play() -> None:
        async with scene() as stage:
            hostile = await attack(stage)
            hostile.say_no_more()
            await hostile.receive_bytes_until_closed()  # in whichever dialect it may have chosen
            await hostile.close()
            await stage.everything_else_works()
            assert [line for line in stage.words() if not any(part in line for part in KNOWN_WORDS)] == []

    run(play(), new_loop)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@given(said=st.binary(max_size=200))
def test_any_bytes_at_all_harm_nobody_else(new_loop: NewLoop, said: bytes) -> None:
    async def attack(stage: Scene) -> RawPeer:
        hostile = await stage.connect()
        hostile.send_bytes(said)
        return hostile

    an_attack_ends_where_it_began(attack, new_loop)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@given(said=st.binary(max_size=50))
@example(said=b"\x08\x82pellucid")
def test_any_first_bytes_harm_nobody_else(new_loop: NewLoop, said: bytes) -> None:
    async def attack(stage: Scene) -> RawPeer:
        hostile = await stage.connect_silently()
        hostile.send_bytes(said)
        return hostile

    an_attack_ends_where_it_began(attack, new_loop)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@given(expressions=st.lists(NEARLY_MESSAGES, max_size=8))
def test_any_expressions_harm_nobody_else(new_loop: NewLoop, expressions: list[object]) -> None:
    async def attack(stage: Scene) -> RawPeer:
        hostile = await stage.connect()
        hostile.send_bytes(b"".join(encoded(expression) for expression in expressions))
        return hostile

    an_attack_ends_where_it_began(attack, new_loop)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@given(expressions=st.lists(NEARLY_MESSAGES, max_size=8))
def test_a_hostile_server_harms_no_client(new_loop: NewLoop, expressions: list[object]) -> None:
    async def play() -> None:
        async with raw_server() as (url, peers):
            connection = await pb.connect(url, limits=LIMITS)
            peer = await peers.get()
            calls = [connection.root.call("echo", Gate()), connection.root.call("echo", 1), connection.root.call("x")]
            chained = calls[0].call("wait")
            for _ in calls:
                await peer.receive()
            peer.send_bytes(b"".join(encoded(expression) for expression in expressions))
            peer.say_no_more()
            await asyncio.gather(*(outcome(call) for call in (*calls, chained)))
            await connection.wait_closed()
            await peer.close()

    run(play(), new_loop)


# Peers that die.

CONVERSATION = b"".join(
    [
        encoded(b"none"),
        encoded([b"version", 6]),
        encoded(call_message(1, b"thing")),
        encoded(call_message(2, b"wait", [b"remote", 1])),
        encoded(call_message(3, b"echo", [b"list", [b"remote", 1], [b"remote", 2]])),
        encoded([b"decref", 1]),
    ]
)


@on_each_loop
async def test_a_client_may_die_after_any_byte() -> None:
    async with scene() as stage:
        for place in range(len(CONVERSATION) + 1):
            dying = await stage.connect_silently()
            dying.send_bytes(CONVERSATION[:place])
            await dying.close() if place % 2 else await dying.hang_up()
        await stage.everything_else_works()
        assert stage.words() == []


@on_each_loop
async def test_a_server_may_die_after_any_byte() -> None:
    said = encoded([b"pb", b"none"]) + encoded([b"version", 6]) + encoded([b"answer", 1, [b"remote", 1]])
    async with raw_server(greet=False) as (url, peers):
        for place in range(len(said) + 1):
            connecting = asyncio.ensure_future(outcome(pb.connect(url, dialects=["none"])))
            dying = await peers.get()
            dying.send_bytes(said[:place])
            await dying.hang_up()
            connection = await connecting
            if isinstance(connection, pb.Connection):
                await connection.wait_closed()
                assert place >= len(encoded([b"pb", b"none"]))
            else:
                assert isinstance(connection, ConnectFailed)
