from __future__ import annotations

import pytest

from pellucid.auth.challenge import password_digest, respond, respond_with_digest

CHALLENGE = bytes(range(16))


@pytest.mark.parametrize(
    ("password", "response"),
    [("secret", "8dc4fac7084c226bd62b12a1cd62830a"), ("pässword", "be3cb119d6c8fc8c70e28f178d60a1a4")],
)
def test_the_response_is_the_one_that_twisted_computes(password: str, response: str) -> None:
    assert respond(CHALLENGE, password).hex() == response


def test_a_password_as_text_counts_as_utf_8() -> None:
    assert respond(CHALLENGE, "pässword") == respond(CHALLENGE, "pässword".encode())


def test_the_digest_of_a_password_is_enough_to_compute_the_response() -> None:
    assert respond_with_digest(CHALLENGE, password_digest("secret")) == respond(CHALLENGE, "secret")


def test_another_challenge_has_another_response() -> None:
    assert respond(bytes(16), "secret") != respond(CHALLENGE, "secret")
