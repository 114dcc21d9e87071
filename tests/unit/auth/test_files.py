from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.auth.challenge import respond
from pellucid.auth.credentials import PasswordChallenge
from pellucid.auth.files import PasswordFile, User, Users, make_user, read_users, written
from pellucid.auth.keys import ScramKeys
from pellucid.errors import UnauthorizedLogin

SECRET, SALT = bytes(range(32)), bytes(range(16))
ALICE = make_user("alice", "secret", SALT, 4096)
BOB = make_user("bob", "hidden", SALT, 4096, with_md5=True)
CHALLENGE = bytes(16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    put(path, {"alice": ALICE, "bob": BOB})
    return path


def put(path: Path, users: dict[str, User], secret: bytes = SECRET) -> None:
    new = path.with_name("new")
    new.write_text(written(Users(secret, users)), encoding="utf-8")
    new.replace(path)


def answered(username: str, password: str) -> PasswordChallenge:
    return PasswordChallenge(username, CHALLENGE, respond(CHALLENGE, password))


# What is in a file.


def test_a_file_is_read_as_its_description_says(tmp_path: Path) -> None:
    path = tmp_path / "users"
    keys, digest = ALICE.keys.to_text(), "00112233445566778899aabbccddeeff"
    path.write_text(
        f"#secret\tAAECAwQFBgcICQoLDA0ODw==\n# a comment\n\nalice\t{keys}\nbøb smith\t{keys}\tmd5:{digest}\n",
        encoding="utf-8",
    )
    assert read_users(path) == Users(SALT, {"alice": ALICE, "bøb smith": User(ALICE.keys, bytes.fromhex(digest))})


def test_no_password_is_in_a_file_nor_an_md5_digest_that_was_not_asked_for(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "secret\n" not in text
    assert "hidden" not in text
    assert [line.split("\t")[0] for line in text.splitlines() if "md5:" in line] == ["bob"]


NAMES = st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(lambda name: not name.startswith("#"))
KEYS = st.builds(
    ScramKeys,
    st.binary(min_size=12, max_size=32),
    st.integers(4096, 10**6),
    *[st.binary(min_size=32, max_size=32)] * 2,
)
MD5 = st.none() | st.binary(min_size=16, max_size=16)


@given(st.binary(min_size=16), st.dictionaries(NAMES, st.builds(User, KEYS, MD5)))
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, secret: bytes, users: dict[str, User]
) -> None:
    path = tmp_path_factory.mktemp("files") / "users"
    path.write_text(written(Users(secret, users)), encoding="utf-8")
    assert read_users(path) == Users(secret, users)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("alice", "a line is"),
        ("alice\t", "keys are written"),
        ("\tkeys", "a line is"),
        ("alice\tsecret", "keys are written"),
        (f"alice\t{ALICE.keys.to_text()}\tsecret", "a line is"),
        (f"alice\t{ALICE.keys.to_text()}\tmd5:00", "a line is"),
        (f"alice\t{ALICE.keys.to_text()}\tmd5:" + "x" * 32, "hex"),
        (f"alice\t{ALICE.keys.to_text()}\r", "keys are written"),
        (f"bob\t{ALICE.keys.to_text()}", "user of this name"),
        ("#secret\tAAAA", "16 bytes"),
    ],
)
def test_a_line_that_is_none_is_named_and_not_shown(path: Path, line: str, problem: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
    with pytest.raises(ValueError, match=problem) as caught:
        read_users(path)
    assert "line 4" in str(caught.value)
    assert "THoPho" not in str(caught.value)


def test_a_file_without_a_secret_is_a_value_error(path: Path) -> None:
    path.write_text(f"alice\t{ALICE.keys.to_text()}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"pellucid\.passwords"):
        PasswordFile(path)


@pytest.mark.parametrize("username", ["#alice", "a\tb", "a\nb", "", "\ud800"])
def test_a_name_that_a_file_has_no_room_for_is_a_value_error(username: str) -> None:
    with pytest.raises(ValueError, match="username"):
        make_user(username, "secret", SALT, 4096)


# Checking.


def test_a_checker_has_the_keys_of_those_in_the_file(path: Path) -> None:
    checker = PasswordFile(path)
    assert [checker.scram_keys(name) for name in ("alice", "bob", "mallory")] == [ALICE.keys, BOB.keys, None]


def test_md5_is_for_those_who_have_a_digest_where_it_was_asked_for(path: Path) -> None:
    assert PasswordFile(path).credentials == ()
    checker = PasswordFile(path, md5=True)
    assert checker.credentials == (PasswordChallenge,)
    assert checker.check(answered("bob", "hidden")) == "bob"
    for credentials in answered("bob", "wrong"), answered("alice", "secret"), answered("mallory", "hidden"):
        with pytest.raises(UnauthorizedLogin, match=r"^wrong username or password$"):
            checker.check(credentials)


@pytest.mark.parametrize("username", ["alice", "bob", "mallory"])
def test_the_same_work_is_done_for_all(path: Path, username: str) -> None:
    compared: list[bytes] = []

    class Watched(PasswordChallenge):
        def matches_md5(self, digest: bytes) -> bool:
            compared.append(digest)
            return True

    checker = PasswordFile(path, md5=True)
    if username == "bob":
        assert checker.check(Watched(username, CHALLENGE, b"")) == "bob"
    else:
        with pytest.raises(UnauthorizedLogin):
            checker.check(Watched(username, CHALLENGE, b""))
    assert [len(digest) for digest in compared] == [16]


def test_a_file_that_was_replaced_is_read_again(path: Path) -> None:
    checker = PasswordFile(path, md5=True)
    put(path, {"carol": ALICE})
    assert checker.scram_keys("carol") == ALICE.keys
    assert checker.scram_keys("bob") is None
    put(path, {"bob": BOB})
    assert checker.check(answered("bob", "hidden")) == "bob"


def test_a_file_that_was_not_changed_is_not_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checker = PasswordFile(path)

    def read(self: Path) -> bytes:
        raise AssertionError("it is read")

    monkeypatch.setattr(Path, "read_bytes", read)
    assert checker.scram_keys("alice") == ALICE.keys


@pytest.mark.parametrize("content", ["rubbish\n", None], ids=["malformed", "gone"])
def test_nobody_logs_in_by_a_file_that_can_not_be_used_and_strangers_are_not_told_of_it(
    path: Path, content: str | None
) -> None:
    checker = PasswordFile(path, md5=True)
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    for ask in (lambda: checker.scram_keys("alice"), lambda: checker.check(answered("bob", "hidden"))):
        with pytest.raises(RuntimeError) as caught:
            ask()
        assert str(caught.value) == "the server's file of passwords can't be used"
        assert isinstance(caught.value.__cause__, OSError | ValueError)
    put(path, {"alice": ALICE})
    assert checker.scram_keys("alice") == ALICE.keys


def test_users_who_do_not_exist_have_the_same_salt_after_a_restart(path: Path) -> None:
    decoys = [PasswordFile(path).decoys.keys_for("mallory") for _ in range(2)]
    put(path, {"alice": ALICE, "carol": BOB})
    assert [*decoys, PasswordFile(path).decoys.keys_for("mallory")] == [decoys[0]] * 3
    assert decoys[0].iterations == 4096
