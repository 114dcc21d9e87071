"""A client that connects again. Time passes only when a test says so, and each wait is as long as it may be."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import pytest
import trustme

import pellucid as pb
from pellucid.asyncio import login
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate, outcome, turns
from tests.unit.asyncio.hall import ALICE, Challenging, Hall, portal
from tests.unit.asyncio.test_limits_of_time import StoppedClock, on_a_stopped_clock

pytestmark = each_dialect

A_MOMENT = 0.001


@pytest.fixture(autouse=True)
def longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "uniform", lambda least, most: most)


@pytest.fixture(autouse=True)
def said(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.INFO, "pellucid")
    yield
    leftover = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert not [text for text in leftover if "a callback raised" not in text and "no further attempt" not in text]


async def until(condition: Callable[[], object]) -> None:
    """Let what is under way in the system arrive; pytest's timeout bounds it."""
    while not condition():  # noqa: ASYNC110 - what it waits for is in the system
        await asyncio.sleep(0)
    await turns()


class House:
    """A place that a server opens, and from which connections are cut."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._sock = socket.socket()
        self._sock.bind(("127.0.0.1", 0))
        self.url = f"pb://127.0.0.1:{self._sock.getsockname()[1]}"
        self.server: pb.Server | None = None

    async def open(self) -> None:
        self.server = await pb.serve(self.root, sock=self._sock.dup())

    async def close(self) -> None:
        if self.server is not None:
            await self.server.close()
        self._sock.close()

    def cut(self) -> None:
        """Have every connection lost."""
        assert self.server is not None
        for connection in list(self.server.connections):
            connection.abort("for the test", level=logging.DEBUG)


@asynccontextmanager
async def house(root: Any, *, is_open: bool = True) -> AsyncGenerator[House]:
    place = House(root)
    if is_open:
        await place.open()
    try:
        yield place
    finally:
        await place.close()


class Waiting(logging.Handler):
    """Counts what is logged of waiting, where a test has no fixtures."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def emit(self, record: logging.LogRecord) -> None:
        if vars(record).get("event") == "reconnect.waiting":
            self.seconds.append(vars(record)["seconds"])


@asynccontextmanager
async def waiting() -> AsyncGenerator[list[float]]:
    """The seconds that clients say they will wait, as they say it."""
    handler = Waiting()
    log = logging.getLogger("pellucid")
    log.addHandler(handler)
    try:
        yield handler.seconds
    finally:
        log.removeHandler(handler)


@on_a_stopped_clock
async def test_the_root_is_that_of_the_connection_there_is(clock: StoppedClock) -> None:
    async with house(Gate()) as place, pb.reconnecting(place.url) as client:
        root = await client.root()
        assert await root.call("echo", 1) == 1
        assert await client.root() is root
        assert client.is_connected
        assert (await client.connection()).root is root


@on_a_stopped_clock
async def test_nobody_waits_for_a_client_that_was_not_entered(clock: StoppedClock) -> None:
    client = pb.reconnecting("pb://localhost", credentials=ALICE)
    for get in client.connection, client.root, client.avatar:
        with pytest.raises(RuntimeError, match=r"was not entered: async with pellucid.reconnecting\(...\) as client"):
            await get()


@on_a_stopped_clock
async def test_when_the_connection_is_lost_references_are_dead_and_the_root_is_fetched_anew(
    clock: StoppedClock,
) -> None:
    async with house(Gate()) as place, waiting() as waits, pb.reconnecting(place.url) as client:
        before = await client.root()
        call = before.call("wait")
        place.cut()
        assert isinstance(await outcome(call), pb.PBConnectionLost)
        with pytest.raises(pb.DeadReferenceError):
            before.call("echo")
        asking = asyncio.ensure_future(client.root())
        await until(lambda: waits)
        assert not asking.done()
        await clock.let_pass(waits[0])
        after = await asking
        assert after is not before
        assert await after.call("echo", 2) == 2


@on_a_stopped_clock
async def test_a_client_may_be_there_before_its_server(clock: StoppedClock) -> None:
    async with (
        house(Gate(), is_open=False) as place,
        waiting() as waits,
        pb.reconnecting(place.url, first_wait=1) as client,
    ):
        asking = asyncio.ensure_future(client.root())
        for attempt in range(5):
            await until(lambda attempt=attempt: len(waits) > attempt)  # type: ignore[misc]
            await clock.let_pass(waits[-1] - A_MOMENT)
            assert len(waits) == attempt + 1
            assert not asking.done()
            if attempt == 4:
                await place.open()
            await clock.let_pass(A_MOMENT)
        assert await (await asking).call("echo", 1) == 1
        assert waits == [1, 2, 4, 8, 16]


@on_a_stopped_clock
async def test_no_wait_is_longer_than_the_longest(clock: StoppedClock) -> None:
    async with (
        house(Gate(), is_open=False) as place,
        waiting() as waits,
        pb.reconnecting(place.url, first_wait=1, longest_wait=3),
    ):
        for attempt in range(5):
            await until(lambda attempt=attempt: len(waits) > attempt)  # type: ignore[misc]
            await clock.let_pass(waits[-1])
        assert waits[:5] == [1, 2, 3, 3, 3]


@on_a_stopped_clock
async def test_waits_grow_while_connections_last_no_time_and_begin_anew_after_one_that_does(
    clock: StoppedClock,
) -> None:
    async with (
        house(Gate()) as place,
        waiting() as waits,
        pb.reconnecting(place.url, first_wait=1, longest_wait=4) as client,
    ):
        for lasts in 0, 0, 4 - A_MOMENT, 4, 0:
            await client.root()
            await clock.let_pass(lasts)
            count = len(waits)
            place.cut()
            await until(lambda count=count: len(waits) > count)  # type: ignore[misc]
            await clock.let_pass(waits[-1])
        assert waits == [1, 2, 4, 1, 2]


def test_waits_are_at_random_below_what_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        asked.append((least, most))
        return most / 2

    monkeypatch.setattr(random, "uniform", uniform)

    @on_a_stopped_clock
    async def fails_once(clock: StoppedClock) -> None:
        async with house(Gate(), is_open=False) as place, waiting() as waits, pb.reconnecting(place.url, first_wait=1):
            await until(lambda: waits)
            assert waits == [0.5]

    fails_once()
    assert asked == [(0, 1)]


@on_a_stopped_clock
async def test_each_connection_logs_in_anew(clock: StoppedClock) -> None:
    class Mind(pb.Referenceable):
        def remote_echo(self, value: Any) -> Any:
            return value

    hall = Hall()
    async with (
        house(portal(hall)) as place,
        waiting() as waits,
        pb.reconnecting(place.url, credentials=ALICE, mind=Mind()) as client,
    ):
        for count in range(3):
            avatar = await client.avatar()
            assert await avatar.call("name") == "alice"
            assert await avatar.call("greet", "hello") == "hello, alice"
            assert await client.avatar() is avatar
            place.cut()
            await until(lambda count=count: len(waits) > count)  # type: ignore[misc]
            assert not avatar.alive
            await clock.let_pass(waits[-1])


@on_a_stopped_clock
async def test_credentials_can_be_made_for_each_login(clock: StoppedClock) -> None:
    made: list[int] = []

    async def fresh() -> object:
        made.append(len(made))
        return ALICE

    async with (
        house(portal(Hall())) as place,
        waiting() as waits,
        pb.reconnecting(place.url, credentials=fresh) as client,
    ):
        await client.avatar()
        place.cut()
        await until(lambda: waits)
        await clock.let_pass(waits[-1])
        await client.avatar()
        assert made == [0, 1]


@on_a_stopped_clock
@patch.object(login, "is_protected", lambda transport: False)
async def test_an_old_login_has_to_be_allowed_where_others_could_listen(clock: StoppedClock) -> None:
    old = portal(Hall(), Challenging({"alice": "secret"}), allow_md5=True)
    async with house(old) as place:
        async with pb.reconnecting(place.url, credentials=ALICE) as client:
            assert isinstance(await outcome(client.avatar()), pb.UnprotectedLogin)
        async with pb.reconnecting(place.url, credentials=ALICE, allow_md5=True) as client:
            assert await (await client.avatar()).call("name") == "alice"


@on_a_stopped_clock
async def test_without_credentials_there_is_no_avatar(clock: StoppedClock) -> None:
    async with house(Gate()) as place, pb.reconnecting(place.url) as client:
        with pytest.raises(LookupError, match="credentials="):
            await client.avatar()


@on_a_stopped_clock
async def test_wrong_credentials_are_tried_once(clock: StoppedClock) -> None:
    wrong = pb.credentials.Password("alice", "wrong")
    hall = Hall()
    async with (
        house(portal(hall)) as place,
        waiting() as waits,
        pb.reconnecting(place.url, credentials=wrong) as client,
    ):
        for _ in range(2):
            assert isinstance(await outcome(client.avatar()), pb.UnauthorizedLogin)
        await clock.let_pass(1000)
        assert not waits
        assert "over" in repr(client)
        assert place.server is not None
        await until(lambda: not place.server.connections)  # type: ignore[union-attr]


@on_a_stopped_clock
async def test_who_is_told_that_too_many_logins_have_failed_tries_again_later(clock: StoppedClock) -> None:
    async def log_in_wrongly(url: str) -> None:
        async with pb.connect(url) as connection:
            assert isinstance(
                await outcome(connection.login(pb.credentials.Password("alice", "wrong"))), pb.UnauthorizedLogin
            )

    hall = Hall()
    throttle = pb.LoginThrottle(by_peer=1, peer_seconds=6.0)
    guarded = portal(hall, pb.InMemoryPasswords({"alice": "secret"}), throttle=throttle)
    async with house(guarded) as place, waiting() as waits:
        await log_in_wrongly(place.url)
        async with pb.reconnecting(place.url, credentials=ALICE) as client:
            while not waits:
                await clock.let_pass(throttle.refused_seconds / 100)
            await clock.let_pass(1000)
            assert isinstance(await client.avatar(), pb.RemoteReference)


@over("pb")
@on_a_stopped_clock
async def test_no_common_dialect_is_tried_once(clock: StoppedClock) -> None:
    async with (
        pb.serve(Gate(), HERE, dialects=["pb"]) as server,
        waiting() as waits,
        pb.reconnecting(*server.urls, dialects=["none"]) as client,
    ):
        assert isinstance(await outcome(client.root()), pb.NoCommonDialect)
        await clock.let_pass(1000)
        assert not waits


@over("pellucid")
@on_a_stopped_clock
async def test_a_certificate_that_is_not_to_be_trusted_is_tried_once(clock: StoppedClock) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with (
        pb.serve(Gate(), "pbs://127.0.0.1:0", tls=context) as server,
        waiting() as waits,
        pb.reconnecting(*server.urls) as client,
    ):
        assert isinstance(await outcome(client.root()), pb.ConnectFailed)
        await clock.let_pass(1000)
        assert not waits


@on_a_stopped_clock
async def test_everybody_is_told_when_a_connection_comes_and_when_its_references_have_died(
    clock: StoppedClock,
) -> None:
    events: list[Any] = []

    async def on_connected(root: pb.RemoteReference) -> None:
        events.append(await root.call("echo", "up"))
        assert not client.is_connected  # nobody else has it yet

    def on_disconnected() -> None:
        events.append("down")
        assert not client.is_connected

    async with house(Gate()) as place, waiting() as waits:
        client = pb.reconnecting(place.url, on_connected=on_connected, on_disconnected=on_disconnected)
        async with client:
            await client.root()
            assert events == ["up"]
            place.cut()
            await until(lambda: waits)
            assert events == ["up", "down"]
            await clock.let_pass(waits[-1])
            await client.root()
            assert events == ["up", "down", "up"]
        assert events == ["up", "down", "up", "down"]


@on_a_stopped_clock
async def test_a_connection_that_is_lost_while_it_is_prepared_is_followed_by_another(clock: StoppedClock) -> None:
    tried: list[int] = []

    async def on_connected(root: pb.RemoteReference) -> None:
        tried.append(len(tried))
        if len(tried) == 1:
            place.cut()
            await root.call("echo")

    async with (
        house(Gate()) as place,
        waiting() as waits,
        pb.reconnecting(place.url, on_connected=on_connected) as client,
    ):
        asking = asyncio.ensure_future(client.root())
        await until(lambda: waits)
        await clock.let_pass(waits[-1])
        assert (await asking).alive
        assert tried == [0, 1]


@on_a_stopped_clock
async def test_a_mistake_of_the_application_s_ends_it_with_that(clock: StoppedClock) -> None:
    async with (
        house(Gate()) as place,
        waiting() as waits,
        pb.reconnecting(place.url, on_connected=lambda root: 1 // 0) as client,
    ):
        assert isinstance(await outcome(client.root()), ZeroDivisionError)
        assert not waits


def test_a_mistake_after_the_end_of_a_connection_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    @on_a_stopped_clock
    async def reconnects(clock: StoppedClock) -> None:
        async with (
            house(Gate()) as place,
            waiting() as waits,
            pb.reconnecting(place.url, on_disconnected=lambda: 1 // 0) as client,
        ):
            await client.root()
            place.cut()
            await until(lambda: waits)
            await clock.let_pass(waits[-1])
            assert (await client.root()).alive

    reconnects()
    assert "callback.failed" in [vars(record).get("event") for record in caplog.records]


@on_a_stopped_clock
async def test_closing_ends_the_connection_and_who_waits_for_one_is_told(clock: StoppedClock) -> None:
    async with house(Gate()) as place:
        async with pb.reconnecting(place.url) as client:
            root = await client.root()
        assert not root.alive
        assert place.server is not None
        await until(lambda: not place.server.connections)  # type: ignore[union-attr]
        with pytest.raises(pb.ConnectFailed, match="closed here"):
            await client.root()
    async with house(Gate(), is_open=False) as place, pb.reconnecting(place.url) as client:
        asking = asyncio.ensure_future(outcome(client.root()))
        await turns()
        await client.close()
        assert isinstance(await asking, pb.ConnectFailed)
        await client.close()


@on_a_stopped_clock
async def test_giving_up_to_wait_disturbs_nobody(clock: StoppedClock) -> None:
    async with (
        house(Gate(), is_open=False) as place,
        waiting() as waits,
        pb.reconnecting(place.url) as client,
    ):
        given_up, asking = (asyncio.ensure_future(client.root()) for _ in range(2))
        await until(lambda: waits)
        given_up.cancel()
        await turns()
        await place.open()
        await clock.let_pass(waits[-1])
        assert await (await asking).call("echo", 1) == 1
        assert given_up.cancelled()


@pytest.mark.parametrize("when", range(60))
def test_a_client_that_is_cancelled_at_any_moment_leaves_nothing_behind(when: int) -> None:
    @on_a_stopped_clock
    async def cancelled(clock: StoppedClock) -> None:
        async with house(portal(Hall())) as place:

            async def use() -> None:
                async with pb.reconnecting(place.url, credentials=ALICE) as client:
                    await client.avatar()
                    await asyncio.get_running_loop().create_future()

            using = asyncio.ensure_future(use())
            await turns(when)
            using.cancel()
            await asyncio.wait([using])
            assert using.cancelled()
            assert place.server is not None
            await until(lambda: not place.server.connections)  # type: ignore[union-attr]
            assert [task.get_name() for task in asyncio.all_tasks() if "reconnecting" in task.get_name()] == []

    cancelled()


@on_a_stopped_clock
async def test_no_call_is_made_again_by_itself(clock: StoppedClock) -> None:
    gate = Gate()
    async with house(gate) as place, waiting() as waits, pb.reconnecting(place.url) as client:
        call = (await client.root()).call("wait", 1)
        assert await gate.entered.get() == 1
        place.cut()
        await until(lambda: waits)
        await clock.let_pass(waits[-1])
        await client.root()
        error = await outcome(call)
        assert isinstance(error, pb.PBConnectionLost)
        assert error.sent
        assert gate.entered.empty()


@on_a_stopped_clock
async def test_a_client_keeps_nothing_of_a_connection_that_was_lost(clock: StoppedClock) -> None:
    async with house(Gate()) as place, waiting() as waits, pb.reconnecting(place.url) as client:
        await client.root()
        place.cut()
        await until(lambda: waits)
        await clock.let_pass(waits[-1])
        await client.root()
        gc.collect()
        ours = [each for each in gc.get_objects() if isinstance(each, pb.Connection) and not each._listens]
        assert len(ours) == 1


@pytest.mark.parametrize("waits", [{"first_wait": 0}, {"first_wait": 3, "longest_wait": 2}, {"longest_wait": 0}])
def test_waits_have_to_be_of_some_time(waits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="first_wait="):
        pb.reconnecting("pb://localhost", **waits)  # type: ignore[arg-type]


def test_options_are_looked_at_at_once() -> None:
    with pytest.raises(ValueError, match="dialect"):
        pb.reconnecting("pb://localhost", dialects=["latin"])
    with pytest.raises(TypeError):
        pb.reconnecting("pb://localhost", colour="blue")


def test_without_tenacity_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenacity", None)
    with pytest.raises(ImportError, match=r"pellucid\[reconnect\]"):
        pb.reconnecting("pb://localhost")
