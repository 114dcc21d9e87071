"""What the tests of the command serve and call: a shop, and a portal of it."""

from __future__ import annotations

import asyncio
import copy
import datetime
import sys
from decimal import Decimal
from typing import Any

import pellucid as pb


class SoldOut(pb.Error):
    """Expected."""


class Basket(pb.Described, pb.Referenceable):
    """What a customer has chosen."""

    def __init__(self) -> None:
        self.things: list[str] = []

    def remote_add(self, thing: str) -> int:
        """Add a thing; how many there are."""
        self.things.append(thing)
        return len(self.things)


class Shop(pb.Described, pb.Root):
    """Sells things."""

    def __init__(self) -> None:
        self.waited = asyncio.Event()
        self.calls = 0
        self.called: set[str] = set()

    def remote_echo(self, *args: Any, **kwargs: Any) -> Any:
        """All that it was given, or the one thing."""
        return args[0] if len(args) == 1 and not kwargs else (args, kwargs)

    def remote_add(self, one: int, other: int = 0) -> int:
        """The sum."""
        return one + other

    def remote_basket(self) -> Basket:
        return Basket()

    def remote_everything(self) -> Any:
        day = datetime.date(2026, 11, 27)
        return {"set": {1, 2}, "day": day, "price": Decimal("1.50"), "raw": b"\x00", "basket": Basket(), "none": None}

    def remote_buy(self) -> None:
        raise SoldOut("nothing is left")

    def remote_divide(self) -> float:
        return 1 / 0

    def remote_colour(self) -> str:
        return "\x1b[31mred\x07"

    async def remote_wait(self) -> None:
        """For ever."""
        self.waited.set()
        await asyncio.get_running_loop().create_future()

    async def remote_until_waited(self) -> None:
        """Until somebody else waits here."""
        await self.waited.wait()

    async def remote_wait_for_a_line(self) -> str:
        """Until the server is given a line."""
        self.waited.set()
        return (await asyncio.to_thread(sys.stdin.readline)).strip()

    def remote_now_and_then(self) -> None:
        """Fails every other time."""
        self.calls += 1
        if self.calls % 2 == 0:
            raise SoldOut("nothing is left")

    def remote_hang_up_later(self) -> None:
        """Not the first time that it is called."""
        if self.is_second("hang_up_later"):
            self.connection.abort("for the test")

    async def remote_wait_later(self) -> None:
        """Not the first time that it is called."""
        if self.is_second("wait_later"):
            await asyncio.get_running_loop().create_future()

    def is_second(self, name: str) -> bool:
        called, self.called = self.called, {*self.called, name}
        return name in called

    def remote_hang_up(self) -> None:
        self.connection.abort("for the test")

    connection: pb.Connection

    def root_object(self, connection: pb.Connection) -> Shop:
        """A shop for each connection; who waits in one is seen in all."""
        shop = copy.copy(self)
        shop.connection = connection
        return shop


class Plain(pb.Root):
    """Tells nothing of itself."""


class Customer(pb.Described, pb.Avatar):
    """Somebody who has logged in."""

    def __init__(self, name: str) -> None:
        self.name = name

    def perspective_whoami(self) -> str:
        return self.name or "nobody"


class Realm:
    def request_avatar(self, avatar_id: str, mind: object) -> Customer:
        return Customer(avatar_id)


portal = pb.Portal(Realm(), [pb.InMemoryPasswords({"alice": "sesame"}), pb.AllowAnonymous()])
shop = Shop()


def shop_of(connection: pb.Connection) -> Shop:
    return shop


async def made_later() -> pb.Portal:
    return portal


def broken() -> Shop:
    raise RuntimeError("there is no shop")


NUMBER = 42
