"""The types of what `import pellucid` shows, as type checkers see them: nothing here is run."""

from __future__ import annotations

import asyncio
import datetime
import enum
from collections.abc import Awaitable, Callable, Set
from dataclasses import dataclass
from typing import Any, assert_type

import pellucid as pb


class Echoer(pb.Root):
    async def remote_echo(self, text: str) -> str:
        return text

    @pb.in_thread
    def remote_slow(self, count: int) -> str:
        return "." * count


@pb.copyable
@dataclass(frozen=True)
class Quote:
    text: str
    price: float = 0.0


@pb.copyable(tag="shop.Colour")
class Colour(enum.Enum):
    RED = 1


async def serving_and_connecting() -> None:
    server = pb.serve(Echoer(), "pb://127.0.0.1:0", limits=pb.Limits(nesting=5), policy=pb.Policy())
    assert_type(server, pb.Server)
    async with server as entered:
        assert_type(entered, pb.Server)
        assert_type(entered.urls, tuple[str, ...])
        assert_type(entered.connections, Set[pb.Connection])
        assert_type(entered.usage, dict[str, pb.Usage])
    assert_type(await pb.serve(lambda connection: Echoer(), "pb://"), pb.Server)
    assert_type(await pb.connect("pb://"), pb.Connection)
    async with pb.connect("pb://", dialects=["pb"], sharing="graph") as connection:
        assert_type(connection, pb.Connection)
        assert_type(connection.root, pb.RemoteReference)
        assert_type(await connection.login(pb.credentials.Password("alice", "secret")), pb.RemoteReference)
        assert_type(connection.usage["nesting"].used, int)
    pb.connect("pb://", sharing="wood")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pb.connect(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    pb.serve(5, "pb://")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def references_and_calls(root: pb.RemoteReference) -> None:
    call = root.call("echo", "hi", loudly=True)
    assert_type(call, pb.Call)
    assert_type(await call, Any)
    assert_type(call.call("more"), pb.Call)
    assert_type(call.done, bool)
    assert_type(call.cancel(), None)
    assert_type(root.call_with(timeout=2.0, one_way=True).call("echo"), pb.Call)
    assert_type(root.prepare("echo", 5), pb.Prepared)
    assert_type(pb.gather(root.prepare("echo"), timeout=5.0), pb.Call)
    assert_type(root.alive, bool)
    assert_type(root.notify_on_disconnect(print), Callable[[], None])
    async with root as entered:
        assert_type(entered, pb.RemoteReference)
    assert_type(await asyncio.wait_for(call, 5), Any)
    root.call(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    root.call_with(timeout="5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    root.echo("hi")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def methods(echoer: Echoer) -> None:
    assert_type(echoer.remote_slow(5), Awaitable[str])
    assert_type(pb.current_call(), pb.CurrentCall)
    assert_type(pb.current_call().remaining, float | None)
    echoer.remote_slow("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def copies(registry: pb.Registry) -> None:
    quote = Quote("to be", price=5)
    assert_type(quote, Quote)
    assert_type(quote.price, float)
    assert_type(Colour(1), Colour)
    Quote(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    quote.price = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]

    @pb.copyable(registry=registry)
    @dataclass
    class Other:
        count: int

    assert_type(Other(5).count, int)


def facets(echoer: Echoer) -> None:
    def audit(use: pb.FacetUse) -> None:
        assert_type(use.method, str)
        assert_type(use.refusal, Exception | None)

    facet = pb.facet(echoer, methods=["echo"], until=datetime.timedelta(hours=1), audit=audit)
    assert_type(facet, pb.Facet)
    assert_type(facet.revoked, bool)
    assert_type(facet.revoke(), None)
    pb.facet("echoer")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Realm:
    async def request_avatar(self, avatar_id: str, mind: object) -> object:
        return Echoer()


def logins(realm: Realm) -> None:
    portal = pb.Portal(realm, [pb.InMemoryPasswords({"alice": "secret"}), pb.AllowAnonymous()])
    assert_type(portal, pb.Portal)
    checked: pb.Checker = pb.AllowAnonymous()
    anonymous: str = pb.ANONYMOUS
    assert_type(pb.credentials.Password(anonymous, "").username, str)
    pb.serve(portal, "pbs://")
    pb.Portal("realm", [checked])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def paging(root: pb.RemoteReference) -> None:
    assert_type(await pb.get_all_pages(root, "pages", limit=5), list[Any])
    assert_type(await pb.send_pages(root, b"data"), None)
    assert_type(await pb.PageCollector().pages(), list[Any])


def others() -> None:
    async def main() -> int:
        return 5

    assert_type(pb.run(main()), int)
    assert_type(pb.Limits().before_login(), pb.Limits)
    assert_type(pb.Limits().nesting, int)
    assert_type(pb.DEFAULT_REGISTRY, pb.Registry)
    pb.Limits(nested=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def errors(error: Exception) -> None:
    match error:
        case pb.RemoteError():
            assert_type(error.remote_type, str)
            assert_type(error.remote_traceback, str | None)
        case pb.PBConnectionLost():
            assert_type(error.sent, bool)
        case pb.LimitExceeded():
            assert_type(error.limit, str)
        case _:
            pass
