"""`pellucid shell`, given lines by a pipe, and at a terminal."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import termios
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from tests.system.command import pellucid, serving, started
from tests.system.programs import Ended, Running


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with serving("shop:Shop") as url:
        yield url


def script(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


# Lines from a pipe.


def test_results_are_printed_and_references_stay_callable(shop: str) -> None:
    lines = script(
        'basket = await root.call("basket")',
        'await basket.call("add", "an apple")',
        "_ + 1",
        'await root.call("basket")',
        'await _.call("add", "a pear")',
        "pb.Limits.__name__",
        "connection.dialect",
    )
    ended = pellucid("shell", shop, given=lines)
    assert (ended.code, ended.err) == (0, "")
    *first, _, pear, name, dialect = ended.out.splitlines()
    assert (first, pear, name, dialect) == (["1", "2"], "1", "'Limits'", "'pellucid'")


def test_a_line_is_run_as_soon_as_it_is_there(shop: str) -> None:
    with closing(started("shell", shop, stdin=subprocess.PIPE)) as shell:
        shell.tell('await root.call("add", 1, 2)')
        assert shell.line() == "3"
        shell.tell("_ * 2")
        assert shell.line() == "6"
        assert shell.wait() == Ended(0)


def test_programs_get_a_line_of_json_for_each_result(shop: str) -> None:
    ended = pellucid("shell", shop, "--json", given=script('await root.call("everything")', "(1, 2)"))
    one, two = map(json.loads, ended.out.splitlines())
    assert one["day"] == {"$date": "2026-11-27"}
    assert two == {"$tuple": [1, 2]}


def test_the_last_block_needs_no_empty_line(shop: str) -> None:
    assert pellucid("shell", shop, given="for x in 1, 2:\n    x").out == "1\n2\n"


def test_the_first_error_ends_a_script(shop: str) -> None:
    ended = pellucid("shell", shop, given=script('await root.call("buy")', "1"))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith('Traceback (most recent call last):\n  File "<shell>", line 1, in <module>\n')
    assert ended.err.count("  File ") == 1
    assert "shop.SoldOut: nothing is left" in ended.err
    told = pellucid("shell", shop, "--json", given=script("what is this?"))
    assert (told.code, json.loads(told.err)["error"]["code"]) == (1, 1)


def test_programs_are_told_whose_error_it_was(shop: str) -> None:
    told = pellucid("shell", shop, "--json", given=script('await root.call("buy")'))
    error = json.loads(told.err)["error"]
    assert (error["type"], error["traceback"]) == ("shop.SoldOut", None)
    assert json.loads(pellucid("shell", shop, "--json", given="1 / 0").err)["error"]["type"] == "ZeroDivisionError"


def test_a_statement_that_lacks_its_end_is_not_passed_over(shop: str) -> None:
    said = "pellucid: the last statement is not complete, and was not run\n"
    assert pellucid("shell", shop, given=script("1", "print(")) == Ended(1, "1\n", said)


def test_an_exit_code_may_be_chosen(shop: str) -> None:
    for leave in "raise SystemExit(7)", "exit(7)":  # the second closes the input first
        assert pellucid("shell", shop, given=script(leave, "1")) == Ended(7)


def test_a_lost_connection_is_told_at_the_end(shop: str) -> None:
    lines = script("try: await root.call('hang_up')", "except pb.PBConnectionLost: 'lost'", "", "root.alive")
    assert pellucid("shell", shop, given=lines) == Ended(3, "'lost'\nFalse\n", "pellucid: the connection was lost\n")


def test_one_may_log_in_first() -> None:
    with serving("shop:portal") as url:
        assert pellucid("shell", url, "--anonymous", given='await root.call("whoami")\n') == Ended(0, "'nobody'\n")


def test_what_follows_the_password_is_run() -> None:
    with serving("shop:portal") as url:
        lines = script("sesame", 'await root.call("whoami")')
        assert pellucid("shell", url, "--login", "alice", "--password-stdin", given=lines) == Ended(0, "'alice'\n")


def test_that_nobody_listens_is_told(dead_port: int) -> None:
    ended = pellucid("shell", f"pb://127.0.0.1:{dead_port}", given="")
    assert (ended.code, ended.out) == (3, "")


def test_control_c_ends_a_script(shop: str) -> None:
    with closing(started("shell", shop, stdin=subprocess.PIPE)) as shell:
        shell.tell("1")
        assert shell.line() == "1"
        shell.process.send_signal(signal.SIGINT)
        assert shell.process.wait(20) == 130


# At a terminal.


class Terminal:
    """A shell at a terminal: what it shows, and the keys that are pressed."""

    def __init__(self, shell: Running, number: int) -> None:
        self.shell = shell
        self._number = number
        self._shown = b""

    def press(self, keys: str) -> None:
        os.write(self._number, keys.encode())

    def until(self, shown: str) -> None:
        """Wait until it has shown that, after what was waited for before."""
        while shown.encode() not in self._shown:
            self._shown += os.read(self._number, 1000)
        self._shown = self._shown.partition(shown.encode())[2]

    def rest(self) -> str:
        """What else it has shown, once the shell has ended."""
        os.set_blocking(self._number, False)
        with suppress(BlockingIOError):
            self._shown += os.read(self._number, 10_000)
        return self._shown.decode()


@contextmanager
def at_a_terminal(url: str) -> Generator[Terminal]:
    number, other_end = pty.openpty()
    termios.tcsetwinsize(number, (24, 80))
    options = {"stdin": other_end, "stdout": other_end, "stderr": other_end}
    with closing(
        started("shell", url, environment={"TERM": "vt100", "PROMPT_TOOLKIT_NO_CPR": "1"}, **options)
    ) as shell:
        yield Terminal(shell, number)
    os.close(other_end)
    os.close(number)


def test_at_a_terminal_remote_methods_are_completed_and_results_shown(shop: str) -> None:
    with at_a_terminal(shop) as terminal:
        terminal.until("speaks pellucid")
        terminal.until(">>>")
        terminal.press('await root.call("ech\t')
        terminal.until("mo\x1b")  # what completes it, between two commands to the terminal
        terminal.press('", "to" + "gether")\r')
        terminal.until("'together'")
        terminal.until(">>>")
        terminal.press("\x04")
        assert terminal.shell.process.wait(20) == 0


def test_who_leaves_is_not_told_that_the_connection_was_lost(shop: str) -> None:
    with at_a_terminal(shop) as terminal:
        terminal.until(">>>")
        terminal.press("exit(7)\r")
        assert terminal.shell.process.wait(20) == 7
        rest = terminal.rest()
        assert "exit(7)" in rest
        assert "lost" not in rest
        assert "Error" not in rest


def test_control_c_gives_up_what_is_awaited_and_the_shell_goes_on(shop: str) -> None:
    with at_a_terminal(shop) as terminal:
        terminal.until(">>>")
        terminal.press('await root.call("wait")\r')
        assert pellucid("call", shop, "until_waited").code == 0
        terminal.shell.process.send_signal(signal.SIGINT)
        terminal.until("interrupted")
        terminal.until(">>>")
        terminal.press("1 / 0\r")
        terminal.until("ZeroDivisionError: division by zero")
        terminal.until(">>>")
        terminal.press('await root.call("hang_up")\r')
        terminal.until("the connection was lost: references are dead")
        terminal.until(">>>")
        terminal.press("\x04")
        assert terminal.shell.process.wait(20) == 3
