"""The pages on systemd and on containers: their program runs as systemd would run it, and their files are well made."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pellucid as pb
from tests.system.command import HERE, pellucid
from tests.system.programs import Ended, Running, Start
from tests.system.test_docs import ROOT, take_apart
from tests.unit.asyncio.door import run

SYSTEMD = ROOT / "docs" / "how-to" / "systemd.md"
CONTAINERS = ROOT / "docs" / "how-to" / "containers.md"

NO_RUN = "python no-run: a server runs until it is stopped"

SECONDS = 20
"""The longest that anything here may take."""

SIGTERM_CODE = 128 + signal.SIGTERM

AS_SYSTEMD_DOES = """\
import os, sys
handed, program = int(sys.argv[1]), sys.argv[2]
os.dup2(handed, 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, program])
"""
"""Starts a program in its own place, with one socket at the number at which systemd hands the first."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemd and containers are Linux's")


def block(page: Path, info: str) -> str:
    """The one block of the page whose fence says that."""
    (found,) = [block.text for block in take_apart(page).blocks if block.info == info]
    return found


def settings(text: str) -> dict[str, str]:
    """The settings of a unit, each by its name."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


async def latest(url: str) -> object:
    async with pb.connect(url) as connection:
        return await connection.root.call("latest")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path so short that a Unix socket can be in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def quotes(folder: Path) -> Path:
    """The program of the page on systemd."""
    program = folder / "quotes.py"
    program.write_text(block(SYSTEMD, NO_RUN), encoding="utf-8")
    return program


def started_by_systemd(start: Start, program: Path, sock: socket.socket, **environment: str) -> Running:
    """The program as systemd starts it, which has opened the socket."""
    starter = program.with_name("starter.py")
    starter.write_text(AS_SYSTEMD_DOES, encoding="utf-8")
    return start(starter, sock.fileno(), program, pass_fds=(sock.fileno(),), environment=environment)


def test_the_program_serves_the_socket_that_systemd_has_opened(quotes: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"pb://127.0.0.1:{sock.getsockname()[1]}"
        server = started_by_systemd(start, quotes, sock)
        assert run(latest(url)) == "as the twig is bent"
        assert re.fullmatch(rf"<6>pellucid[.\w]*: listening at {url}", server.line(err=True))


def test_the_program_serves_a_unix_socket_and_leaves_its_file(quotes: Path, start: Start) -> None:
    path = quotes.with_name("sock")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
        server = started_by_systemd(start, quotes, sock)
        assert run(latest(f"pb+unix:{path}")) == "as the twig is bent"
        assert server.interrupt(signal.SIGTERM).code == SIGTERM_CODE
    assert path.is_socket()


def test_clients_that_come_while_the_program_starts_anew_are_served(quotes: Path, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"pb://127.0.0.1:{sock.getsockname()[1]}"
        server = started_by_systemd(start, quotes, sock)
        assert run(latest(url)) == "as the twig is bent"
        assert server.interrupt(signal.SIGTERM).code == SIGTERM_CODE

        with socket.create_connection(sock.getsockname(), SECONDS) as early:
            started_by_systemd(start, quotes, sock)
            assert early.recv(1) == b"\x03"  # how many dialects it has on offer


def test_sockets_that_were_handed_to_another_process_are_not_taken(quotes: Path, start: Start) -> None:
    quotes.write_text(quotes.read_text(encoding="utf-8").replace(":8787", ":0"), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = start(quotes, environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"}, pass_fds=(sock.fileno(),))
        said = server.line(err=True)
        assert " listening at pb://127.0.0.1:" in said
        assert not said.endswith(f":{sock.getsockname()[1]}")


def test_systemd_is_told_when_the_program_listens_and_when_it_ends(quotes: Path, start: Start) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as sock,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
    ):
        told.bind(str(quotes.with_name("notify")))
        told.settimeout(SECONDS)
        server = started_by_systemd(start, quotes, sock, NOTIFY_SOCKET=told.getsockname())
        assert told.recv(100) == b"READY=1"
        ended = server.interrupt(signal.SIGTERM)
        assert told.recv(100) == b"STOPPING=1"
        assert ended.code == SIGTERM_CODE


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="it is not installed")
def test_the_program_serves_what_systemds_own_tool_hands_it(quotes: Path, folder: Path) -> None:
    path = folder / "sock"
    found = f"--setenv=PYTHONPATH={ROOT / 'src'}"  # it passes on little of its own environment
    command = ["systemd-socket-activate", found, f"--listen={path}", sys.executable, str(quotes)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as server:
        try:
            assert server.stderr is not None
            assert b"Listening on" in server.stderr.readline()
            assert run(latest(f"pb+unix:{path}")) == "as the twig is bent"
            server.send_signal(signal.SIGTERM)
            assert server.wait(SECONDS) == SIGTERM_CODE
        finally:
            server.kill()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="it is not installed")
def test_systemd_has_nothing_to_say_against_the_units(folder: Path) -> None:
    units = [folder / "quotes.service", folder / "quotes.socket"]
    for unit in units:
        text = block(SYSTEMD, f"ini {unit.name}")
        unit.write_text(text.replace("/opt/quotes/.venv/bin/python", sys.executable), encoding="utf-8")

    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    ours = [line for line in verified.stdout.splitlines() if "quotes." in line]
    assert (verified.returncode, ours) == (0, [])


def test_the_unit_leaves_a_server_its_time_and_its_descriptors() -> None:
    unit, program = settings(block(SYSTEMD, "ini quotes.service")), block(SYSTEMD, NO_RUN)
    (connections,) = re.findall(r"connections=([\d_]+)", program)

    assert int(unit["TimeoutStopSec"]) > 2 * pb.Limits().close_seconds
    assert int(unit["LimitNOFILE"]) > int(connections)
    assert int(unit["SuccessExitStatus"]) == SIGTERM_CODE


# In a container.


def command(instruction: str) -> list[str]:
    """The words of an instruction of the image, which is in the form without a shell."""
    (words,) = re.findall(rf"^{instruction} (\[.*\])$", block(CONTAINERS, "dockerfile"), re.MULTILINE)
    return [str(word) for word in json.loads(words)]


@pytest.fixture
def contained(folder: Path) -> Path:
    """The program of the page on containers."""
    program = folder / "quotes.py"
    program.write_text(block(CONTAINERS, NO_RUN), encoding="utf-8")
    return program


def told_url(server: Running) -> str:
    """Where the server says in its log that it listens."""
    _, _, url = server.line().partition(": listening at ")
    assert url
    return url


def test_the_image_runs_the_program_of_the_page(contained: Path) -> None:
    assert command("CMD")[-1:] == [contained.name]


def test_the_health_check_of_the_image_tells_whether_the_server_answers(contained: Path, start: Start) -> None:
    server = start(contained, environment={"QUOTES_URL": HERE})
    url = told_url(server)
    name, *arguments = (url if word == "pb://127.0.0.1:8787" else word for word in command("    CMD"))

    assert (name, url in arguments) == ("pellucid", True)
    assert pellucid(*arguments) == Ended(0, "True\n")
    assert server.interrupt(signal.SIGTERM).code == SIGTERM_CODE
    assert pellucid(*arguments).code == 3


def test_process_1_of_a_container_closes_its_server_when_it_is_told_to_end(contained: Path) -> None:
    first = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if (
        not shutil.which("unshare")
        or subprocess.run([*first, "true"], stderr=subprocess.DEVNULL, check=False).returncode
    ):
        pytest.skip("only where one may make namespaces")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "QUOTES_URL": HERE, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([*first, sys.executable, contained], env=environment, stdout=subprocess.PIPE) as outside:
        try:
            assert outside.stdout is not None
            assert b"listening at" in outside.stdout.readline()
            (process_1,) = Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text().split()
            os.kill(int(process_1), signal.SIGTERM)
            assert outside.wait(SECONDS) == SIGTERM_CODE
        finally:
            outside.kill()


def test_compose_leaves_a_server_its_time_and_its_descriptors() -> None:
    compose, program = block(CONTAINERS, "yaml"), block(CONTAINERS, NO_RUN)
    (grace,) = re.findall(r"stop_grace_period: (\d+)s", compose)
    (descriptors,) = re.findall(r"nofile: (\d+)", compose)
    (close_seconds,) = re.findall(r"close_seconds=(\d+)", program)

    assert int(grace) > 2 * int(close_seconds)
    assert int(descriptors) > pb.Limits().connections
