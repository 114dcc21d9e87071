"""The demonstration: what a newcomer sees, and that it fails when something is wrong."""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.system.programs import EXAMPLES, Ended, Start, run

DEMO = EXAMPLES / "demo.py"
FORTUNES = EXAMPLES / "quotes" / "fortunes.txt"


@pytest.fixture(scope="module")
def shown() -> Ended:
    """What became of the demo."""
    return run(DEMO)


def stand_in(path: Path, module: str, code: str) -> None:
    """Put a module of that name and code into the folder `path`."""
    (path / f"{module}.py").write_text(code, encoding="utf-8")


def assert_nobody_listens(url: str) -> None:
    host, _, port = url.partition("://")[2].rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)


def steps(out: str) -> dict[str, str]:
    """What came back in each step, by the title, all on one line."""
    found: dict[str, str] = {}
    for step in out.split("\n\n")[1:-1]:
        before, mark, result = step.partition("\n  ✓ ")
        assert mark, step
        found[before.splitlines()[0]] = " ".join(result.split())
    return found


def test_the_demo_shows_every_step_and_succeeds(shown: Ended) -> None:
    fortunes = {" ".join(quote.split()) for quote in FORTUNES.read_text("utf-8").split("\n%\n")}

    code, out, err = shown

    assert (code, err) == (0, "")
    assert out.endswith("\n\nAll of it came out right. Next, read the programs in examples/, this one included.\n")
    came_back = steps(out)
    greeting = came_back.pop("Start a quote server, in a process of its own")
    assert re.fullmatch(r"listening at pb://127\.0\.0\.1:\d+ tcp://127\.0\.0\.1:\d+", greeting)
    assert came_back.pop("Ask it from asyncio") in fortunes
    assert came_back.pop("Ask it from stock Twisted, in another process") in fortunes
    assert came_back.pop("Ask it over plain TCP, which it speaks as well") in fortunes
    jelly = came_back.pop("What may not cross is refused before it is sent")
    assert re.fullmatch(
        r"InsecureJelly: builtins\.object .* Referenceable .* register .* \(at \[0\]\['book'\]\)", jelly
    )
    assert came_back == {
        "Connect to a library: an object that gives out other objects": "<RemoteReference root alive>",
        "Get a reference to an object, and call it": "<RemoteReference 1 alive> "
        "Emma Woodhouse, handsome, clever, and rich, ...",
        "A remote exception arrives as what it is": "OutOnLoan: somebody is reading Emma",
        "Give the reference back: its owner gets the object itself": "thank you",
        "Have the server call an object of yours": """the reader said "I'll remember: Emma is due on Friday\"""",
        "A reference whose connection has ended says so at once": "DeadReferenceError: "
        "the connection to the object's owner has ended",
    }


def test_the_demo_shows_no_colours_where_nobody_sees_them(shown: Ended) -> None:
    assert "\x1b" not in shown.out


def test_the_demo_leaves_no_server_behind(shown: Ended) -> None:
    urls = re.findall(r"\b(?:pb|tcp)://[\d.:]+", shown.out)

    assert len(urls) == 3
    for url in urls:
        assert_nobody_listens(url)


@pytest.mark.parametrize("content", [None, ""], ids=["no file", "no quotes"])
def test_the_demo_fails_when_the_server_does_not_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "fortunes"
    if content is not None:
        file.write_text(content)

    code, out, err = run(DEMO, "--fortunes", file)

    assert (code, err) == (1, "")
    assert re.search(r"^  ✗ server\.py: error: .*", out, re.MULTILINE)
    assert "✓" not in out
    assert "came out right" not in out


def test_the_demo_fails_when_a_client_fails_and_leaves_no_server_behind(tmp_path: Path) -> None:
    stand_in(tmp_path, "twisted", "raise ImportError('not today')")

    code, out, err = run(DEMO, path=tmp_path)

    assert (code, err) == (1, "")
    assert out.endswith("\n  ✗ ImportError: not today\n")
    assert_nobody_listens(re.findall(r"pb://[\d.:]+", out)[0])


def test_the_demo_fails_when_a_wrong_quote_comes_back(tmp_path: Path) -> None:
    stand_in(tmp_path, "twisted", "print('Ars longa.'); raise SystemExit")

    code, out, err = run(DEMO, path=tmp_path)

    assert (code, err) == (1, "")
    assert out.endswith("\n  ✗ this should not have come back: Ars longa.\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_the_demo_takes_its_programs_along_when_it_is_stopped(
    tmp_path: Path, start: Start, number: signal.Signals
) -> None:
    fifo = tmp_path / "open as long as the client runs"
    os.mkfifo(fifo)
    stand_in(tmp_path, "twisted", f"import signal; keep = open({str(fifo)!r}, 'w'); signal.pause()")
    demo = start(DEMO, path=tmp_path)

    with fifo.open() as until_the_client_ends:
        code, out, err = demo.interrupt(number)
        assert until_the_client_ends.read() == ""

    assert (code, err) == (130, "")
    assert_nobody_listens(re.findall(r"pb://[\d.:]+", out)[0])
