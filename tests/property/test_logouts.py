"""Whatever happens to logins, each that was granted is logged out exactly once, and no other."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as pb
from pellucid.auth.credentials import Anonymous, Password, PlainPassword
from tests.dialects import each_dialect
from tests.unit.asyncio.door import HERE, outcome, run, turns

pytestmark = each_dialect

CREDENTIALS = [Anonymous(), Password("alice", "secret"), PlainPassword("alice", "secret"), Password("alice", "wrong")]


class User:
    def perspective_hold(self, other: Any) -> None:
        """Take a reference, for nothing."""


class Realm:
    """Grants logins at once, later or not at all, as it is told, and notes which were granted, and which have ended."""

    def __init__(self) -> None:
        self.behaviour = "at once"
        self.opened = asyncio.Event()
        self.shared = User()
        self.granted: list[int] = []
        self.ended: list[int] = []

    def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        match self.behaviour:
            case "later":
                return self._grant_later()
            case "never":
                raise ZeroDivisionError
            case "nothing":
                return None
            case _:
                return self._grant()

    def _grant(self) -> Any:
        number = len(self.granted)
        self.granted.append(number)
        return self.shared if self.behaviour == "shared" else User(), lambda: self._end(number)

    async def _grant_later(self) -> Any:
        await self.opened.wait()
        return self._grant()

    def _end(self, number: int) -> None:
        self.ended.append(number)
        if number % 5 == 4:
            raise ZeroDivisionError  # which stops no other


class Story:
    """A server, a client, and what becomes of its logins."""

    def __init__(self, realm: Realm, client: pb.Connection, served: pb.Connection) -> None:
        self.realm = realm
        self.client = client
        self.served = served
        self.avatars: list[Any] = []
        self.waiting: list[asyncio.Future[Any]] = []

    async def step(self, name: str, number: int) -> None:
        """Have something happen; where that can't be any more, nothing does."""
        try:
            await getattr(self, name)(number)
        except (pb.DeadReferenceError, pb.PBConnectionLost):
            assert self.client.is_closed

    async def log_in(self, number: int) -> None:
        await self._waited(asyncio.ensure_future(self.client.login(CREDENTIALS[number % len(CREDENTIALS)])))

    async def log_in_and_give_up(self, number: int) -> None:
        login = asyncio.ensure_future(self.client.login(CREDENTIALS[number % len(CREDENTIALS)]))
        await turns(number)
        login.cancel()
        await asyncio.wait([login])

    async def call_once(self, number: int) -> None:
        options: Any = [{"one_way": True}, {"timeout": 0.0005}, {"timeout": 10}][number % 3]
        call = self.client.root.call_with(**options).call("loginAnonymous", None)
        await self._waited(asyncio.ensure_future(call))

    async def call_together(self, number: int) -> None:
        prepared = [self.client.root.prepare("loginAnonymous", None) for _ in range(number % 4 + 1)]
        odd = [self.client.root.prepare("mechanisms")] if number % 2 else []
        await self._waited(asyncio.ensure_future(pb.gather(*prepared, *odd, return_exceptions=True)))

    async def call_ahead(self, number: int) -> None:
        await self._waited(asyncio.ensure_future(self.client.root.call("loginAnonymous", None).call("hold", None)))

    async def drop(self, number: int) -> None:
        del self.avatars[number % 3 :: 2]
        await turns(number)

    async def release(self, number: int) -> None:
        avatar = self.avatars.pop() if self.avatars else None
        for one in avatar if isinstance(avatar, list) else [avatar]:
            if isinstance(one, pb.RemoteReference) and one.alive:
                one.release()

    async def behave(self, number: int) -> None:
        self.realm.behaviour = ["at once", "later", "shared", "never", "nothing"][number % 5]

    async def open(self, number: int) -> None:
        self.realm.opened.set()
        await turns(number)
        self.realm.opened.clear()

    async def leave(self, number: int) -> None:
        match number % 3:
            case 0:
                await self.client.close()
            case 1:
                self.client.abort("a test")
            case _:
                self.served.abort("a test")

    async def _waited(self, future: asyncio.Future[Any]) -> None:
        """What became of a login, as far as that is not up to the gate."""
        self.waiting.append(future)
        if self.realm.behaviour != "later":
            self.avatars.append(await outcome(future))


STEPS = [name for name in vars(Story) if not name.startswith("_") and name != "step"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 12)), max_size=12),
    st.sampled_from(["cancel", "finish"]),
    st.sampled_from([3, 100_000]),
)
def test_each_login_that_is_granted_ends_once(
    steps: list[tuple[str, int]], on_disconnect: Any, references: int
) -> None:
    async def story() -> None:
        realm = Realm()
        checkers: list[pb.Checker] = [pb.AllowAnonymous(), pb.InMemoryPasswords({"alice": "secret"})]
        limits = pb.Limits(references_exported=references)
        guarded = pb.Portal(realm, checkers, throttle=pb.LoginThrottle(by_peer=1000, by_user=1000))
        options: Any = {"limits": limits, "limits_before_login": limits, "on_disconnect": on_disconnect}
        async with pb.serve(guarded, HERE, **options) as server:
            async with pb.connect(server.urls[0]) as client:
                (served,) = server.connections
                await served.ready
                told = Story(realm, client, served)
                for name, number in steps:
                    await told.step(name, number)
                    assert len({*realm.ended}) == len(realm.ended)
                    assert {*realm.ended} <= {*realm.granted}
            realm.opened.set()
            await asyncio.gather(*(outcome(future) for future in told.waiting))
            await served.wait_closed()
            while {*realm.ended} != {*realm.granted}:  # those that were granted when the client was gone
                await turns(1)
        assert sorted(realm.ended) == realm.granted

    run(story())
