"""`pellucid call`, as people and programs run it, and what it says where something is wrong."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.system.command import HERE, pellucid, serving, started
from tests.system.programs import Ended
from tests.unit.asyncio.certificates import Authority


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with serving("shop:Shop") as url:
        yield url


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    with serving("shop:portal") as url:
        yield url


def error_of(ended: Ended) -> dict[str, object]:
    assert not ended.out
    error: dict[str, object] = json.loads(ended.err)["error"]
    assert error["code"] == ended.code
    return error


# What is printed.


def test_the_result_is_printed_as_python_writes_it(shop: str) -> None:
    assert pellucid("call", shop, "add", 1, -3) == Ended(0, "-2\n")


def test_a_text_is_printed_as_it_is(shop: str) -> None:
    assert pellucid("call", shop, "echo", "hello network") == Ended(0, "hello network\n")


def test_what_a_text_would_do_to_a_terminal_is_not_done(shop: str) -> None:
    assert pellucid("call", shop, "colour") == Ended(0, "\\x1b[31mred\\x07\n")


def test_raw_text_is_written_as_it_is(shop: str) -> None:
    assert pellucid("call", shop, "colour", "--raw") == Ended(0, "\x1b[31mred\x07")


def test_what_is_neither_text_nor_bytes_has_no_raw_form(shop: str) -> None:
    assert pellucid("call", shop, "add", 1, "--raw") == Ended(
        1, "", "pellucid: --raw is for text and bytes, and the result is neither: int\n"
    )


def test_references_sets_dates_and_bytes_are_told_apart(shop: str) -> None:
    ended = pellucid("call", shop, "everything")
    assert ended.code == 0
    for shown in "{1, 2}", "datetime.date(2026, 11, 27)", "Decimal('1.50')", r"b'\x00'", "<RemoteReference", "None":
        assert shown in ended.out


def test_programs_get_json(shop: str) -> None:
    ended = pellucid("call", shop, "everything", "--json")
    told = json.loads(ended.out)
    assert isinstance(told.pop("basket")["$reference"], str)
    assert told == {
        "set": {"$set": [1, 2]},
        "day": {"$date": "2026-11-27"},
        "price": {"$decimal": "1.50"},
        "raw": {"$bytes": "AA=="},
        "none": None,
    }


# What is sent.


def test_arguments_are_json_literals_or_text_and_may_have_names(shop: str) -> None:
    ended = pellucid("call", shop, "echo", "1", "true", "[1, 'a']", "b'b'", "'1'", "plain text", "x=None", "y='a=b'")
    assert ended.out == "((1, True, [1, 'a'], b'b', '1', 'plain text'), {'x': None, 'y': 'a=b'})\n"


def test_arguments_come_from_files_and_from_standard_input(shop: str, tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("grün", encoding="utf-8")
    ended = pellucid("call", shop, "echo", f"@{file}", f"b@{file}", "@-", given="from stdin")
    assert ended.out == "(('grün', b'gr\\xc3\\xbcn', 'from stdin'), {})\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tiemout", "3"], "No such option: --tiemout"),
        (["a=1", "2"], "'2' has no name, and stands behind a=, which has one"),
        (["a=1", "a=2"], "the argument a= is given twice"),
        (["@missing"], "@missing: No such file or directory"),
        (["--raw", "--json"], "choose one"),
        (["--timeout", "0"], "0 is no time to wait"),
        (["--login", "alice"], "use --password-stdin, or set PELLUCID_PASSWORD"),
        (["--login", "alice", "--anonymous"], "choose one"),
        (["--tls-authorities", __file__], "are for pbs:// URLs"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_told_and_nothing_is_sent(arguments: list[str], said: str) -> None:
    ended = pellucid("call", "pb://127.0.0.1:1", "echo", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in " ".join(ended.err.split())


@pytest.mark.parametrize("command", ["call", "bench"])
def test_an_option_in_front_of_the_url_that_is_none_is_not_taken_for_it(command: str) -> None:
    ended = pellucid(command, "--tiemout", "3", "pb://127.0.0.1:1", "echo")
    assert ended.code == 2
    assert "No such option '--tiemout'" in " ".join(ended.err.split())


def test_a_url_that_is_none_is_told_with_right_ones() -> None:
    ended = pellucid("call", "http://localhost", "echo")
    assert ended.code == 2
    assert "pb://localhost:8787" in " ".join(ended.err.split())


# Errors.


def test_an_error_of_the_method_is_told_without_a_traceback_of_ours(shop: str) -> None:
    assert pellucid("call", shop, "buy") == Ended(1, "", "pellucid: shop.SoldOut: nothing is left\n")
    assert pellucid("call", shop, "divide") == Ended(1, "", "pellucid: ZeroDivisionError: division by zero\n")


def test_programs_get_errors_as_json(shop: str) -> None:
    assert error_of(pellucid("call", shop, "buy", "--json")) == {
        "code": 1,
        "kind": "failed",
        "type": "shop.SoldOut",
        "text": "nothing is left",
        "traceback": None,
    }


def test_the_traceback_of_the_peer_is_shown_where_it_gives_one() -> None:
    with serving("shop:Shop", "--listen", HERE, "--unsafe-tracebacks") as url:
        ended = pellucid("call", url, "divide")
    assert ended.code == 1
    assert "in remote_divide" in ended.err
    assert ended.err.endswith("pellucid: ZeroDivisionError: division by zero\n")


def test_a_method_that_is_not_there_is_told(shop: str) -> None:
    ended = pellucid("call", shop, "sell")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("pellucid: NoSuchMethod: No such method: remote_sell (`pellucid describe`")


def test_wrong_arguments_are_told_by_the_peer(shop: str) -> None:
    ended = pellucid("call", shop, "add")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("pellucid: TypeError: ")


def test_that_nobody_listens_is_told(dead_port: int) -> None:
    ended = pellucid("call", f"pb://127.0.0.1:{dead_port}", "echo")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith(f"pellucid: no connection to pb://127.0.0.1:{dead_port}: ")
    assert "Traceback" not in ended.err


def test_a_lost_connection_is_told(shop: str) -> None:
    assert error_of(pellucid("call", shop, "hang_up", "--json"))["kind"] == "no_connection"


def test_a_method_that_takes_too_long_is_given_up(shop: str) -> None:
    ended = pellucid("call", shop, "wait", "--timeout", "0.3")
    assert ended == Ended(5, "", f"pellucid: {shop} did not answer within 0.3 s (--timeout)\n")


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"pb://127.0.0.1:{sock.getsockname()[1]}"
        ended = pellucid("call", url, "echo", "--timeout", "0.3")
    assert ended.code == 5
    assert ended.err.startswith(f"pellucid: no connection to {url} within 0.3 s (--timeout)")


def test_control_c_ends_it(shop: str) -> None:
    with closing(started("call", shop, "wait", "--json")) as waiting:
        watch = pellucid("call", shop, "until_waited", "--timeout", "10")
        assert watch.code == 0
        ended = waiting.interrupt(signal.SIGINT)
    assert ended == Ended(130, "", "\npellucid: interrupted\n")


# Logging in.


def test_the_password_may_come_from_standard_input(portal: str) -> None:
    ended = pellucid("call", portal, "whoami", "--login", "alice", "--password-stdin", given="sesame\n")
    assert ended == Ended(0, "alice\n")


def test_the_password_may_be_in_the_environment(portal: str) -> None:
    ended = pellucid("call", portal, "whoami", "--login", "alice", environment={"PELLUCID_PASSWORD": "sesame"})
    assert ended == Ended(0, "alice\n")


def test_at_a_terminal_the_password_is_asked_for_and_not_shown(portal: str) -> None:
    terminal, other_end = pty.openpty()
    with closing(started("call", portal, "whoami", "--login", "alice", stdin=other_end)) as asking:
        assert asking.process.stderr is not None
        said = b""
        while b"alice: " not in said:
            said += asking.process.stderr.read(1)
        os.write(terminal, b"sesame\n")
        ended = asking.wait()
    os.close(terminal)
    os.close(other_end)
    assert (ended.code, ended.out) == (0, "alice\n")
    assert "sesame" not in ended.err


def test_one_may_log_in_as_nobody_in_particular(portal: str) -> None:
    assert pellucid("call", portal, "whoami", "--anonymous") == Ended(0, "nobody\n")


def test_a_login_that_is_refused_is_told(portal: str) -> None:
    ended = pellucid("call", portal, "whoami", "--login", "alice", "--password-stdin", given="wrong\n")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.startswith("pellucid: ")
    assert "wrong\n" not in ended.err


def test_a_server_where_nobody_logs_in_is_told(shop: str) -> None:
    ended = pellucid("call", shop, "whoami", "--anonymous")
    assert ended == Ended(4, "", f"pellucid: nobody logs in at {shop}: it publishes an object, and no portal\n")


# TLS.


def test_a_server_with_tls_has_to_be_trusted(tmp_path: Path) -> None:
    authority = Authority()
    files = authority.issue(tmp_path)
    options = ("--listen", "pbs://127.0.0.1:0", "--tls-certificate", files.certificate, "--tls-key", files.key)
    with serving("shop:Shop", *options) as url:
        refused = pellucid("call", url, "echo", "hello")
        trusted = pellucid("call", url, "echo", "hello", "--tls-authorities", authority.trusted(tmp_path))
    assert refused.code == 3
    assert "is not trusted here" in refused.err
    assert "--tls-authorities FILE" in refused.err
    assert trusted == Ended(0, "hello\n")


def test_a_file_of_tls_that_is_none_is_told() -> None:
    ended = pellucid("call", "pbs://127.0.0.1:1", "echo", "--tls-authorities", __file__)
    assert ended.code == 2
    assert "test_cli_call.py" in ended.err


# The command itself.


def test_without_its_libraries_the_command_says_which_extra_to_install(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='click')")
    ended = pellucid("call", path=tmp_path)
    assert ended == Ended(
        6, "", "pellucid: the command needs click, which is not installed: pip install 'pellucid[cli]'\n"
    )


def test_a_module_that_something_else_lacks_is_no_matter_of_the_extra(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ModuleNotFoundError(name='elsewhere')")
    assert "Traceback" in pellucid("call", path=tmp_path).err


def test_output_that_nobody_reads_is_no_reason_for_a_traceback(shop: str) -> None:
    with closing(started("call", shop, "echo", "hello")) as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        _, err = running.process.communicate(timeout=20)
    assert (running.process.returncode, err) == (1, b"")


def test_the_console_script_is_the_module() -> None:
    (script,) = entry_points(group="console_scripts", name="pellucid")
    assert script.value == "pellucid.__main__:main"
