from __future__ import annotations

import pytest

from pellucid.auth.challenge import respond
from pellucid.auth.checkers import ANONYMOUS, AllowAnonymous, Checker, InMemoryPasswords
from pellucid.auth.credentials import Anonymous, PasswordChallenge
from pellucid.errors import UnauthorizedLogin

CHALLENGE = bytes(range(16))


def answered(username: str, password: str) -> PasswordChallenge:
    return PasswordChallenge(username, CHALLENGE, respond(CHALLENGE, password))


def test_the_ready_made_checkers_are_checkers() -> None:
    checkers: list[Checker] = [AllowAnonymous(), InMemoryPasswords({})]
    assert [checker.credentials for checker in checkers] == [(Anonymous,), (PasswordChallenge,)]


def test_whoever_gives_no_name_is_anonymous() -> None:
    assert AllowAnonymous().check(Anonymous()) == ANONYMOUS


def test_whoever_knows_the_password_is_that_user() -> None:
    checker = InMemoryPasswords({"alice": "secret", "bob": "hunter2"})
    assert checker.check(answered("alice", "secret")) == "alice"
    assert checker.check(answered("bob", "hunter2")) == "bob"


@pytest.mark.parametrize(("username", "password"), [("alice", "hunter2"), ("alice", ""), ("Alice", "secret")])
def test_a_password_opens_only_its_own_user(username: str, password: str) -> None:
    checker = InMemoryPasswords({"alice": "secret", "bob": "hunter2"})
    with pytest.raises(UnauthorizedLogin):
        checker.check(answered(username, password))


def test_a_user_with_an_empty_password_still_has_a_password() -> None:
    checker = InMemoryPasswords({"alice": ""})
    assert checker.check(answered("alice", "")) == "alice"
    with pytest.raises(UnauthorizedLogin):
        checker.check(answered("alice", "secret"))


def test_an_unknown_user_gets_the_same_answer_as_a_wrong_password() -> None:
    checker = InMemoryPasswords({"alice": "secret"})
    with pytest.raises(UnauthorizedLogin) as wrong:
        checker.check(answered("alice", "wrong"))
    with pytest.raises(UnauthorizedLogin) as unknown:
        checker.check(answered("mallory", "wrong"))
    assert str(wrong.value) == str(unknown.value)


@pytest.mark.parametrize("username", ["alice", "mallory"])
def test_the_same_work_is_done_whether_or_not_the_user_exists(username: str) -> None:
    compared: list[bytes] = []

    class Watched(PasswordChallenge):
        def matches_md5(self, digest: bytes) -> bool:
            compared.append(digest)
            return super().matches_md5(digest)

    with pytest.raises(UnauthorizedLogin):
        InMemoryPasswords({"alice": "secret"}).check(Watched(username, CHALLENGE, bytes(16)))
    assert [len(digest) for digest in compared] == [16]


def test_an_unknown_user_is_refused_whatever_the_response() -> None:
    class Forged(PasswordChallenge):
        def matches_md5(self, digest: bytes) -> bool:
            return True

    with pytest.raises(UnauthorizedLogin):
        InMemoryPasswords({"alice": "secret"}).check(Forged("mallory", CHALLENGE, b""))


def test_a_change_of_the_mapping_does_not_reach_the_checker() -> None:
    passwords = {"alice": "secret"}
    checker = InMemoryPasswords(passwords)
    passwords["mallory"] = "secret"
    with pytest.raises(UnauthorizedLogin):
        checker.check(answered("mallory", "secret"))


def test_no_user_may_have_the_name_that_means_nobody() -> None:
    with pytest.raises(ValueError, match="anonymous"):
        InMemoryPasswords({ANONYMOUS: "secret"})
