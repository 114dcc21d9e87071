"""Every event that is logged: it happens, its record is as the page says, and no peer can forge or flood the log."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as pb
from pellucid.asyncio import listener
from pellucid.asyncio.events import Event, Pace, on_one_line
from pellucid.blocking import loop
from tests.dialects import each_dialect, over
from tests.unit.asyncio.certificates import SECURELY_HERE, Authority, replace
from tests.unit.asyncio.door import HERE, Gate, RawPeer, on_each_loop, outcome, pair, raw_server, run
from tests.unit.asyncio.hall import ALICE, Hall, portal
from tests.unit.asyncio.raw import until

pytestmark = each_dialect

PAGE = (Path(__file__).parents[3] / "docs/how-to/logging.md").read_text(encoding="utf-8")


def formatter_of_the_page() -> logging.Formatter:
    """The formatter that the page gives its readers."""
    (program, *_) = re.findall(r"```python\n(.*?)\n```", PAGE.partition("## As JSON\n")[2], re.DOTALL)
    names: dict[str, Any] = {"__name__": "page"}
    exec(program.partition("class Adder")[0], names)
    made: logging.Formatter = names["JSONLines"]()
    return made


class Lines(logging.Handler):
    """What is logged, each record as the line of JSON that the page makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(formatter_of_the_page())
        self.lines: list[dict[str, Any]] = []
        self.levels: list[tuple[str, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        assert len(line.splitlines()) == 1
        self.lines.append(json.loads(line))
        self.levels.append((vars(record)["event"], record.levelno))

    def of(self, event: Event) -> list[dict[str, Any]]:
        """The lines of that event."""
        return [line for line in self.lines if line["event"] == event.event]


@pytest.fixture
def lines() -> Any:
    log, handler = logging.getLogger("pellucid"), Lines()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.setLevel(before)
    log.removeHandler(handler)


# How each of them comes to happen.

Story = Callable[[Lines, pytest.MonkeyPatch, Path], Coroutine[Any, Any, None]]

STORIES: dict[Event, Story] = {}


def of(*events: Event) -> Callable[[Story], Story]:
    """Decorator: in that story these events happen."""

    def note(story: Story) -> Story:
        STORIES.update(dict.fromkeys(events, story))
        return story

    return note


class Failing(Gate):
    def remote_fail(self) -> None:
        raise ZeroDivisionError

    def remote_unsendable(self) -> object:
        return object()


@asynccontextmanager
async def failing(**options: Any) -> AsyncGenerator[pb.RemoteReference]:
    async with pair(Failing(), **options) as both:
        yield both.client.root


@of(Event.SERVER_LISTENING, Event.CONNECTION_MADE, Event.CONNECTION_READY, Event.CONNECTION_LOST)
async def a_client_comes_and_goes(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with failing() as root:
        await root.call("echo")
    await until(lambda: len(lines.of(Event.CONNECTION_LOST)) == 2)


@of(Event.SERVER_FULL)
async def one_more_comes_than_there_is_room_for(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with pair(Gate(), limits=pb.Limits(connections=1)) as both:
        await outcome(pb.connect(*both.server.urls))


@of(Event.SERVER_EXHAUSTED, Event.SERVER_RECOVERED)
async def there_are_no_descriptors_for_a_while(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    class Exhausted(socket.socket):
        tries = 0

        def accept(self) -> tuple[socket.socket, Any]:
            self.tries += 1
            if self.tries == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    patch.setattr(listener, "RETRY_SECONDS", 0.001)
    with Exhausted() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        async with pb.serve(Gate(), sock=sock) as server, pb.connect(*server.urls):
            pass


@of(Event.TLS_FAILED, Event.TLS_RENEWED, Event.TLS_KEPT)
async def certificates_change_and_are_not_trusted(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    authority = Authority()
    async with pb.serve(Gate(), SECURELY_HERE, tls=authority.issue(folder)) as server:
        replace(folder / "key.pem", b"rubbish")
        await outcome(pb.connect(*server.urls))
        authority.issue(folder)
        await outcome(pb.connect(*server.urls))
        stranger = await RawPeer.connect_silently(*server.urls)
        stranger.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
        await until(lambda: len(lines.of(Event.TLS_FAILED)) == 3)
        await stranger.close()


@of(Event.CONNECTION_IDLE)
async def nobody_calls(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with pair(Gate(), limits=pb.Limits(idle_seconds=0.001)) as both:
        await both.client.wait_closed()


@of(Event.CONNECTION_ABORTED)
async def a_peer_says_too_much(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with pb.serve(Gate(), HERE) as server:
        peer = await RawPeer.connect_silently(*server.urls)
        peer.send_bytes(b"\x00" * 100_000)
        await until(lambda: lines.of(Event.CONNECTION_ABORTED))
        await peer.close()
    assert lines.of(Event.CONNECTION_ABORTED)[0]["level"] == "WARNING"


@of(Event.ROOT_FAILED)
async def there_is_no_root(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    def factory(connection: pb.Connection) -> pb.Root:
        raise ZeroDivisionError

    async with pb.serve(factory, HERE) as server:
        await outcome(pb.connect(*server.urls))
        await until(lambda: lines.of(Event.ROOT_FAILED))


@of(Event.LOGIN_GRANTED, Event.LOGIN_REFUSED)
async def two_log_in(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with pair(portal(Hall())) as both:
        await outcome(both.client.login(pb.credentials.Password("mallory", "secret")))
        await both.client.login(ALICE)


@of(Event.CALL_FAILED, Event.CALL_REFUSED)
async def methods_fail_and_are_not_there(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with failing() as root:
        for name in ("fail", "nothing", "unsendable"):
            await outcome(root.call(name))


@of(Event.CALL_UNNOTICED)
async def nobody_awaits_what_failed(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with failing() as root:
        root.call("fail")
        await root.call("echo")


@of(Event.CALL_SUPPRESSED)
async def too_much_fails(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with failing() as root:
        await asyncio.gather(*(outcome(root.call("fail")) for _ in range(5 * Pace.AT_ONCE)))
    await until(lambda: lines.of(Event.CALL_SUPPRESSED))


@of(Event.CALLBACK_FAILED)
async def a_notice_fails(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with pair(Gate()) as both:
        both.client.notify_on_disconnect(lambda: 1 // 0)


@of(Event.RECONNECT_CONNECTED, Event.RECONNECT_WAITING, Event.RECONNECT_STOPPED)
async def a_client_tries_again_until_it_is_told_to_go(lines: Lines, patch: pytest.MonkeyPatch, folder: Path) -> None:
    async with pb.serve(portal(Hall()), HERE) as server:
        async with pb.reconnecting(*server.urls, credentials=ALICE) as client:
            await client.avatar()
            (served,) = server.connections
            served.abort("for the test", level=logging.DEBUG)
            await until(lambda: lines.of(Event.RECONNECT_WAITING))
        mallory = pb.credentials.Password("mallory", "secret")
        async with pb.reconnecting(*server.urls, credentials=mallory) as client:
            assert isinstance(await outcome(client.avatar()), pb.UnauthorizedLogin)


@of(Event.LOOP_INTERRUPTED, Event.LOOP_STUCK)
async def what_runs_in_the_loop_of_the_blocking_front_does_what_it_should_not(
    lines: Lines, patch: pytest.MonkeyPatch, folder: Path
) -> None:
    ended = asyncio.Event()

    async def stay() -> None:
        while not ended.is_set():
            try:
                await ended.wait()
            except asyncio.CancelledError:
                pass

    async def leave() -> None:
        ended.set()
        await staying[0]
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - what waited for it, in the loop's own close
            await asyncio.sleep(0)
        stop()

    def exit_program() -> None:
        raise SystemExit(3)

    patch.setattr(loop, "SECONDS_TO_END", 0.05)
    thread, staying = loop.LoopThread(), list[asyncio.Task[None]]()
    stop = thread._stop
    patch.setattr(thread, "_stop", lambda: asyncio.ensure_future(leave()))
    thread.do(lambda: staying.append(asyncio.ensure_future(stay())))
    thread.loop.call_soon_threadsafe(exit_program)
    await until(lambda: lines.of(Event.LOOP_INTERRUPTED))
    thread.close()
    thread._thread.join()


@pytest.fixture
def story_of(lines: Lines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Event], None]:
    return lambda event: run(STORIES[event](lines, monkeypatch, tmp_path))


def test_events_are_all_that_is_logged_and_each_is() -> None:
    sources = {file: file.read_text(encoding="utf-8") for file in Path(pb.__file__).parent.rglob("*.py")}
    loggers = [file.name for file, source in sources.items() if "getLogger" in source]
    used = set(re.findall(r"\bEvent\.([A-Z_]+)", "".join(sources.values())))

    assert loggers == ["events.py"]
    assert used >= {event.name for event in Event}


def test_every_event_has_a_story() -> None:
    told_elsewhere = {Event.PEER_CONFUSED}  # which a peer of ours does not cause
    assert set(STORIES) == set(Event) - told_elsewhere


@pytest.mark.parametrize("event", STORIES, ids=lambda event: event.event)
def test_an_event_is_a_line_of_json_with_the_fields_that_it_says(
    event: Event, story_of: Callable[[Event], None], lines: Lines
) -> None:
    story_of(event)

    told = lines.of(event)
    assert told
    for line in told:
        assert line["logger"] == event.logger.name == f"pellucid.{event.event.partition('.')[0]}"
        fields = set(line) - {"level", "logger", "event", "text", "traceback"}
        assert fields <= set(event.fields)
        assert set(event.fields) - fields <= {"peer_connection", "limit", "username"}
    assert event.level in [level for name, level in lines.levels if name == event.event]


@over("none")
@on_each_loop
async def test_what_a_peer_did_not_understand_is_one_of_them(lines: Lines) -> None:
    async with raw_server() as (url, peers), pb.connect(url) as connection:
        peer = await peers.get()
        peer.send(b"didNotUnderstand", b"message\nERROR forged")
        await until(lambda: lines.of(Event.PEER_CONFUSED))
        (line,) = lines.of(Event.PEER_CONFUSED)
        assert (line["connection"], line["peer"]) == (connection.log_number, connection.peer)
        assert line["text"] == r"the peer did not understand 'message\nERROR forged'"


# The page.


def table(heading: str) -> list[list[str]]:
    """The rows below a line of a table's heads."""
    below = PAGE.partition(heading)[2].partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("| ").split(" | ")] for row in below.splitlines()[2:]]


def fields_of(text: str) -> tuple[str, ...]:
    together = {"*connection*": "`connection`, `peer_connection`, `peer`"}
    together["*call*"] = f"{together['*connection*']}, `method`, `call`"
    for name, parts in together.items():
        text = text.replace(name, parts)
    return tuple(re.findall(r"`(\w+)`", text))


def test_the_page_tells_of_every_event_and_of_no_other() -> None:
    rows = [(row[0].strip("`"), row[1], fields_of(row[2] if len(row) > 3 else "")) for row in table("| event | level")]
    events = [(event.event, logging.getLevelName(event.level).lower(), event.fields) for event in Event]

    assert rows == events


def test_the_page_explains_every_field_that_its_table_does_not() -> None:
    explained = {name for row in table("| field | is |") for name in re.findall(r"`(\w+)`", row[0])}
    by_their_events = {"url", "connections", "seconds", "files", "dialect", "count"}

    assert explained | by_their_events == {name for event in Event for name in event.fields}


# Hostile text.


@given(st.text() | st.binary() | st.builds(ValueError, st.text()))
def test_whatever_is_logged_is_on_one_line_and_not_long(value: object) -> None:
    shown = on_one_line(value)
    assert isinstance(shown, str)
    assert shown.isprintable()


def test_a_long_text_is_cut_off_and_a_number_stays_one() -> None:
    assert on_one_line("x" * 1000) == "x" * 1000
    assert on_one_line("x" * 1001) == "x" * 1000 + "..."
    assert on_one_line(2.5) == 2.5


def test_what_can_not_be_shown_is_logged_all_the_same() -> None:
    class Odd(Exception):
        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert on_one_line(Odd()) == "<Odd that can't be shown>"


FORGED = "name\n2026-11-27 CRITICAL root: all is lost\x1b[2J"


class Echoing(pb.Root):
    def remote_fail(self, text: str) -> None:
        raise RuntimeError(text)


@on_each_loop
async def test_no_peer_forges_a_line_of_the_log(lines: Lines) -> None:
    async with pair(Echoing()) as both:
        await outcome(both.client.root.call(FORGED))
        await outcome(both.client.root.call("fail", FORGED))
    async with pair(portal(Hall())) as both:
        await outcome(both.client.login(pb.credentials.PlainPassword(FORGED, "secret")))
    hostile = [line for line in lines.lines if "all is lost" in json.dumps(line)]
    assert {line["event"] for line in hostile} >= {"call.refused", "call.failed", "login.refused"}
    for line in hostile:
        assert all(str(value).isprintable() for name, value in line.items() if name != "traceback")


@on_each_loop
async def test_no_server_forges_a_line_in_the_log_of_a_client_that_reconnects(lines: Lines) -> None:
    class Liar(pb.Root):
        def remote_loginAnonymous(self, mind: object) -> None:
            raise RuntimeError(FORGED)

    anonymous = pb.credentials.Anonymous()
    async with pb.serve(Liar(), HERE) as server, pb.reconnecting(*server.urls, credentials=anonymous):
        await until(lambda: lines.of(Event.RECONNECT_WAITING) + lines.of(Event.RECONNECT_STOPPED))
    told = [line for line in lines.lines if line["event"].startswith("reconnect.")]
    assert "all is lost" in json.dumps(told)
    assert all(line["text"].isprintable() for line in told)


# How much.


@on_each_loop
async def test_a_peer_has_so_much_logged_and_no_more_and_what_was_left_out_is_counted(lines: Lines) -> None:
    calls = 3 * Pace.AT_ONCE
    async with pair(Failing()) as both, pair(Failing()) as others:
        await asyncio.gather(*(outcome(both.client.root.call("fail")) for _ in range(calls)))
        flood = lines.of(Event.CALL_FAILED)
        assert Pace.AT_ONCE <= len(flood) < 2 * Pace.AT_ONCE
        await outcome(others.client.root.call("fail"))
        assert lines.of(Event.CALL_FAILED)[-1]["connection"] == others.served.log_number
    await until(lambda: lines.of(Event.CALL_SUPPRESSED))
    suppressed = sum(line["count"] for line in lines.of(Event.CALL_SUPPRESSED))
    assert len(lines.of(Event.CALL_FAILED)) - 1 + suppressed == calls


@on_each_loop
async def test_who_guesses_passwords_can_not_hide_it_behind_other_calls_that_fail(lines: Lines) -> None:
    async with pair(portal(Hall())) as both:
        calls = [both.client.root.call("loginAnonymous") for _ in range(3 * Pace.AT_ONCE)]  # without its argument
        await asyncio.gather(*map(outcome, calls))
        for guess in "one", "two":
            login = both.client.login(pb.credentials.Password("alice", guess))
            assert isinstance(await outcome(login), pb.UnauthorizedLogin)
        assert len(lines.of(Event.LOGIN_REFUSED)) == 2
        assert len(lines.of(Event.CALL_FAILED)) < 2 * Pace.AT_ONCE


def test_the_pace_is_so_many_at_once_and_so_many_a_second_from_then_on() -> None:
    pace = Pace(now=0.0)
    assert [pace.allows(0.0) for _ in range(Pace.AT_ONCE + 1)] == [True] * Pace.AT_ONCE + [False]
    assert [pace.allows(1.0) for _ in range(Pace.PER_SECOND + 1)] == [True] * Pace.PER_SECOND + [False]
    assert pace.suppressed == 2
    assert [pace.allows(1000.0) for _ in range(Pace.AT_ONCE + 1)] == [True] * Pace.AT_ONCE + [False]
