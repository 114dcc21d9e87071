"""The command that manages a file of passwords."""

from __future__ import annotations

import getpass
import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from pellucid.auth.files import read_users
from pellucid.auth.keys import ITERATIONS
from pellucid.passwords import main


class Terminal:
    """Somebody who types passwords, and what the command says."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self.file = file
        self._monkeypatch = monkeypatch
        self._captured = captured

    def run(self, *arguments: str, types: Iterable[str] = (), stdin: str = "") -> tuple[int, str, str]:
        """The exit status, and what was printed to either stream."""
        answers = iter(types)
        self._monkeypatch.setattr(getpass, "getpass", lambda prompt: next(answers))
        self._monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = main([str(self.file), *arguments])
        assert list(answers) == []
        printed = self._captured.readouterr()
        return status, printed.out, printed.err

    def add(self, *users: str, password: str = "secret") -> None:
        for user in users:
            assert self.run("add", user, "--stdin", "--iterations", "4096", stdin=f"{password}\n") == (0, "", "")


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(tmp_path / "users", monkeypatch, capsys)


def test_a_user_is_added_with_a_password_that_is_typed_twice(terminal: Terminal) -> None:
    assert terminal.run("add", "alice", types=["secret", "secret"]) == (0, "", "")
    keys = read_users(terminal.file).by_name["alice"].keys
    assert keys.match("secret")
    assert keys.iterations == ITERATIONS == 600_000


def test_without_a_terminal_and_a_password_it_says_what_to_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid.passwords", str(tmp_path / "users"), "add", "alice"]
    # A session of its own has no terminal, even where the suite has one.
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, start_new_session=True, check=False
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert ended.stderr.endswith("no password was typed; --stdin reads one from a pipe or a file\n")


def test_who_types_no_password_but_ctrl_c_changes_nothing(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(getpass, "getpass", interrupted)
    assert main([str(terminal.file), "add", "alice"]) == 130
    assert capsys.readouterr() == ("", "\n")
    assert not terminal.file.exists()


def test_a_password_that_is_typed_in_two_ways_changes_nothing(terminal: Terminal) -> None:
    status, _, error = terminal.run("add", "alice", types=["secret", "Secret"])
    assert (status, error) == (1, "the two are not the same; nothing was changed\n")
    assert not terminal.file.exists()


@pytest.mark.parametrize("stdin", ["secret\n", "secret\r\n", "secret", "secret\nanother\n"])
def test_a_password_may_come_from_standard_input(terminal: Terminal, stdin: str) -> None:
    assert terminal.run("add", "alice", "--stdin", "--iterations", "4096", stdin=stdin)[0] == 0
    assert read_users(terminal.file).by_name["alice"].keys.match("secret")


def test_an_empty_password_is_none(terminal: Terminal) -> None:
    assert terminal.run("add", "alice", "--stdin", stdin="")[0] == 1
    assert not terminal.file.exists()


def test_a_password_is_no_argument(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        terminal.run("add", "alice", "secret")
    assert "unrecognized" in capsys.readouterr().err


def test_adding_a_user_again_gives_another_password_and_salt(terminal: Terminal) -> None:
    terminal.add("alice")
    before = read_users(terminal.file).by_name["alice"].keys
    terminal.add("alice", password="another")
    after = read_users(terminal.file).by_name["alice"].keys
    assert (after.match("another"), after.match("secret")) == (True, False)
    assert after.salt != before.salt


def test_an_md5_digest_is_kept_where_it_is_asked_for(terminal: Terminal) -> None:
    terminal.add("alice")
    terminal.run("add", "bob", "--stdin", "--with-md5", "--iterations", "4096", stdin="hidden\n")
    assert terminal.run("list") == (0, "alice\nbob\tmd5\n", "")
    terminal.add("bob")
    assert terminal.run("list") == (0, "alice\nbob\n", "")


def test_a_removed_user_is_gone_and_the_others_are_as_they_were(terminal: Terminal) -> None:
    terminal.add("alice", "bob")
    before = read_users(terminal.file)
    assert terminal.run("remove", "alice") == (0, "", "")
    after = read_users(terminal.file)
    assert after.by_name == {"bob": before.by_name["bob"]}
    assert after.secret == before.secret
    assert terminal.run("remove", "alice") == (1, "", f"{terminal.file} has no user 'alice'\n")


def test_a_password_can_be_checked(terminal: Terminal) -> None:
    terminal.add("alice")
    assert terminal.run("check", "alice", "--stdin", stdin="secret\n") == (0, "right\n", "")
    assert terminal.run("check", "alice", types=["wrong"]) == (1, "wrong\n", "")
    assert terminal.run("check", "mallory", types=["secret"]) == (1, "wrong\n", "")


@pytest.mark.parametrize(
    "arguments", [["list"], ["remove", "alice"], ["check", "alice", "--stdin"]], ids=lambda a: a[0]
)
def test_what_is_not_there_is_not_made(terminal: Terminal, arguments: list[str]) -> None:
    status, _, error = terminal.run(*arguments)
    assert status == 1
    assert "No such file" in error
    assert list(terminal.file.parent.iterdir()) == []


@pytest.mark.parametrize("arguments", [["#alice"], ["a\tb"], ["alice", "--iterations", "1000"]], ids=lambda a: a[-1])
def test_what_can_not_be_is_said_and_changes_nothing(terminal: Terminal, arguments: list[str]) -> None:
    terminal.add("bob")
    before = terminal.file.read_bytes()
    status, _, error = terminal.run("add", *arguments, "--stdin", stdin="secret\n")
    assert status == 1
    assert error
    assert terminal.file.read_bytes() == before
    assert list(terminal.file.parent.iterdir()) == [terminal.file]


def test_a_new_file_is_its_owners_alone_and_a_replaced_one_has_the_mode_that_it_had(terminal: Terminal) -> None:
    old = os.umask(0)
    try:
        terminal.add("alice")
        assert stat.S_IMODE(terminal.file.stat().st_mode) == 0o600
        terminal.file.chmod(0o640)
        terminal.add("bob")
        assert stat.S_IMODE(terminal.file.stat().st_mode) == 0o640
    finally:
        os.umask(old)


def test_a_file_is_replaced_in_one_step(terminal: Terminal) -> None:
    terminal.add("alice")
    with terminal.file.open(encoding="utf-8") as held:
        terminal.add("bob")
        assert "bob" not in held.read()
    assert set(read_users(terminal.file).by_name) == {"alice", "bob"}


def test_a_link_to_a_file_stays_one(terminal: Terminal) -> None:
    elsewhere = terminal.file.parent / "elsewhere" / "users"
    elsewhere.parent.mkdir()
    terminal.file.symlink_to(elsewhere)
    terminal.add("alice")
    assert terminal.file.is_symlink()
    assert set(read_users(elsewhere).by_name) == {"alice"}


def test_two_commands_do_not_change_a_file_at_the_same_time(terminal: Terminal) -> None:
    terminal.add("alice")
    other = terminal.file.with_name("users.new")
    other.touch()
    status, _, error = terminal.run("add", "bob", "--stdin", stdin="hidden\n")
    assert status == 1
    assert "users.new exists" in error
    assert set(read_users(terminal.file).by_name) == {"alice"}
    assert other.exists()


def test_a_file_that_is_none_is_not_written_over(terminal: Terminal) -> None:
    terminal.file.write_text("precious\n", encoding="utf-8")
    status, _, error = terminal.run("add", "alice", "--stdin", stdin="secret\n")
    assert status == 1
    assert "line 1" in error
    assert terminal.file.read_text(encoding="utf-8") == "precious\n"


def test_it_is_a_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pellucid.passwords", str(tmp_path / "users")]
    added = subprocess.run(
        [*command, "add", "alice", "--stdin"], input="secret\n", text=True, timeout=30, check=False, capture_output=True
    )
    assert (added.returncode, added.stdout, added.stderr) == (0, "", "")
    listed = subprocess.run([*command, "list"], text=True, timeout=30, check=False, capture_output=True)
    assert (listed.returncode, listed.stdout) == (0, "alice\n")
