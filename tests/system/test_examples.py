"""The example programs, each run as whoever reads it would, and what they print."""

from __future__ import annotations

import errno
import re
import socket
from pathlib import Path

import pytest

from tests.system.programs import EXAMPLES, PEERS, Ended, Start, run

ANY_PORT = ("--port", 0)
FORTUNES = EXAMPLES / "quotes" / "fortunes.txt"


def fortunes() -> set[str]:
    return {quote.strip() for quote in FORTUNES.read_text("utf-8").split("\n%\n")}


def read_all(url: str) -> str:
    """What a server says to whoever connects, until it hangs up."""
    host, _, port = url.removeprefix("tcp://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock, sock.makefile("rb") as file:
        return file.read().decode()


def test_the_echo_server_echoes_and_a_ctrl_c_ends_it_quietly(start: Start) -> None:
    server = start(EXAMPLES / "echo/server.py", *ANY_PORT)
    port = server.port()

    assert run(EXAMPLES / "echo/client.py", "--port", port) == Ended(0, "server echoed: hello network\n")
    assert server.interrupt() == Ended(0, "echoing: hello network\n")


def test_the_echo_client_tells_why_it_can_not_connect(dead_port: int) -> None:
    code, out, err = run(EXAMPLES / "echo/client.py", "--port", dead_port)

    assert (code, err) == (1, "")
    assert out.startswith(f"error: no connection to pb://127.0.0.1:{dead_port}: [Errno {errno.ECONNREFUSED}] ")
    assert out.count("\n") == 1


def test_the_echo_client_tells_what_the_server_refuses(start: Start) -> None:
    port = start(EXAMPLES / "references/server.py", *ANY_PORT).port()

    assert run(EXAMPLES / "echo/client.py", "--port", port) == Ended(1, "error: No such method: remote_echo\n")


def test_a_stock_twisted_client_talks_to_the_echo_server(start: Start) -> None:
    server = start(EXAMPLES / "echo/server.py", *ANY_PORT)
    port = server.port()

    assert run(PEERS / "echo_client.py", port) == Ended(0, "server echoed: hello network\n")
    assert server.interrupt() == Ended(0, "echoing: hello network\n")


def test_the_echo_client_talks_to_a_stock_twisted_server(start: Start) -> None:
    server = start(PEERS / "echo_server.py")
    port = server.port()

    assert run(EXAMPLES / "echo/client.py", "--port", port) == Ended(0, "server echoed: hello network\n")
    assert server.line() == "echoing: hello network"


def test_one_server_tells_quotes_to_every_kind_of_client(start: Start) -> None:
    server = start(EXAMPLES / "quotes/server.py", *ANY_PORT, "--pb", 0, "--file", FORTUNES)
    pb_url, plain_url = server.urls()
    port = pb_url.removeprefix("pb://127.0.0.1:")

    ours = run(EXAMPLES / "quotes/client.py", "--port", port)
    stock = run(EXAMPLES / "quotes/client_twisted.py", "--port", port)
    plain = read_all(plain_url)

    assert (ours.code, ours.err, stock.code, stock.err) == (0, "", 0, "")
    assert plain.endswith("\r\n")
    assert {ours.out.strip(), stock.out.strip(), plain.strip()} <= fortunes()
    assert server.interrupt() == Ended(0)


@pytest.mark.parametrize(
    ("options", "quote"),
    [((), "An apple a day keeps the doctor away."), (("--static", "Ars longa."), "Ars longa.")],
    ids=["the default", "another"],
)
def test_the_quote_server_tells_a_static_quote(start: Start, options: tuple[str, ...], quote: str) -> None:
    pb_url, plain_url = start(EXAMPLES / "quotes/server.py", *ANY_PORT, "--pb", 0, *options).urls()

    assert run(EXAMPLES / "quotes/client.py", "--port", pb_url.rpartition(":")[2]) == Ended(0, quote + "\n")
    assert read_all(plain_url) == quote + "\r\n"


def test_a_client_without_a_quote_says_so_and_fails(dead_port: int) -> None:
    assert run(EXAMPLES / "quotes/client.py", "--port", dead_port) == Ended(1, "Failed to obtain quote.\n")


def test_a_client_that_is_refused_by_the_server_fails_in_the_same_way(start: Start) -> None:
    port = start(EXAMPLES / "echo/server.py", *ANY_PORT).port()

    assert run(EXAMPLES / "quotes/client.py", "--port", port) == Ended(1, "Failed to obtain quote.\n")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "No such file"), (b"%\n \n%\n", "there is no quote in"), (b"\xff", "'utf-8' codec can't decode")],
    ids=["no file", "no quotes", "no text"],
)
def test_the_quote_server_refuses_a_file_without_quotes(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "fortunes"
    if content is not None:
        file.write_bytes(content)

    code, out, err = run(EXAMPLES / "quotes/server.py", *ANY_PORT, "--pb", 0, "--file", file)

    assert (code, out) == (2, "")
    assert complaint in err.splitlines()[-1]


def test_a_reference_that_was_passed_can_be_called(start: Start) -> None:
    server = start(EXAMPLES / "references/server.py", *ANY_PORT)

    assert run(EXAMPLES / "references/client.py", "--port", server.port()) == Ended(
        0,
        "got first object: <RemoteReference root alive>\n"
        "asking it to getTwo\n"
        "got second object: <RemoteReference 1 alive>\n"
        "telling it to do three(12)\n",
    )
    code, out, err = server.interrupt()
    assert (code, err) == (0, "")
    assert re.fullmatch(r"returning a Two called <__main__\.Two object at 0x\w+>\nTwo\.three was given 12\n", out)


def test_a_reference_that_comes_back_is_the_object_that_was_given_out(start: Start) -> None:
    server = start(EXAMPLES / "returning/server.py", *ANY_PORT)

    assert run(EXAMPLES / "returning/client.py", "--port", server.port()) == Ended(
        0,
        "got one object: <RemoteReference root alive>\n"
        "asking it to getTwo\n"
        "got two object: <RemoteReference 1 alive>\n"
        "giving it back to one\n"
        "one says it is the same\n",
    )
    code, out, err = server.interrupt()
    assert (code, err) == (0, "")
    assert re.fullmatch(
        r"One\.getTwo\(\), returning my two called (<__main__\.Two object at 0x\w+>)\n"
        r"One\.checkTwo\(\): comparing my two \1\n"
        r"One\.checkTwo\(\): against your two \1\n"
        r"One\.checkTwo\(\): our twos are the same\n",
        out,
    )


def test_the_server_calls_the_client_s_object(start: Start) -> None:
    server = start(EXAMPLES / "callbacks/server.py", *ANY_PORT)

    assert run(EXAMPLES / "callbacks/client.py", "--port", server.port()) == Ended(
        0, "got One: <RemoteReference root alive>\ngiving it our two\nTwo.print() called with 12\n"
    )
    assert server.interrupt() == Ended(0, "received a Two called <RemoteReference 1 alive>\ntelling it to print(12)\n")


def test_a_chain_of_calls_is_run_in_order_and_fails_as_one(start: Start) -> None:
    server = start(EXAMPLES / "chains/server.py", *ANY_PORT)

    assert run(EXAMPLES / "chains/client.py", "--port", server.port()) == Ended(
        0,
        "a parcel with tea and milk, sent to Alice\n3 baskets\nnot sent: __main__.SoldOut: moon\n",
    )
    assert server.interrupt() == Ended(0, "packing tea milk\n")


def test_an_expected_exception_reaches_the_client_and_the_server_keeps_quiet(start: Start) -> None:
    server = start(EXAMPLES / "exceptions/server.py", *ANY_PORT)

    assert run(EXAMPLES / "exceptions/client.py", "--port", server.port()) == Ended(
        0,
        "got remote Exception\n"
        " .__class__ = RemoteError\n"
        " .text = fall down go boom\n"
        " .remote_type = __main__.MyError\n",
    )
    assert server.interrupt() == Ended(0, "raising a MyError exception with data 'fall down go boom'\n")


def test_an_unexpected_exception_reaches_the_client_and_the_server_logs_its_traceback(start: Start) -> None:
    server = start(EXAMPLES / "exceptions/server.py", *ANY_PORT)

    assert run(EXAMPLES / "exceptions/client.py", "broken2", "--port", server.port()) == Ended(
        0,
        "got remote Exception\n .__class__ = RemoteError\n .text = hadda owie\n .remote_type = __main__.MyError2\n",
    )
    code, out, err = server.interrupt()
    assert (code, out) == (0, "raising a MyError2 exception with data 'hadda owie'\n")
    assert err.startswith("Peer will receive following PB traceback: ")
    assert "Traceback (most recent call last):\n" in err
    assert err.endswith("MyError2: hadda owie\n")


def test_failures_are_told_apart_and_the_last_call_finds_a_stale_reference(start: Start) -> None:
    server = start(EXAMPLES / "trap/server.py", *ANY_PORT)

    assert run(EXAMPLES / "trap/client.py", "--port", server.port()) == Ended(
        0,
        "callOne: call with safe object\n"
        " method successful, response: response\n"
        "callTwo: call with dangerous object\n"
        " InsecureJelly: you tried to send something unsafe to them\n"
        "callThree: call that raises remote exception\n"
        " remote raised a MyException\n"
        "telling them to shut down\n"
        "callFour: call on stale reference\n"
        " stale reference: the client disconnected or crashed\n",
    )
    assert server.wait() == Ended(0)
