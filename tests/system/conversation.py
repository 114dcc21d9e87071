"""A short conversation in which everything happens that a connection is for; what ran of it is written to a file.

What is noted there stays, though whoever noted it is killed right after.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pellucid as pb
from pellucid.auth.credentials import Password
from pellucid.errors import DeadReferenceError, PBConnectionLost
from tests.unit.asyncio.door import outcome

__all__ = [
    "REGISTRY",
    "Board",
    "Caller",
    "Notebook",
    "Realm",
    "each_call_ended_as_documented",
    "portal",
    "tables",
]

LARGE = bytes(600_000)
"""As much as one string may hold over the PB dialects; beside the messages of the native one."""


class Notebook:
    """A file of lines, each of which is there as soon as it is noted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)

    def note(self, line: str) -> None:
        """Add a line."""
        os.write(self._file, line.encode() + b"\n")

    def close(self) -> None:
        """Nothing is noted any more."""
        os.close(self._file)


class Thing(pb.Referenceable):
    def __init__(self, note: Callable[[str], object]) -> None:
        self._note = note

    def remote_itself(self, name: str) -> Thing:
        self._note(name)
        return self

    async def remote_later(self, name: str) -> str:
        self._note(name)
        await asyncio.sleep(0)
        return name


class Board(pb.Cacheable):
    """Notes who begins to observe it, and who has stopped."""

    text = "hello"

    def __init__(self, note: Callable[[str], object]) -> None:
        self._note = note
        self.observers: list[pb.Observer] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: pb.Observer) -> dict[str, Any]:
        self._note("observed")
        self.observers.append(observer)
        return {"text": self.text}

    def stopped_observing(self, perspective: Any, observer: pb.Observer) -> None:
        self._note("unobserved")
        self.observers.remove(observer)


class BoardCopy(pb.RemoteCache):
    text: str

    def observe_text(self, text: str) -> None:
        self.text = text


REGISTRY = pb.Registry()
REGISTRY.register(BoardCopy, Board)


class Visitor(pb.Avatar):
    def __init__(self, note: Callable[[str], object], board: Board, count: Callable[[], Any]) -> None:
        self._note, self._board, self._count = note, board, count

    def perspective_echo(self, name: str, value: Any = None) -> Any:
        self._note(name)
        return value

    async def perspective_ask(self, name: str, thing: pb.RemoteReference) -> Any:
        self._note(name)
        return await thing.call("later", f"{name} back")

    def perspective_thing(self, name: str) -> Thing:
        self._note(name)
        return Thing(self._note)

    async def perspective_wait(self, name: str) -> None:
        self._note(name)
        await asyncio.Event().wait()

    def perspective_board(self, name: str) -> Board:
        self._note(name)
        return self._board

    def perspective_update(self, name: str) -> None:
        self._note(name)
        self._board.text = name
        for observer in self._board.observers:
            observer.call("text", name).notice()

    def perspective_count(self) -> Any:
        return self._count()


class Realm:
    """Lets everybody in; notes who came and who went."""

    def __init__(self, note: Callable[[str], object], count: Callable[[], Any] = lambda: 0) -> None:
        self.board = Board(note)
        self._note, self._count = note, count

    async def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        await asyncio.sleep(0)
        self._note("login")
        return Visitor(self._note, self.board, self._count), lambda: self._note("logout")


def portal(realm: Realm) -> pb.Portal:
    """What a server of the conversation publishes."""
    return pb.Portal(realm, [pb.InMemoryPasswords({"alice": "secret"})])


class Caller:
    """The side that connects; it keeps the calls that it makes, by their names."""

    def __init__(self, note: Callable[[str], object], large: bytes = LARGE) -> None:
        self._note, self._large = note, large
        self.connection: pb.Connection | None = None
        self.avatar: pb.RemoteReference | None = None
        self.calls: dict[str, pb.Call] = {}
        self.held: list[Any] = []

    async def converse(self, url: str, dialect: str) -> Any:
        """Say all there is to say; at the end, what the other side has counted."""
        self.connection = connection = await pb.connect(url, dialects=[dialect], registry=REGISTRY)
        connection.notify_on_disconnect(lambda: self._note("notice"))
        self.avatar = avatar = await connection.login(Password("alice", "secret"), Thing(self._note))
        assert await self._call(avatar, "echo", "small", 1) == 1
        assert await self._call(avatar, "echo", "large", self._large) == self._large
        thing = self._call(avatar, "thing", "first of a chain")
        second = self._call(thing, "itself", "second of a chain")
        assert await self._call(second, "later", "third of a chain") == "third of a chain"
        at_once = [f"{number} at once" for number in range(3)]
        self.calls["together"] = pb.gather(*(avatar.prepare("echo", f"{name} together") for name in at_once))
        for name in at_once:
            self._call(avatar, "echo", name)
        await self.calls["together"]
        await asyncio.gather(*(self.calls[name] for name in at_once))
        assert await self._call(avatar, "ask", "asked", Thing(self._note)) == "asked back"
        copy = await self._call(avatar, "board", "shown")
        self.held.append(copy)
        await self._call(avatar, "update", "updated")
        assert copy.text == "updated"
        del thing, second
        self.calls.pop("second of a chain")
        self._call(avatar, "wait", "without end")
        return await avatar.call("count")

    def _call(self, target: pb.RemoteReference | pb.Call, method: str, name: str, *args: Any) -> pb.Call:
        call = self.calls[name] = target.call(method, name, *args)
        return call


def tables(connection: pb.Connection) -> list[int]:
    """How much the tables of a connection hold."""
    books = connection.broker.books
    held = (books.pending, books.exports, books.imports, books.cache_exports, books.cache_imports)
    return [len(table) for table in held]


async def each_call_ended_as_documented(caller: Caller, noted: list[str]) -> None:
    """What became of a conversation whose connection has ended, given the names of the methods that ran, in order."""
    assert caller.connection is not None
    await caller.connection.wait_closed()
    assert tables(caller.connection) == [0] * 5
    try:
        caller.connection.root.call("echo")
    except DeadReferenceError:
        pass
    else:
        raise AssertionError("a dead reference was called")
    assert max(Counter(noted).values(), default=0) <= 1, "a method ran twice"
    ran = [name for name in noted if name in caller.calls]
    assert ran == [name for name in caller.calls if name in ran], "methods ran out of order"
    for name, call in caller.calls.items():
        error = await outcome(call)
        ran = [line for line in noted if line == name or line.endswith(f"at once {name}")]
        if isinstance(error, PBConnectionLost):
            assert error.sent or not ran, name
        else:
            assert len(ran) == (3 if name == "together" else 1), (name, error)
