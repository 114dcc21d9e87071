"""`pellucid completion`, and what a shell asks when Tab is pressed."""

from __future__ import annotations

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.command import pellucid, serving
from tests.system.programs import PEERS, SRC


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_what_it_can_read(shell: str) -> None:
    ended = pellucid("completion", shell)
    assert ended.code == 0
    assert "_PELLUCID_COMPLETE" in ended.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ended.out, text=True, timeout=20, check=True)


def test_a_shell_that_is_not_known_is_told() -> None:
    assert pellucid("completion", "csh").code == 2


def completed(*words: str) -> set[str]:
    environment = {
        "_PELLUCID_COMPLETE": "bash_complete",
        "COMP_LINE": " ".join(["pellucid", *words]),
    }
    ended = pellucid(environment=environment)
    assert ended.err == ""
    return {line.partition(",")[2] for line in ended.out.splitlines() if line}


def test_commands_and_options_are_completed() -> None:
    assert completed("s") == {"serve", "shell", "stubs"}
    assert completed("call", "--tim") == {"--timeout"}
    assert completed("") == {"serve", "call", "describe", "shell", "stubs", "bench", "completion"}


def test_methods_that_a_server_tells_are_completed(dead_port: int) -> None:
    with serving("shop:Shop") as url:
        assert completed("call", url, "wait") == {"wait", "wait_for_a_line", "wait_later"}
    with serving("shop:Plain") as url:
        assert completed("bench", url, "a") == set()
    assert completed("call", f"pb://127.0.0.1:{dead_port}", "a") == set()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_methods_behind_a_url_which_it_splits_at_its_colons(tmp_path: Path) -> None:
    command = tmp_path / "pellucid"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m pellucid "$@"\n')
    command.chmod(0o755)
    (tmp_path / "completion").write_text(pellucid("completion", "bash").out)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{PEERS}{os.pathsep}{SRC}",
        "PS1": "ready: ",
        "TERM": "dumb",
    }
    number, other_end = pty.openpty()

    def until(wanted: bytes) -> None:
        shown = b""
        while wanted not in shown:
            shown += os.read(number, 1000)

    start = ["bash", "--norc", "--noprofile", "-i"]
    with (
        serving("shop:Shop") as url,
        subprocess.Popen(
            start,
            cwd=tmp_path,
            env=environment,
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            start_new_session=True,
        ) as bash,
    ):
        try:
            os.write(number, b"source completion\r")
            os.write(number, f"pellucid call {url} ech\t".encode())
            until(b"echo")
            os.write(number, b'"to""gether"\r')
            until(b"together")
        finally:
            bash.kill()
    os.close(other_end)
    os.close(number)
