"""Logging in, both ways: by password, anonymously, refused; minds, avatars' views, and a logout exactly once."""

from __future__ import annotations

import gc
from typing import Any

import pytest

import pellucid as pb
from tests.interop.harness import Ask, Connect, run
from tests.interop.peers.samples import USERS, describe
from tests.interop.releases import modern
from tests.interop.twin import OutOfStock


class Mind(pb.Referenceable):
    def __init__(self) -> None:
        self.told: list[str] = []

    def remote_tell(self, text: str) -> str:
        self.told.append(text)
        return f"told {text}"


def password(name: str) -> pb.credentials.Password:
    return pb.credentials.Password(name, USERS[name])


# A stock client and a server


def test_a_twisted_client_logs_in_by_password_and_out_by_release(ask_either: Ask, number: int) -> None:
    name = f"user{number}"
    seen = ask_either("login_by_password", name=name)
    error, private = seen.pop("error"), seen.pop("private")
    assert (error["type"], error["value"]) == ("stock_flavors.OutOfStock", "nothing for you")
    assert "builtins.AttributeError" in map(modern, private["parents"])
    assert seen == {
        "who": name,
        "echo": {"a": [1, "two"]},
        "mind": "told hello",
        "told": ["hello"],
        "document": [name, [], {}],
        "letter": f"Letter(reader=str {name}, text=str for an avatar)",
        "logged out": 1,
        "still connected": True,
    }


def test_a_twisted_client_with_bad_credentials_is_refused(ask_either: Ask) -> None:
    seen = ask_either("login_refused")
    assert {name: failure["type"] for name, failure in seen.items()} == {
        "wrong": "twisted.cred.error.UnauthorizedLogin",
        "unknown": "twisted.cred.error.UnauthorizedLogin",
        "no anonymous": "twisted.cred.error.UnhandledCredentials",
    }
    assert seen["wrong"]["value"] == seen["unknown"]["value"]
    assert seen["wrong"]["parents"][1] == "twisted.cred.error.LoginFailed"


def test_a_twisted_client_logs_in_anonymously(ask_either: Ask) -> None:
    assert ask_either("login_anonymously") == ["anonymous", "str just a string"]


def test_a_twisted_client_that_vanishes_is_logged_out_once(ask_either: Ask, number: int) -> None:
    assert ask_either("logout_by_loss", name=f"user{number}") == 1


def test_a_twisted_client_logs_in_twice_over_one_connection(ask_either: Ask) -> None:
    assert ask_either("two_logins") == ["alice", "bob"]


# A pellucid client and the stock server


def test_pellucid_logs_in_by_password_and_out_by_release(connect: Connect, number: int) -> None:
    name = f"user{number}"

    async def scenario() -> None:
        async with connect("portal") as connection, connect("portal") as other:
            mind = Mind()
            avatar = await connection.login(password(name), mind)
            assert await avatar.call("who") == name
            assert await avatar.call("echo", {"a": (1, "two")}) == {"a": (1, "two")}
            assert await avatar.call("call_mind", "tell", "hello") == "told hello"
            assert mind.told == ["hello"]
            assert await (await avatar.call("document")).call("reader") == [name, [], {}]
            assert describe(await avatar.call("letter")) == f"Letter(reader=str {name}, text=str for an avatar)"
            with pytest.raises(OutOfStock, match="nothing for you"):
                await avatar.call("fail")
            with pytest.raises(pb.RemoteError, match="perspective_nothing"):
                await avatar.call("nothing")
            watcher = await other.login(password("bob"))
            del avatar
            gc.collect()
            assert await watcher.call("when", f"logout {name}", 1) == 1
            assert not connection.is_closed

    run(scenario())


@pytest.mark.parametrize(
    ("service", "credentials", "error"),
    [
        ("portal", pb.credentials.Password("alice", "wrong"), pb.UnauthorizedLogin),
        ("portal", pb.credentials.Password("nobody", "wrong"), pb.UnauthorizedLogin),
        ("members", pb.credentials.Anonymous(), pb.UnhandledCredentials),
    ],
    ids=["wrong password", "unknown user", "no anonymous"],
)
def test_pellucid_with_bad_credentials_is_refused_and_may_try_again(
    connect: Connect, service: str, credentials: Any, error: type[Exception]
) -> None:
    async def scenario() -> None:
        async with connect(service) as connection:
            with pytest.raises(error):
                await connection.login(credentials)
            avatar = await connection.login(password("alice"))
            assert await avatar.call("who") == "alice"

    run(scenario())


def test_pellucid_logs_in_anonymously(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect("portal") as connection:
            avatar = await connection.login(pb.credentials.Anonymous(), "just a string")
            assert await avatar.call("who") == "anonymous"
            assert await avatar.call("mind") == "str just a string"

    run(scenario())


def test_pellucid_that_vanishes_is_logged_out_once(connect: Connect, number: int) -> None:
    name = f"user{number}"

    async def scenario() -> None:
        async with connect("portal") as watching:
            watcher = await watching.login(password("bob"))
            async with connect("portal") as connection:
                avatar = await connection.login(password(name), Mind())
                assert await avatar.call("who") == name
                connection.abort("a test")
            assert await watcher.call("when", f"logout {name}", 1) == 1

    run(scenario())


def test_pellucid_logs_in_twice_over_one_connection(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect("portal") as connection:
            avatars = [await connection.login(password(name), Mind()) for name in ("alice", "bob")]
            assert [await avatar.call("who") for avatar in avatars] == ["alice", "bob"]

    run(scenario())


def test_a_login_at_a_server_without_a_portal_fails_with_what_is_missing(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.NoSuchMethod, match="remote_login"):
                await connection.login(password("alice"))

    run(scenario())
