"""`pellucid bench`, against a real server."""

from __future__ import annotations

import json
import os
import pty
import signal
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.system.command import pellucid, serving, started


@pytest.fixture(scope="module")
def shop() -> Iterator[str]:
    with serving("shop:Shop") as url:
        yield url


def test_people_are_told_how_many_calls_and_how_long_they_took(shop: str) -> None:
    ended = pellucid("bench", shop, "add", 1, 2, "--seconds", 0.2, "--workers", 4)
    assert (ended.code, ended.err) == (0, "")
    assert " calls in 0.2" in ended.out
    assert " s, by 4 at a time: " in ended.out
    for name in "min", "mean", "p50", "p99.9", "max", "█":
        assert name in ended.out


def test_programs_are_told_in_json(shop: str) -> None:
    told = json.loads(pellucid("bench", shop, "echo", "hello", "--rate", 200, "--seconds", 0.5, "--json").out)
    assert (told["url"], told["method"], told["load"]) == (shop, "echo", {"rate": 200})
    assert (told["calls"], told["errors"], told["skipped"]) == (100, {}, 0)
    assert sum(count for _, count in told["histogram"]) == 100
    latency = told["latency_seconds"]
    assert 0 < latency["min"] <= latency["p50"] <= latency["max"]


def test_what_can_not_work_is_told_at_once(shop: str, dead_port: int) -> None:
    failed = pellucid("bench", shop, "buy", "--seconds", 60)
    assert (failed.code, failed.out, failed.err) == (1, "", "pellucid: shop.SoldOut: nothing is left\n")
    assert pellucid("bench", f"pb://127.0.0.1:{dead_port}", "add").code == 3
    assert pellucid("bench", shop, "wait", "--timeout", 0.2).code == 5
    assert pellucid("bench", shop, "add", "--workers", 0).code == 2


def test_calls_that_fail_later_are_counted_and_told_by_the_exit_code(shop: str) -> None:
    ended = pellucid("bench", shop, "now_and_then", "--seconds", 0.1, "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["errors"]["shop.SoldOut"] > 0
    assert "calls failed" in json.loads(ended.err)["error"]["text"]


def test_a_connection_that_is_lost_ends_it(shop: str) -> None:
    ended = pellucid("bench", shop, "hang_up_later", "--seconds", 60, "--workers", 3)
    assert (ended.code, ended.out) == (3, "")
    assert "Traceback" not in ended.err


def test_calls_that_are_never_answered_end_it_in_time(shop: str) -> None:
    assert pellucid("bench", shop, "wait_later", "--seconds", 0.1, "--timeout", 0.5).code == 5


def test_control_c_ends_it_and_the_progress_is_shown_at_a_terminal_alone(shop: str) -> None:
    terminal, other_end = pty.openpty()
    running = started("bench", shop, "add", 1, "--seconds", 60, stderr=other_end, environment={"TERM": "xterm"})
    with closing(running):
        said = b""
        while b" calls" not in said:
            said += os.read(terminal, 1000)
        running.process.send_signal(signal.SIGINT)
        running.process.communicate(timeout=20)
    os.close(other_end)
    os.close(terminal)
    assert running.process.returncode == 130
