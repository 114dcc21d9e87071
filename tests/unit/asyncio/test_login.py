"""Logging in through the door: who gets in, what they act through, and when their login ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

import pellucid as pb
from pellucid.asyncio import login
from pellucid.auth.credentials import Anonymous, Password, PlainPassword
from pellucid.errors import ProtocolError, UnauthorizedLogin, UnhandledCredentials
from tests.dialects import each_dialect
from tests.unit.asyncio.door import Gate, on_each_loop, outcome, pair
from tests.unit.asyncio.hall import ALICE, BOB, REGISTRY, Challenging, Hall, Sheet, portal

pytestmark = each_dialect

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
        assert repr(credentials.username) in record.getMessage()
        assert "secret" not in record.getMessage()
        assert record.__dict__["event"] == "login.refused"
        assert record.__dict__["username"] == credentials.username
        assert await (await both.client.login(ALICE)).call("name") == "alice"
    assert hall.came == ["alice"]


@on_each_loop
async def test_a_login_is_logged_with_the_id_of_the_avatar(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pellucid")
    async with pair(portal(Hall())) as both:
        await both.client.login(ALICE)
        (record,) = (record for record in caplog.records if record.__dict__["event"] == "login.granted")
        assert record.__dict__["avatar_id"] == "alice"
        assert record.getMessage() == f"{both.served.peer} logged in as 'alice'"


@on_each_loop
async def test_a_name_goes_into_the_log_on_one_line_and_not_at_any_length(caplog: pytest.LogCaptureFixture) -> None:
    async with pair(portal(Hall(), Challenging({"alice": "secret"}))) as both:
        await outcome(both.client.login(Password("mallory\nalice logged in" + "!" * 1_000, "x")))
        (record,) = (record for record in caplog.records if record.levelno >= logging.WARNING)
        assert "\n" not in record.getMessage()
        assert len(record.getMessage()) < 300
        assert len(record.__dict__["username"]) < 110


@on_each_loop
async def test_logins_that_failed_too_often_are_not_looked_at_over_whatever_connections(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guarded = portal(
        Hall(), pb.InMemoryPasswords({"alice": "secret"}), throttle=pb.LoginThrottle(by_peer=2, refused_seconds=0.01)
    )
    async with pair(guarded) as both:
        for _ in range(2):
            assert isinstance(await outcome(both.client.login(Password("alice", "wrong"))), UnauthorizedLogin)
        async with pb.connect(both.server.urls[0]) as other:
            error = await outcome(other.login(ALICE))
        assert isinstance(error, pb.TooManyLogins)
        assert error.seconds in (5, 6)
        assert [record.__dict__["event"] for record in caplog.records] == ["login.refused"] * 3


@on_each_loop
async def test_a_client_does_not_answer_a_challenge_where_others_could_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    hall = Hall()
    async with pair(portal(hall, Challenging({"alice": "secret"}), allow_md5=True)) as both:
        monkeypatch.setattr(login, "is_protected", lambda transport: False)
        error = await outcome(both.client.login(ALICE))
        assert isinstance(error, pb.UnprotectedLogin)
        assert "over this connection" in str(error)
        assert await (await both.client.login(ALICE, allow_md5=True)).call("name") == "alice"
    assert hall.came == ["alice"]


@on_each_loop
async def test_a_server_sends_no_challenge_where_others_could_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    async with pair(portal(Hall(), Challenging({"alice": "secret"}))) as both:
        monkeypatch.setattr(login, "is_protected", lambda transport: False)
        error = await outcome(both.client.login(ALICE, allow_md5=True))
        assert isinstance(error, pb.UnprotectedLogin)
        assert "this server" in str(error)


@pytest.mark.parametrize("credentials", [ALICE, PlainPassword("alice", "secret")], ids=["scram", "plain"])
@on_each_loop
async def test_a_client_logs_in_by_the_keys_of_its_password(credentials: object) -> None:
    class Keeping:
        """Keeps keys and no md5 digest."""

        def __init__(self) -> None:
            users = pb.InMemoryPasswords({"alice": "secret"})
            self.decoys, self.scram_keys = users.decoys, users.scram_keys

    hall = Hall()
    async with pair(pb.Portal(hall, [Keeping()])) as both:
        avatar = await both.client.login(credentials)
        assert await avatar.call("name") == "alice"
        for wrong in Password("alice", "wrong"), Password("mallory", "wrong"), PlainPassword("alice", "wrong"):
            error = await outcome(both.client.login(wrong))
            assert (type(error), str(error)) == (UnauthorizedLogin, "wrong username or password")
    assert hall.came == ["alice"]


@on_each_loop
async def test_scram_needs_no_protection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login, "is_protected", lambda transport: False)
    async with pair(portal(Hall())) as both:
        assert await (await both.client.login(ALICE)).call("name") == "alice"
        assert isinstance(await outcome(both.client.login(PlainPassword("alice", "secret"))), pb.UnprotectedLogin)


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
        for credentials in ALICE, Anonymous():
            with pytest.raises(pb.NoSuchMethod, match=r"no login by .*: does it publish a Portal"):
                await both.client.login(credentials)


@on_each_loop
async def test_a_login_that_gives_no_reference_is_a_protocol_error() -> None:
    class Impostor(pb.Root):
        def remote_loginAnonymous(self, mind: Any) -> str:
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
        bob = await both.client.login(BOB)
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
        bob = await both.client.login(BOB)
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
