"""Logging in through the door: who gets in, what they act through, and when their login ends."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid.auth.challenge import respond
from pellucid.auth.credentials import Anonymous, Password, PasswordChallenge
from pellucid.errors import PBConnectionLost, ProtocolError, UnauthorizedLogin, UnhandledCredentials
from tests.unit.asyncio.door import HERE, Gate, RawPeer, call_message, on_each_loop, outcome, pair, turns

ALICE = Password("alice", "secret")


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


class SlowPasswords(pb.InMemoryPasswords):
    """Checks nothing before it is told to."""

    def __init__(self, passwords: dict[str, str]) -> None:
        super().__init__(passwords)
        self.asked = asyncio.Event()
        self.opened = asyncio.Event()

    def check(self, credentials: PasswordChallenge) -> Any:
        return self._check_later(credentials)

    async def _check_later(self, credentials: PasswordChallenge) -> str:
        self.asked.set()
        await self.opened.wait()
        return super().check(credentials)


def portal(hall: Any, *checkers: pb.Checker) -> pb.Portal:
    return pb.Portal(hall, checkers or [pb.InMemoryPasswords({"alice": "secret", "bob": "hidden"})])


async def nobody_left_in(served: pb.Connection) -> None:
    """Return once the server has heard of everything that was dropped."""
    gc.collect()
    while len(served.broker.books.exports):
        await turns(1)


# Who gets in.


@on_each_loop
async def test_the_right_password_gives_an_avatar_that_is_called_through_its_perspective_methods() -> None:
    async with pair(portal(Hall())) as both:
        avatar = await both.client.login(ALICE)
        assert isinstance(avatar, pb.RemoteReference)
        assert await avatar.call("name") == "alice"
        assert await avatar.call("me")
        for name in "secret", "mind", "perspective_name", "__init__":
            assert isinstance(await outcome(avatar.call(name)), pb.NoSuchMethod)


@pytest.mark.parametrize("credentials", [Password("alice", "wrong"), Password("mallory", "secret")])
@on_each_loop
async def test_wrong_credentials_are_unauthorized_and_logged_and_may_be_tried_again(
    credentials: Password, caplog: pytest.LogCaptureFixture
) -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        with pytest.raises(UnauthorizedLogin):
            await both.client.login(credentials)
        (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
        assert both.served.peer in record.getMessage()
        assert "secret" not in record.getMessage()
        assert await (await both.client.login(ALICE)).call("name") == "alice"
    assert hall.came == ["alice"]


@on_each_loop
async def test_nobody_in_particular_gets_in_where_a_checker_lets_them() -> None:
    async with pair(portal(Hall(), pb.AllowAnonymous())) as both:
        avatar = await both.client.login(Anonymous())
        assert await avatar.call("name") == "nobody"


@pytest.mark.parametrize(
    ("checker", "credentials"),
    [(pb.AllowAnonymous(), ALICE), (pb.InMemoryPasswords({}), Anonymous())],
    ids=["password", "anonymous"],
)
@on_each_loop
async def test_credentials_that_no_checker_takes_are_unhandled(checker: pb.Checker, credentials: object) -> None:
    async with pair(portal(Hall(), checker)) as both:
        with pytest.raises(UnhandledCredentials):
            await both.client.login(credentials)


@on_each_loop
async def test_behind_a_portal_nothing_but_logging_in_can_be_called() -> None:
    async with pair(portal(Hall())) as both:
        for name in "name", "echo", "perspective_name", "request_avatar":
            assert isinstance(await outcome(both.client.root.call(name)), pb.NoSuchMethod)


@on_each_loop
async def test_a_root_without_a_portal_has_no_login() -> None:
    async with pair(Gate()) as both:
        assert isinstance(await outcome(both.client.login(ALICE)), pb.NoSuchMethod)


@on_each_loop
async def test_a_login_that_gives_no_reference_is_a_protocol_error() -> None:
    class Impostor(pb.Root):
        def remote_loginAnonymous(self, mind: Any) -> str:  # noqa: N802 - the name on the wire
            return "come in"

    async with pair(Impostor()) as both:
        with pytest.raises(ProtocolError, match="gave a str"):
            await both.client.login(Anonymous())


@on_each_loop
async def test_a_realm_that_fails_is_an_unexpected_error_and_nobody_gets_in(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            raise ZeroDivisionError

    async with pair(portal(Broken())) as both:
        assert isinstance(await outcome(both.client.login(ALICE)), pb.RemoteError)
    assert "ZeroDivisionError" in caplog.text


# What they act through.


@on_each_loop
async def test_the_avatar_can_call_the_mind() -> None:
    async with pair(portal(Hall())) as both:
        mind = Gate()
        avatar = await both.client.login(ALICE, mind)
        assert await avatar.call("greet", "hello") == "hello, alice"


@on_each_loop
async def test_any_value_that_may_cross_can_be_the_mind() -> None:
    hall = Hall()
    minds: list[Any] = []

    class Remembering:
        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            minds.append(mind)
            return hall.request_avatar(avatar_id, mind)

    async with pair(portal(Remembering())) as both:
        for mind in None, "text", [1, {"two": 3}]:
            await both.client.login(ALICE, mind)
    assert minds == [None, "text", [1, {"two": 3}]]


@on_each_loop
async def test_a_viewable_knows_through_whose_eyes_it_is_called() -> None:
    async with pair(portal(Hall())) as both:
        alice = await both.client.login(ALICE)
        bob = await both.client.login(Password("bob", "hidden"))
        boards = await alice.call("board"), await bob.call("board")
        assert [await board.call("who", 1, two=2) for board in boards] == [
            ("alice", (1,), {"two": 2}),
            ("bob", (1,), {"two": 2}),
        ]
        # What a view hands out is seen through the same eyes.
        assert (await (await boards[0].call("self")).call("who"))[0] == "alice"
        assert await alice.call("given", boards[0]) == "Viewpoint"


@on_each_loop
async def test_the_state_of_a_copyable_is_made_for_the_avatar_that_receives_it() -> None:
    class Open(pb.Root):
        def remote_sheet(self) -> Sheet:
            return Sheet()

    async with pair(portal(Hall()), client={"registry": REGISTRY}) as both:
        alice = await both.client.login(ALICE)
        bob = await both.client.login(Password("bob", "hidden"))
        assert [(await avatar.call("sheet")).reader for avatar in (alice, bob)] == ["alice", "bob"]
    async with pair(Open(), client={"registry": REGISTRY}) as both:
        assert (await both.client.root.call("sheet")).reader is None


@on_each_loop
async def test_an_avatar_may_dispatch_in_its_own_way() -> None:
    class Proxy(pb.Avatar):
        def method_for(self, name: str) -> Callable[..., Any]:
            return lambda *args: (name, args)

    class Proxies:
        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            return Proxy()

    async with pair(portal(Proxies())) as both:
        avatar = await both.client.login(ALICE)
        assert await avatar.call("anything", 1) == ("anything", (1,))


# When a login ends: exactly once, on every path.


@on_each_loop
async def test_releasing_the_avatar_logs_out_once() -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        avatar = await both.client.login(ALICE)
        avatar.release()
        await nobody_left_in(both.served)
        assert hall.left_by == ["alice"]
    await turns()
    assert hall.left_by == ["alice"]


@on_each_loop
async def test_dropping_the_avatar_logs_out_once() -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        await both.client.login(ALICE)
        await nobody_left_in(both.served)
        assert hall.left_by == ["alice"]
    await turns()
    assert hall.left_by == ["alice"]


@pytest.mark.parametrize("which", ["client", "served"])
@on_each_loop
async def test_a_disconnect_logs_everyone_out_once_in_the_order_of_notices(which: str) -> None:
    hall = Hall()
    async with pair(portal(hall)) as both:
        both.served.notify_on_disconnect(lambda: hall.left_by.append("first notice"))
        avatars = [await both.client.login(ALICE), await both.client.login(Password("bob", "hidden"))]
        both.served.notify_on_disconnect(lambda: hall.left_by.append("last notice"))
        await getattr(both, which).close()
        await both.served.wait_closed()
        await both.client.wait_closed()
        assert not any(avatar.alive for avatar in avatars)
    assert hall.left_by == ["first notice", "alice", "bob", "last notice"]


@on_each_loop
async def test_logins_that_share_an_avatar_each_log_out() -> None:
    hall = SharingHall()
    async with pair(portal(hall)) as both, pb.connect(both.server.urls[0]) as other:
        first, second = await both.client.login(ALICE), await other.login(ALICE)
        assert await first.call("name") == await second.call("name") == "alice"
        await other.close()
        while hall.left_by != ["alice"]:
            await turns(1)
        assert await first.call("name") == "alice"
    assert hall.left_by == ["alice", "alice"]


@on_each_loop
async def test_two_logins_with_one_avatar_on_one_connection_log_out_when_both_are_released() -> None:
    hall = SharingHall()
    async with pair(portal(hall)) as both:
        avatar, same = await both.client.login(ALICE), await both.client.login(ALICE)
        assert avatar is same
        avatar.release()
        assert await avatar.call("name") == "alice"
        avatar.release()
        await nobody_left_in(both.served)
        assert hall.left_by == ["alice", "alice"]
    assert hall.left_by == ["alice", "alice"]


@on_each_loop
async def test_a_second_login_after_a_logout_is_a_login_of_its_own() -> None:
    hall = SharingHall()
    async with pair(portal(hall)) as both:
        for count in 1, 2:
            avatar = await both.client.login(ALICE)
            avatar.release()
            await nobody_left_in(both.served)
            assert hall.left_by == ["alice"] * count


@on_each_loop
async def test_a_client_that_is_gone_before_its_credentials_were_checked_gets_no_avatar() -> None:
    hall, passwords = Hall(), SlowPasswords({"alice": "secret"})
    async with pair(portal(hall, passwords)) as both:
        login = asyncio.ensure_future(outcome(both.client.login(ALICE)))
        await passwords.asked.wait()
        await both.client.close()
        assert isinstance(await login, PBConnectionLost)
        await both.served.wait_closed()
        passwords.opened.set()
        await turns()
    assert (hall.came, hall.left_by) == ([], [])


@on_each_loop
async def test_a_login_granted_to_a_client_that_is_gone_is_logged_out_at_once() -> None:
    hall, passwords = Hall(), SlowPasswords({"alice": "secret"})
    async with pair(portal(hall, passwords), on_disconnect="finish") as both:
        login = asyncio.ensure_future(outcome(both.client.login(ALICE)))
        await passwords.asked.wait()
        await both.client.close()
        await login
        await both.served.wait_closed()
        passwords.opened.set()
        while not hall.left_by:
            await turns(1)
    assert (hall.came, hall.left_by) == (["alice"], ["alice"])


@on_each_loop
async def test_a_login_whose_answer_could_not_be_sent_is_logged_out() -> None:
    hall = Hall()
    # One reference is the challenger's, who is still held when the avatar is sent.
    async with pair(portal(hall), limits=pb.Limits(references_exported=1)) as both:
        assert isinstance(await outcome(both.client.login(ALICE)), pb.TooManyReferences)
        await turns()
        assert hall.left_by == ["alice"]
    assert hall.left_by == ["alice"]


@on_each_loop
async def test_cancelling_a_login_that_is_granted_after_all_logs_out() -> None:
    hall, passwords = Hall(), SlowPasswords({"alice": "secret"})
    async with pair(portal(hall, passwords)) as both:
        login = asyncio.ensure_future(both.client.login(ALICE))
        await passwords.asked.wait()
        login.cancel()
        await asyncio.wait([login])
        passwords.opened.set()
        while not hall.left_by:
            await turns(1)
    assert (hall.came, hall.left_by) == (["alice"], ["alice"])


@on_each_loop
async def test_a_logout_may_be_async_and_one_that_raises_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Untidy(Hall):
        def request_avatar(self, avatar_id: str, mind: Any) -> Any:
            async def leave_slowly() -> None:
                await turns(3)
                self.left_by.append("slowly")

            def fall() -> None:
                self.left_by.append("falling")
                raise ZeroDivisionError

            return User(avatar_id, mind), {"alice": fall, "bob": leave_slowly}[avatar_id]

    hall = Untidy()
    async with pair(portal(hall)) as both:
        await both.client.login(ALICE)
        avatar = await both.client.login(Password("bob", "hidden"))
        assert await avatar.call("name") == "bob"
        await both.client.close()
        await both.served.wait_closed()
    assert hall.left_by == ["falling", "slowly"]
    assert "ZeroDivisionError" in caplog.text


@on_each_loop
async def test_an_impatient_peer_that_answers_a_challenge_twice_logs_in_once() -> None:
    hall = Hall()
    async with pb.serve(portal(hall), HERE) as server:
        peer = await RawPeer.connect(server.urls[0])
        peer.send(*call_message(1, b"login", b"alice"))
        challenge, (_, challenger) = (await peer.receive())[2][1:]
        response = respond(challenge, "secret")
        for call_id in 2, 3:
            peer.send(*call_message(call_id, b"respond", response, [b"None"], target=challenger))
        answers = [(await peer.receive())[0] for _ in range(2)]
        assert sorted(answers) == [b"answer", b"error"]
        await peer.close()
    assert hall.came == hall.left_by == ["alice"]
