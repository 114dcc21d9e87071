"""Programs that use the blocking front, as processes: how they end, and what they say when they do."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.programs import Ended, Start, run

HEAD = """
import atexit, os, sys, threading
import pellucid as pb
from pellucid import blocking
from pellucid.blocking.loop import the_loop


class Root(pb.Root):
    def remote_echo(self, value):
        return value

    async def remote_for_ever(self):
        # In one piece: `print` writes its line and the end of it one after the other, and the other thread prints too.
        sys.stdout.write("waiting\\n")
        sys.stdout.flush()
        import asyncio
        await asyncio.get_running_loop().create_future()

    async def remote_apply(self, target, *args):
        return await target.call("do", *args)


class Mine(pb.Referenceable):
    def __init__(self, root):
        self.root = root

    def remote_do(self):
        return self.root.call("for_ever")


class Late(Mine):
    # Makes a call as if the program had begun to end just before.

    done = threading.Event()

    def remote_do(self):
        the_loop().is_ending = True
        try:
            return self.root.call("echo", 1)
        finally:
            the_loop().is_ending = False
            self.done.set()


server = blocking.serve(Root(), "pb://127.0.0.1:0")
connection = blocking.connect(*server.urls)
root = connection.root
"""


def program(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "program.py"
    file.write_text(HEAD + text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "text",
    [
        "print(root.call('echo', 'hi'))",
        "call = root.start('for_ever'); print(root.call('echo', 'hi'))",
        "call = root.start('apply', Mine(root)); print(root.call('echo', 'hi'))",
        "connection.notify_on_disconnect(lambda: root.alive); print('hi')",
        "connection.notify_on_disconnect(lambda: root.call('echo', 1)); print('hi')",
        "call = root.start('apply', Late(root)); Late.done.wait(); print(root.call('echo', 'hi'))",
        "atexit.register(lambda: print(root.call('echo', 'hi')))",
        "threading.Thread(target=lambda: print(root.call('echo', 'hi'))).start()",
        "threading.Thread(target=lambda: root.call('for_ever'), daemon=True).start(); print(root.call('echo', 'hi'))",
        "threading.Thread(target=server.serve_forever, daemon=True).start(); print('hi')",
        "held = root.call('echo', Mine(root)); del connection, server; print('hi')",
    ],
)
def test_a_program_with_all_open_ends_at_once_and_says_nothing(text: str, tmp_path: Path) -> None:
    ended = run(program(tmp_path, text))

    assert (ended.code, ended.out.replace("waiting\n", ""), ended.err) == (0, "hi\n", "")


def test_what_runs_after_the_loop_has_ended_is_told_so(tmp_path: Path) -> None:
    # What is registered first runs last: the loop has registered itself when it began.
    text = """
def late():
    for blocks in lambda: root.call("echo", 1), waiting.result, connection.close, lambda: connection.usage:
        try:
            blocks()
        except RuntimeError as error:
            print(error)

atexit._clear()
atexit.register(late)
atexit.register(the_loop().close)
waiting = root.start("for_ever")
"""
    ended = run(program(tmp_path, text))

    said = "the program ends, and so has the event loop of its connections\n"
    assert (ended.code, ended.out.replace("waiting\n", ""), ended.err) == (0, said * 4, "")


def test_a_program_that_exits_in_the_middle_has_its_exit_code(tmp_path: Path) -> None:
    assert run(program(tmp_path, "sys.exit(3)")) == Ended(3)


def test_an_error_of_the_program_is_all_that_is_said(tmp_path: Path) -> None:
    ended = run(program(tmp_path, "with connection:\n    raise ZeroDivisionError"))

    assert ended.code == 1
    assert ended.err.startswith("Traceback")
    assert ended.err.endswith("ZeroDivisionError\n")
    assert ended.err.count("\n") == 4


def test_ctrl_c_ends_a_program_that_waits(tmp_path: Path, start: Start) -> None:
    running = start(program(tmp_path, "root.call('for_ever')"))
    assert running.line() == "waiting"

    try:
        ended = running.interrupt()
    except subprocess.TimeoutExpired:
        # Of a signal that comes right before a thread waits for a lock, Python takes note when that has ended: this was
        # seen once in thousands of times, on CPython 3.11. Whoever sits there presses Ctrl-C again.
        ended = running.interrupt()

    assert ended.code == -signal.SIGINT
    assert ended.err.endswith("KeyboardInterrupt\n")
    assert "Task" not in ended.err


def test_importing_it_starts_no_thread() -> None:
    code = "import threading, pellucid.blocking; print(threading.active_count())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert ended.stdout == "1\n"
