from __future__ import annotations

from typing import Any

import pytest

from pellucid.auth.challenge import password_digest, respond
from pellucid.auth.credentials import Bearer, Password, PasswordChallenge, PlainPassword

CHALLENGE = bytes(range(16))


def answered(password: str) -> PasswordChallenge:
    return PasswordChallenge("alice", CHALLENGE, respond(CHALLENGE, password))


@pytest.mark.parametrize("password", ["secret", b"secret"], ids=["text", "bytes"])
def test_the_right_password_matches_as_text_and_as_bytes(password: str | bytes) -> None:
    assert answered("secret").matches(password)


def test_another_password_does_not_match() -> None:
    assert not answered("secret").matches("Secret")


def test_the_digest_of_the_right_password_matches() -> None:
    assert answered("secret").matches_md5(password_digest("secret"))
    assert not answered("secret").matches_md5(password_digest("Secret"))


def test_a_response_to_another_challenge_does_not_match() -> None:
    assert not PasswordChallenge("alice", bytes(16), respond(CHALLENGE, "secret")).matches("secret")


@pytest.mark.parametrize("response", [b"", b"x", bytes(16), bytes(1000)])
def test_a_response_of_any_length_is_merely_wrong(response: bytes) -> None:
    assert not PasswordChallenge("alice", CHALLENGE, response).matches("secret")


def test_the_repr_of_credentials_shows_whose_they_are_and_no_secret() -> None:
    assert repr(Password("alice", "secret")) == "Password(username='alice')"
    assert repr(answered("secret")) == "PasswordChallenge(username='alice')"


@pytest.mark.parametrize("kind", [Password, PlainPassword])
def test_names_and_passwords_are_text_and_who_has_bytes_is_told_so(kind: Any) -> None:
    with pytest.raises(TypeError, match="a username is text, not bytes: decode it"):
        kind(b"alice", "secret")
    with pytest.raises(TypeError, match="a password is text, not bytes: decode it"):
        kind("alice", b"secret")
    with pytest.raises(TypeError, match=r"a password is text, not NoneType$"):
        kind("alice", None)


def test_a_token_is_text() -> None:
    with pytest.raises(TypeError, match="a token is text, not bytes: decode it"):
        Bearer(b"secret")  # type: ignore[arg-type]
