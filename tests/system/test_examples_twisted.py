"""The HOWTO's programs on the Twisted door: they print what the HOWTO prints.

Each pair runs on the door on both sides, then with stock Twisted and with the asyncio door on the other side, both ways
round. Two of pellucid's speak the native dialect, and run once more where one side knows PB's alone. What the HOWTO
prints was printed by Python 2; below it says where stock Twisted on Python 3 prints something else, and why.
"""

from __future__ import annotations

import asyncio
import errno
import re
import sysconfig
from pathlib import Path
from typing import NamedTuple

import pytest

import pellucid as pb
from tests.system.programs import EXAMPLES, PEERS, Ended, Running, Start, run
from tests.system.test_examples import FORTUNES, fortunes, read_all

PROGRAMS = EXAMPLES / "twisted"
QUOTES = PROGRAMS / "quotes"
TWISTD = Path(sysconfig.get_path("scripts")) / "twistd"
ON_STOCK = PEERS / "stock_spread.py"
IN_PB = PEERS / "pb_only.py"


class Sides(NamedTuple):
    """What the client runs on, and what the server: the ``twisted`` door, or that speaking ``pb`` alone, ``stock``
    Twisted, the ``asyncio`` door."""

    client: str
    server: str


on_all_sides = pytest.mark.parametrize(
    "sides",
    [
        Sides("twisted", "twisted"),
        Sides("twisted", "stock"),
        Sides("stock", "twisted"),
        Sides("twisted", "asyncio"),
        Sides("asyncio", "twisted"),
        Sides("pb", "twisted"),
        Sides("asyncio", "pb"),
    ],
    ids="-to-".join,
)


_RUN_BY = {"stock": ON_STOCK, "pb": IN_PB}
"""What runs a program on the Twisted door in another way."""


def launch(start: Start, on: str, program: str, *args: object) -> Running:
    if on in _RUN_BY:
        return start(_RUN_BY[on], PROGRAMS / program, *args)
    return start((EXAMPLES if on == "asyncio" else PROGRAMS) / program, *args)


def pattern(text: str) -> str:
    """What matches `text`, where ``<name>`` stands for a repr: the same one wherever that name is."""
    seen: set[str] = set()

    def any_repr(found: re.Match[str]) -> str:
        name = found[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}><[^>\n]+>)"

    return re.sub(r"<(\w+)>", any_repr, re.escape(text))


def hear(program: Running, expected: str) -> None:
    """See that what the program prints next is as `expected`, of which `pattern` tells."""
    said = "".join(f"{program.line()}\n" for _ in range(expected.count("\n")))
    assert re.fullmatch(pattern(expected), said), (said, program.interrupt())


def play(
    start: Start,
    pair: str,
    sides: Sides,
    *args: str,
    client: str,
    server: str,
    server_runs_on: bool = True,
) -> tuple[str, str]:
    """Run a pair of programs, which must print what is given; return what they say on stderr, client's first.

    The client ends by itself; a server that runs on does so after a Ctrl-C.
    """
    serving = launch(start, sides.server, f"{pair}/server.py", "--port", 0)
    port = serving.port(err=sides.server != "asyncio")
    calling = launch(start, sides.client, f"{pair}/client.py", *args, "--port", port)

    hear(calling, client)
    hear(serving, server)
    calling_ended = calling.wait()
    serving_ended = serving.interrupt() if server_runs_on else serving.wait()

    assert (calling_ended.code, calling_ended.out) == (0, "")
    assert (serving_ended.code, serving_ended.out) == (0, "")
    return calling_ended.err, serving_ended.err


@on_all_sides
def test_the_echo_server_echoes(start: Start, sides: Sides) -> None:
    said = play(start, "echo", sides, client="server echoed: hello network\n", server="echoing: hello network\n")

    assert said == ("", "")


def test_the_echo_client_tells_why_it_can_not_connect(dead_port: int) -> None:
    code, out, err = run(PROGRAMS / "echo/client.py", "--port", dead_port)

    assert (code, err) == (0, "")
    assert out.startswith(f"error: Connection was refused by other side: {errno.ECONNREFUSED}: ")
    assert out.count("\n") == 1


@on_all_sides
def test_a_reference_that_was_passed_can_be_called(start: Start, sides: Sides) -> None:
    said = play(
        start,
        "references",
        sides,
        client="got first object: <one>\nasking it to getTwo\ngot second object: <two>\ntelling it to do three(12)\n",
        server="returning a Two called <two>\nTwo.three was given 12\n",
    )

    assert said == ("", "")


@on_all_sides
def test_a_reference_that_comes_back_is_the_object_that_was_given_out(start: Start, sides: Sides) -> None:
    last = "one says it is the same\n" if sides.client == "asyncio" else "one is <one>\n"
    said = play(
        start,
        "returning",
        sides,
        client=f"got one object: <one>\nasking it to getTwo\ngot two object: <two>\ngiving it back to one\n{last}",
        server="One.getTwo(), returning my two called <two>\n"
        "One.checkTwo(): comparing my two <two>\n"
        "One.checkTwo(): against your two <two>\n"
        "One.checkTwo(): our twos are the same\n",
    )

    assert said == ("", "")


@on_all_sides
def test_the_server_calls_the_client_s_object(start: Start, sides: Sides) -> None:
    said = play(
        start,
        "callbacks",
        sides,
        client="got One: <one>\ngiving it our two\nTwo.print() called with 12\n",
        server="received a Two called <two>\ntelling it to print(12)\n",
    )

    assert said == ("", "")


def what_the_client_tells_of(exception: str, text: str, on: str) -> str:
    if on == "asyncio":
        lines = (".__class__ = RemoteError", f".text = {text}", f".remote_type = {exception}")
    else:
        # The HOWTO's is text. A stock Failure's type came from the wire as bytes; ours is bytes that print as text.
        type_ = repr(exception.encode()) if on == "stock" else exception
        lines = (".__class__ = <class>", f".getErrorMessage() = {text}", f".type = {type_}")
    return "\n ".join(("got remote Exception", *lines)) + "\n"


@on_all_sides
def test_an_expected_exception_reaches_the_client_and_the_server_keeps_quiet(start: Start, sides: Sides) -> None:
    said = play(
        start,
        "exceptions",
        sides,
        client=what_the_client_tells_of("__main__.MyError", "fall down go boom", sides.client),
        server="raising a MyError exception with data 'fall down go boom'\n",
    )

    assert said == ("", "")


@on_all_sides
def test_an_unexpected_exception_reaches_the_client_and_the_server_complains(start: Start, sides: Sides) -> None:
    client, server = play(
        start,
        "exceptions",
        sides,
        "broken2",
        client=what_the_client_tells_of("__main__.MyError2", "hadda owie", sides.client),
        server="raising a MyError2 exception with data 'hadda owie'\n",
    )

    assert client == ""
    assert "Peer will receive following PB traceback" in server
    assert "Traceback (most recent call last):\n" in server
    assert "MyError2: hadda owie\n" in server


@on_all_sides
def test_failures_are_told_apart_and_the_last_call_finds_a_stale_reference(start: Start, sides: Sides) -> None:
    # callTwo ends as the HOWTO says wherever one side is ours. Our clients are told by their own side, whatever the
    # server. A stock client sends a placeholder for the object, which our server refuses; a stock one would let it
    # pass, and the call would succeed.
    # callThree: on Python 3 a stock Failure that came from the wire cannot raise itself where it is not trapped. So the
    # first errback of the chain fails with an AttributeError, which is what the others get.
    on_stock = sides.client == "stock"
    third = " something else happened\n" if on_stock else " remote raised a MyException\n"
    client, server = play(
        start,
        "trap",
        sides,
        client="callOne: call with safe object\n"
        " method successful, response: response\n"
        "callTwo: call with dangerous object\n"
        " InsecureJelly: you tried to send something unsafe to them\n"
        "callThree: call that raises remote exception\n"
        f"{third}"
        "telling them to shut down\n"
        "callFour: call on stale reference\n"
        " stale reference: the client disconnected or crashed\n",
        server="",
        server_runs_on=False,
    )

    assert ("AttributeError" in client) if on_stock else (client == "")
    assert server == ""


def twistd(start: Start, *args: object, on: str = "twisted") -> Running:
    command = (TWISTD, "--nodaemon", "--pidfile=", "qotd", *args)
    return start(*((_RUN_BY[on], *command) if on in _RUN_BY else command), path=QUOTES)


def ports(server: Running) -> dict[str, int]:
    """Where the quote service listens, of which its log tells, by the factory's name."""
    seen: dict[str, int] = {}
    while "QOTDFactory" not in seen:  # the last to start
        line = server.line()
        assert line, server.wait()
        if found := re.search(r"(\w+Factory) starting on (\d+)$", line):
            seen[found[1]] = int(found[2])
    return seen


def serve_quotes(start: Start, on: str, *options: object) -> tuple[int, int]:
    """Start a quote server; return the ports where it tells quotes by Perspective Broker, and as plain text."""
    anywhere = ("--port", 0, "--pb", 0)
    if on == "asyncio":
        by_pb, plain = start(EXAMPLES / "quotes/server.py", *anywhere, *options).urls()
        return int(by_pb.rpartition(":")[2]), int(plain.rpartition(":")[2])
    seen = ports(twistd(start, *anywhere, *options, on=on))
    return seen["PBServerFactory"], seen["QOTDFactory"]


@on_all_sides
def test_a_client_gets_a_quote_and_so_does_whoever_connects(start: Start, sides: Sides) -> None:
    by_pb, plain = serve_quotes(start, sides.server, "--file", FORTUNES)

    code, out, err = launch(start, sides.client, "quotes/client.py", "--port", by_pb).wait()
    line = read_all(f"tcp://127.0.0.1:{plain}")

    assert (code, err) == (0, "")
    assert out.endswith("\n")
    assert line.endswith("\r\n")
    assert {out.strip(), line.strip()} <= fortunes()


@pytest.mark.parametrize(
    ("options", "quote"),
    [((), "An apple a day keeps the doctor away."), (("--static", "Ars longa."), "Ars longa.")],
    ids=["the default", "another"],
)
def test_the_quote_service_tells_a_static_quote(start: Start, options: tuple[str, ...], quote: str) -> None:
    by_pb, plain = serve_quotes(start, "twisted", *options)

    assert run(QUOTES / "client.py", "--port", by_pb) == Ended(0, quote + "\n")
    assert read_all(f"tcp://127.0.0.1:{plain}") == quote + "\r\n"


def test_the_quote_service_speaks_perspective_broker_only_when_asked_to(start: Start) -> None:
    seen = ports(twistd(start, "--port", 0))

    assert set(seen) == {"QOTDFactory"}
    assert read_all(f"tcp://127.0.0.1:{seen['QOTDFactory']}") == "An apple a day keeps the doctor away.\r\n"


def test_the_quote_service_has_the_howto_s_options(start: Start) -> None:
    code, out, _ = twistd(start, "--help").wait()

    assert code == 0
    assert set(re.findall(r"-\w, --\w+=", out)) == {"-p, --port=", "-s, --static=", "-f, --file=", "-b, --pb="}
    assert "[default: 8007]" in out


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "No such file"), (b"%\n \n%\n", "there is no quote in"), (b"\xff", "'utf-8' codec can't decode")],
    ids=["no file", "no quotes", "no text"],
)
def test_the_quote_service_refuses_a_file_without_quotes(
    start: Start, tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "fortunes"
    if content is not None:
        file.write_bytes(content)

    code, out, err = twistd(start, "--port", 0, "--file", file).wait()

    assert code == 1
    assert complaint in out + err


def test_a_quote_client_that_can_not_connect_says_that_it_failed(dead_port: int) -> None:
    assert run(QUOTES / "client.py", "--port", dead_port) == Ended(0, "Failed to obtain quote.\n")


def test_a_quote_client_that_is_refused_says_that_it_failed(start: Start) -> None:
    port = start(PROGRAMS / "echo/server.py", "--port", 0).port(err=True)

    assert run(QUOTES / "client.py", "--port", port) == Ended(0, "Failed to obtain quote.\n")


class OnPython2(pb.Root):
    """Answers as a server on Python 2 does, whose strings are bytes."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()

    def remote_nextQuote(self) -> bytes:
        return b"Ars longa."

    def remote_fooMethod(self, arg: object) -> bytes:
        return b"response"

    def remote_shutdown(self) -> None:
        self.stopped.set()


async def call_as_on_python_2(port: int, name: str, arg: bytes) -> object:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        return await connection.root.call(name, arg)


async def run_with_python_2(program: Path) -> list[str]:
    root = OnPython2()
    async with pb.serve(root, "pb://127.0.0.1:0") as server:
        port = server.urls[0].rpartition(":")[2]
        ended = asyncio.create_task(asyncio.to_thread(run, program, "--port", port))
        stopped = asyncio.create_task(root.stopped.wait())
        await asyncio.wait((ended, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    return (await ended).out.splitlines()


def test_what_a_client_on_python_2_says_is_text_to_the_echo_server(start: Start) -> None:
    server = start(PROGRAMS / "echo/server.py", "--port", 0)

    assert asyncio.run(call_as_on_python_2(server.port(err=True), "echo", b"hello network")) == b"hello network"
    assert server.line() == "echoing: hello network"


def test_a_client_on_python_2_can_make_the_trap_server_raise(start: Start) -> None:
    server = start(PROGRAMS / "trap/server.py", "--port", 0)

    with pytest.raises(pb.RemoteError) as raised:
        asyncio.run(call_as_on_python_2(server.port(err=True), "fooMethod", b"panic!"))
    assert raised.value.remote_type == "__main__.MyException"


def test_what_a_server_on_python_2_answers_is_text_to_the_clients() -> None:
    assert asyncio.run(run_with_python_2(QUOTES / "client.py")) == ["Ars longa."]
    assert " method successful, response: response" in asyncio.run(run_with_python_2(PROGRAMS / "trap/client.py"))
