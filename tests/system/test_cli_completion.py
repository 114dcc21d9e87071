"""`pellucid completion`, and what a shell asks when Tab is pressed."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.system.command import pellucid, serving


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
        "COMP_WORDS": " ".join(["pellucid", *words]),
        "COMP_CWORD": str(len(words)),
    }
    ended = pellucid(environment=environment)
    assert ended.err == ""
    return {line.partition(",")[2] for line in ended.out.splitlines() if line}


def test_commands_and_options_are_completed() -> None:
    assert completed("s") == {"serve", "shell", "stubs"}
    assert completed("call", "--tim") == {"--timeout"}


def test_methods_that_a_server_tells_are_completed(dead_port: int) -> None:
    with serving("shop:Shop") as url:
        assert completed("call", url, "wait") == {"wait", "wait_for_a_line", "wait_later"}
    with serving("shop:Plain") as url:
        assert completed("bench", url, "a") == set()
    assert completed("call", f"pb://127.0.0.1:{dead_port}", "a") == set()
