from __future__ import annotations

import hmac
from base64 import b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.auth import keys as module
from pellucid.auth.keys import ITERATIONS, Decoys, ScramKeys, check_username

SALT = bytes(range(16))

# The exchange that RFC 7677 shows: user "user", password "pencil".
FIRST = "n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
PROOF = b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
SIGNATURE = b64decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def made(password: str = "secret", salt: bytes = SALT, iterations: int = 4096) -> ScramKeys:
    return ScramKeys.of_password(password, salt, iterations)


def test_the_keys_are_those_of_the_rfc() -> None:
    keys = made("pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    message = ",".join((FIRST, SERVER_FIRST, FINAL)).encode()
    assert hmac.digest(keys.server_key, message, "sha256") == SIGNATURE
    mask = hmac.digest(keys.stored_key, message, "sha256")
    assert sha256(bytes(a ^ b for a, b in zip(PROOF, mask, strict=True))).digest() == keys.stored_key


def test_keys_match_their_password_and_no_other() -> None:
    assert [made().match(password) for password in ("secret", "Secret", "")] == [True, False, False]


def test_equal_passwords_have_other_keys_with_another_salt() -> None:
    assert made(salt=bytes(16)).stored_key != made().stored_key


def test_a_password_may_be_written_in_more_than_one_way() -> None:
    assert made("I\u00adX\u2168").match("IXIX")  # RFC 4013


@pytest.mark.parametrize("password", ["tab\t", "\ud800", "\U0010ffff", "x" * 1025])
def test_a_password_that_scram_does_not_allow_has_no_keys_and_matches_none(password: str) -> None:
    with pytest.raises(ValueError, match="password"):
        made(password)
    assert not made("").match(password)


@pytest.mark.parametrize("password", ["secret", "wrong", "tab\t", "x" * 100_000])
def test_matching_takes_the_iterations_whatever_the_password(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, asked = made(), []
    mechanism = module.scramp().ScramMechanism
    make = mechanism.make_auth_info

    def counted(self: object, password: str, iterations: int, salt: bytes) -> object:
        result = make(self, password, iterations, salt)
        asked.append(iterations)
        return result

    monkeypatch.setattr(mechanism, "make_auth_info", counted)
    keys.match(password)
    assert asked == [4096]


@pytest.mark.parametrize(("salt", "iterations"), [(bytes(11), 4096), (SALT, 4095), (SALT, 2_000_001)])
def test_too_little_salt_and_too_few_or_many_iterations_are_value_errors(salt: bytes, iterations: int) -> None:
    with pytest.raises(ValueError, match=r"4096|12 bytes|2000000"):
        made(salt=salt, iterations=iterations)
    with pytest.raises(ValueError, match="4096 to 2000000 iterations, and 12 bytes of salt or more"):
        ScramKeys.from_text(ScramKeys(salt, iterations, bytes(32), bytes(32)).to_text())


def test_keys_are_written_as_postgresql_has_them() -> None:
    assert made().to_text() == (
        "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$THoPhoTAuqyoQsK4dUHncUzgfD8fdmhsgKZhWVqNP5U="
        ":7YiHMMi2OcXGRogub03Ek06JRZ9bkhTOdCzHa5iPLiQ="
    )


@given(st.binary(min_size=12, max_size=64), st.integers(4096, 2_000_000), st.binary(min_size=32, max_size=32))
def test_what_was_written_is_read(salt: bytes, iterations: int, key: bytes) -> None:
    keys = ScramKeys(salt, iterations, key, key[::-1])
    assert ScramKeys.from_text(keys.to_text()) == keys


@given(st.text() | st.from_regex(r"SCRAM-SHA-256\$[0-9]*:[A-Za-z0-9=]*\$[A-Za-z0-9=]*:[A-Za-z0-9=]*"))
def test_what_was_not_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="keys"):
        ScramKeys.from_text(text)


def test_the_repr_of_keys_shows_no_key() -> None:
    assert repr(made()) == f"ScramKeys(salt={SALT!r}, iterations=4096)"


# Names.


@pytest.mark.parametrize("username", ["alice", "a,b=c", "bøb", "John Doe", "=2C", "#n="])
def test_a_name_that_arrives_as_it_is_can_be_a_username(username: str) -> None:
    check_username(username)


@pytest.mark.parametrize("username", ["", "a\tb", "a\nb", "a\xadb", "\xaa", "a\xa0b", "\ud800"])
def test_a_name_that_does_not_is_a_value_error(username: str) -> None:
    with pytest.raises(ValueError, match="username"):
        check_username(username)


# Users that don't exist.

REAL = made(), made(iterations=5000), made(salt=bytes(20))


def test_a_user_who_does_not_exist_has_the_same_keys_at_each_asking() -> None:
    decoys = [Decoys(b"s" * 32, REAL).keys_for(name) for name in ("mallory", "mallory", "peggy")]
    assert decoys[0] == decoys[1]
    assert decoys[0] != decoys[2]
    assert Decoys(b"t" * 32, REAL).keys_for("mallory") != decoys[0]


def test_a_decoy_has_the_measures_of_real_keys_all_of_which_occur() -> None:
    decoys = [Decoys(b"s" * 32, REAL).keys_for(str(number)) for number in range(100)]
    measures = {(keys.iterations, len(keys.salt), len(keys.stored_key), len(keys.server_key)) for keys in decoys}
    assert measures == {(4096, 16, 32, 32), (5000, 16, 32, 32), (4096, 20, 32, 32)}


def test_where_there_are_no_users_decoys_look_like_those_that_will_be() -> None:
    keys = Decoys(b"s" * 32).keys_for("alice")
    assert (keys.iterations, len(keys.salt)) == (ITERATIONS, 16)


@given(st.text())
def test_any_name_has_decoys(username: str) -> None:
    assert len({*(getattr(Decoys(bytes(32)).keys_for(username), name) for name in ("stored_key", "server_key"))}) == 2
