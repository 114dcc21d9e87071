from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pellucid.auth.checkers import ANONYMOUS, AllowAnonymous, InMemoryPasswords
from pellucid.auth.credentials import Anonymous, Password, PasswordChallenge
from pellucid.auth.portal import Portal
from pellucid.errors import UnauthorizedLogin, UnhandledCredentials
from tests.unit.auth.coroutines import run


class Granting:
    """A realm that grants what it was made with, and remembers what it was asked."""

    def __init__(self, granted: object) -> None:
        self.granted = granted
        self.asked: list[tuple[str, object]] = []

    def request_avatar(self, avatar_id: str, mind: object) -> object:
        self.asked.append((avatar_id, mind))
        return self.granted


class AlwaysSays:
    """A checker of anonymous logins with one answer for all."""

    credentials = (Anonymous,)

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def check(self, credentials: Anonymous) -> Any:
        return self.answer


async def soon(value: str) -> str:
    return value


def test_the_realm_is_asked_for_the_avatar_that_the_checker_named() -> None:
    avatar, mind = object(), object()
    realm = Granting(avatar)
    login = run(Portal(realm, [AlwaysSays("alice")]).login(Anonymous(), mind))
    assert login.avatar is avatar
    assert realm.asked == [("alice", mind)]


def test_an_avatar_alone_has_nothing_to_do_at_logout() -> None:
    login = run(Portal(Granting("avatar"), [AllowAnonymous()]).login(Anonymous(), None))
    assert login.logout() is None


def test_a_realm_may_pair_the_avatar_with_what_to_call_at_logout() -> None:
    ended: list[str] = []
    realm = Granting(("avatar", lambda: ended.append("logged out")))
    login = run(Portal(realm, [AllowAnonymous()]).login(Anonymous(), None))
    assert (login.avatar, ended) == ("avatar", [])
    login.logout()
    assert ended == ["logged out"]


def test_a_checker_and_a_realm_may_be_coroutine_functions() -> None:
    realm = Granting(soon("avatar"))
    assert run(Portal(realm, [AlwaysSays(soon("alice"))]).login(Anonymous(), None)).avatar == "avatar"
    assert realm.asked == [("alice", None)]


def test_an_anonymous_login_reaches_the_realm_as_anonymous() -> None:
    realm = Granting("avatar")
    run(Portal(realm, [AllowAnonymous()]).login(Anonymous(), None))
    assert realm.asked == [(ANONYMOUS, None)]


def test_credentials_go_to_the_checker_of_their_kind() -> None:
    realm = Granting("avatar")
    portal = Portal(realm, [InMemoryPasswords({}), AlwaysSays("guest")])
    run(portal.login(Anonymous(), None))
    assert realm.asked == [("guest", None)]


def test_when_two_checkers_take_a_kind_the_first_decides() -> None:
    realm = Granting("avatar")
    run(Portal(realm, [AlwaysSays("first"), AlwaysSays("second")]).login(Anonymous(), None))
    assert realm.asked == [("first", None)]


def test_refused_credentials_never_reach_the_realm() -> None:
    realm = Granting("avatar")
    with pytest.raises(UnauthorizedLogin):
        run(Portal(realm, [InMemoryPasswords({})]).login(PasswordChallenge("alice", b"", b""), None))
    assert realm.asked == []


def test_credentials_that_no_checker_takes_are_refused_by_kind_and_without_their_content() -> None:
    portal = Portal(Granting("avatar"), [AllowAnonymous(), InMemoryPasswords({})])
    with pytest.raises(UnhandledCredentials) as caught:
        run(portal.login(Password("alice", "secret"), None))
    assert str(caught.value) == "no checker here takes Password, only Anonymous, PasswordChallenge"


def test_checkers_are_several_and_who_hands_in_one_is_told_so() -> None:
    with pytest.raises(TypeError, match="checkers are several, and AllowAnonymous is one"):
        Portal(Granting("avatar"), AllowAnonymous())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("realm", "checkers", "problem"),
    [
        (object(), [AllowAnonymous()], "a realm has a method request_avatar, and object has none"),
        (Granting("avatar"), [object()], "a checker has a method check or scram_keys, and object has none"),
        (Granting("avatar"), {"alice": "secret"}, "a checker has a method check or scram_keys, and str has none"),
    ],
)
def test_what_is_no_realm_or_no_checker_is_refused_at_once(realm: Any, checkers: Any, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        Portal(realm, checkers)


def test_a_portal_without_checkers_lets_nobody_in() -> None:
    with pytest.raises(UnhandledCredentials, match="nothing at all"):
        run(Portal(Granting("avatar"), []).login(Anonymous(), None))


@pytest.mark.parametrize("answer", [None, False, True, b"alice", ()])
def test_a_checker_that_does_not_give_an_avatar_id_lets_nobody_in(answer: object) -> None:
    realm = Granting("avatar")
    with pytest.raises(TypeError, match="to refuse credentials, raise UnauthorizedLogin"):
        run(Portal(realm, [AlwaysSays(answer)]).login(Anonymous(), None))
    assert realm.asked == []


def nothing() -> None: ...


@pytest.mark.parametrize(
    "granted",
    [None, (), ("avatar",), (None, nothing), ("avatar", None), ("interface", "avatar", nothing)],
    ids=["None", "empty", "avatar alone", "no avatar", "no logout", "as in cred"],
)
def test_a_realm_is_told_what_it_should_have_returned(granted: object) -> None:
    with pytest.raises(TypeError, match="an avatar, or a pair of it and a function to call at logout"):
        run(Portal(Granting(granted), [AllowAnonymous()]).login(Anonymous(), None))


def test_a_list_is_an_avatar_like_any_other() -> None:
    pair: list[str | Callable[[], None]] = ["avatar", nothing]
    assert run(Portal(Granting(pair), [AllowAnonymous()]).login(Anonymous(), None)).avatar is pair
