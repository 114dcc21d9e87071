"""A portal with somebody behind it who notes who comes and goes."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pellucid as pb
from pellucid.auth.credentials import Password, PasswordChallenge
from tests.unit.asyncio.door import Gate, turns

__all__ = [
    "ALICE",
    "BOB",
    "REGISTRY",
    "Challenging",
    "Hall",
    "SharingHall",
    "Sheet",
    "SlowPasswords",
    "User",
    "portal",
    "released",
]

ALICE = Password("alice", "secret")
BOB = Password("bob", "hidden")


class User:
    """An avatar; it need not derive from anything."""

    def __init__(self, name: str, mind: Any) -> None:
        self.name = name
        self.mind = mind

    def perspective_name(self) -> str:
        return self.name

    async def perspective_greet(self, word: str) -> Any:
        return await self.mind.call("echo", f"{word}, {self.name}")

    def perspective_me(self) -> bool:
        return pb.current_call().avatar is self

    def perspective_board(self) -> Board:
        return Board()

    def perspective_sheet(self) -> Sheet:
        return Sheet()

    def perspective_given(self, board: Any) -> str:
        return type(board).__name__

    def secret(self) -> str:
        return "out of reach"


class Board(pb.Viewable):
    def view_who(self, perspective: User, *args: Any, **kwargs: Any) -> Any:
        return perspective.name, args, kwargs

    def view_self(self, perspective: User) -> Board:
        return self


class Sheet(pb.Copyable):
    def get_state_to_copy_for(self, perspective: User | None) -> dict[str, Any]:
        return {"reader": perspective.name if perspective else None}


class SheetCopy(pb.RemoteCopy):
    reader: str


REGISTRY = pb.Registry()
REGISTRY.register(SheetCopy, Sheet)


class Hall(Gate):
    """A realm that notes who came and who left."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[str] = []
        self.left_by: list[str] = []
        self.users: dict[str, User] = {}

    def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        self.came.append(avatar_id)
        user = User(avatar_id or "nobody", mind)
        return user, lambda: self.left_by.append(avatar_id)


class SharingHall(Hall):
    """A realm where every login of a name shares one avatar."""

    def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        self.came.append(avatar_id)
        user = self.users.setdefault(avatar_id, User(avatar_id, mind))
        return user, lambda: self.left_by.append(avatar_id)


class Challenging:
    """Keeps no keys: everybody answers a challenge."""

    credentials = (PasswordChallenge,)

    def __init__(self, passwords: dict[str, str]) -> None:
        self._passwords = pb.InMemoryPasswords(passwords)

    def check(self, credentials: PasswordChallenge) -> Any:
        return self._passwords.check(credentials)


class SlowPasswords(Challenging):
    """Checks nothing before it is told to."""

    def __init__(self, passwords: dict[str, str]) -> None:
        super().__init__(passwords)
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()

    async def check(self, credentials: PasswordChallenge) -> Any:
        self.asked.set()
        await self.opened.wait()
        return super().check(credentials)


def portal(hall: Any, *checkers: pb.Checker, **options: Any) -> pb.Portal:
    return pb.Portal(hall, checkers or [pb.InMemoryPasswords({"alice": "secret", "bob": "hidden"})], **options)


async def released(served: pb.Connection) -> None:
    """Return once the server has heard of everything that was dropped."""
    gc.collect()
    while len(served.broker.books.exports):
        await turns(1)
