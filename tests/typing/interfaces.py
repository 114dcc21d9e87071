"""Interfaces and views, as type checkers see them: nothing here is run.

Each `ignore` is an error that must be reported: mypy and pyright complain of one that is not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic, TypeVar, assert_type, overload

import pellucid as pb

T = TypeVar("T")
Item = TypeVar("Item", covariant=True)


class Account(pb.Interface):
    async def balance(self) -> int: ...


class Bank(pb.Interface):
    """A method needs no body; it may have a docstring."""

    async def open(self, owner: str, *, amount: int = ...) -> Account:
        """Open an account."""
        ...

    async def find(self, owner: str) -> Account | None: ...

    async def all(self) -> list[Account]: ...

    async def transfer(self, amount: int, source: Account, target: Account) -> None: ...

    async def first(self, of: Sequence[T]) -> T: ...

    @overload
    async def get(self, what: int) -> bytes: ...

    @overload
    async def get(self, what: str) -> str: ...


class BigBank(Bank, pb.Interface):
    async def merge(self, *banks: Bank, **names: str) -> bool: ...


class Box(pb.Interface, Generic[Item]):
    async def item(self) -> Item: ...


async def calls(root: pb.RemoteReference) -> None:
    bank = root.as_(Bank)
    assert_type(bank, Bank)
    account = await bank.open("alice", amount=5)
    assert_type(account, Account)
    assert_type(await account.balance(), int)
    assert_type(await bank.find("alice"), Account | None)
    assert_type(await bank.all(), list[Account])
    assert_type(await bank.transfer(5, account, account), None)
    assert_type(await bank.first([1, 2]), int)
    assert_type(await bank.get(5), bytes)
    assert_type(await bank.get("five"), str)


async def errors(root: pb.RemoteReference) -> None:
    bank = root.as_(Bank)
    await bank.open(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await bank.open()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await bank.open("alice", 5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await bank.open("alice", price=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await bank.close()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await bank.transfer(5, "alice", "bob")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (await bank.find("alice")).balance()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess, reportUnusedCoroutine]
    bank.open("bob")  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]
    Bank()  # type: ignore[misc]  # pyright: ignore[reportAbstractUsage]
    root.as_("Bank")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pb.promised("alice")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def interfaces_that_derive_and_generic_ones(root: pb.RemoteReference) -> None:
    big = root.as_(BigBank)
    assert_type(await big.merge(big, name="big"), bool)
    assert_type(await big.open("alice"), Account)
    await big.merge(big, root.as_(Bank))
    await big.merge(root.as_(Account))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await root.as_(Box[int]).item(), int)
    assert_type(await root.as_(Box[Account]).item(), Account)


async def promises_options_and_ways_back(root: pb.RemoteReference) -> None:
    bank = root.call_with(timeout=2.0).as_(Bank)
    assert_type(bank, Bank)
    assert_type(pb.promised(bank.open("alice")), Account)
    assert_type(await pb.promised(bank.open("alice")).balance(), int)
    assert_type(pb.reference_of(bank), pb.RemoteReference)


async def tasks(root: pb.RemoteReference) -> None:
    bank = root.as_(Bank)
    account, data = await asyncio.gather(bank.open("alice"), bank.get(5))
    assert_type(account, Account)
    assert_type(data, bytes)
    async with asyncio.TaskGroup() as group:
        assert_type(group.create_task(bank.all()), asyncio.Task[list[Account]])


class ServedAccount(pb.Referenceable, implements=Account):
    def remote_balance(self) -> int:
        return 5


class Both(pb.Root, implements=(Account, Bank)): ...


class Clerk(pb.Avatar, implements=Account): ...


class Wrong(pb.Root, implements=5): ...  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]


class FakeBank:
    """What an interface is to a program's own tests: a protocol."""

    async def balance(self) -> int:
        return 5


def stand_in() -> Account:
    return FakeBank()


def no_stand_in() -> Bank:
    return FakeBank()  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def descriptions(root: pb.RemoteReference) -> None:
    described = await pb.describe(root.as_(Bank), timeout=1.0)
    assert_type(described, pb.Description)
    assert_type(described.methods, tuple[pb.MethodDescription, ...])
    assert_type(described.methods[0].parameters[0], pb.ParameterDescription)
    assert_type(described.methods[0].parameters[0].annotation, str | None)
    assert_type(pb.interface_source(described, Bank, ServedAccount), str)
    pb.interface_source("Bank")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pb.check_implements(ServedAccount)
    pb.check_implements(ServedAccount, Account)


def what_is_described(described: pb.Described) -> dict[str, Any]:
    return described.remote___describe__()
