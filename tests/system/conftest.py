"""Fixtures: programs that run beside a test."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.system.mortals import Nursery
from tests.system.programs import Running, Start


@pytest.fixture(scope="session", autouse=True)
def hear_interrupts() -> Iterator[None]:
    """A suite that was started in the background is deaf to SIGINT, and so would be every program that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def start_program(program: Path | str, *args: object, **options: Any) -> Running:
            return stack.enter_context(closing(Running(program, *args, **options)))

        yield start_program


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    if not hasattr(os, "fork"):
        pytest.skip("only where there is fork")
    with closing(Nursery()) as nursery:
        yield nursery


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that is taken, so that nobody else can listen there, and where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
