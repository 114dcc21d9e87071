from __future__ import annotations

import asyncio
import gc
import logging
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import pellucid as pb
from pellucid import blocking
from pellucid.asyncio import places
from pellucid.asyncio.places import Place
from pellucid.errors import ConnectFailed, InsecureJelly, PBConnectionLost, RemoteError, TooManyCalls
from pellucid.urls import TCPURL
from tests.dialects import each_dialect, over
from tests.unit.asyncio.door import HERE, Gate, RawPeer, on_each_loop, outcome, pair, turns

pytestmark = each_dialect


class Named(pb.Root):
    def __init__(self, name: str) -> None:
        self.name = name

    def remote_name(self) -> str:
        return self.name


async def name_at(url: str, **options: Any) -> Any:
    async with pb.connect(url, **options) as connection:
        return await connection.root.call("name")


# Where it listens.


@on_each_loop
async def test_port_0_takes_a_free_port_and_urls_say_which() -> None:
    async with pb.serve(Named("it"), "pb://127.0.0.1:0", "pb://127.0.0.1:0") as server:
        first, second = server.urls
        assert first != second
        assert not first.endswith(":0")
        assert [await name_at(first), await name_at(second)] == ["it", "it"]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
@on_each_loop
async def test_a_server_listens_at_an_ipv6_address() -> None:
    async with pb.serve(Named("it"), "pb://[::1]:0") as server, pb.connect(server.urls[0]) as connection:
        assert server.urls[0].startswith("pb://[::1]:")
        assert connection.peer == server.urls[0].removeprefix("pb://")
        assert await connection.root.call("name") == "it"


@on_each_loop
async def test_a_server_listens_at_a_unix_socket(tmp_path: Path) -> None:
    url = f"pb+unix:{tmp_path}/a socket"
    async with pb.serve(Named("it"), url) as server:
        assert server.urls == (url.replace(" ", "%20"),)
        async with pb.connect(server.urls[0]) as connection:
            assert await connection.root.call("name") == "it"
            assert connection.peer == f"unix:{tmp_path}/a socket"


@on_each_loop
async def test_a_server_takes_a_socket_that_listens_already() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        async with pb.serve(Named("it"), sock=sock) as server:
            assert server.urls == (f"pb://127.0.0.1:{sock.getsockname()[1]}",)
            assert await name_at(server.urls[0]) == "it"


@on_each_loop
async def test_a_server_takes_several_sockets_of_any_kind_beside_urls(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(f"{tmp_path}/a socket")
        unix.listen()
        async with pb.serve(Named("it"), HERE, sock=[tcp, unix]) as server:
            assert [url.partition(":")[0] for url in server.urls] == ["pb", "pb", "pb+unix"]
            assert [await name_at(url) for url in server.urls] == ["it"] * 3


@on_each_loop
async def test_a_port_in_use_is_an_os_error_and_nothing_else_stays_open() -> None:
    async with pb.serve(Named("first"), HERE) as first:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        second = pb.serve(Named("second"), f"pb://127.0.0.1:{port}", first.urls[0])
        with pytest.raises(OSError, match=r"can't listen at pb://127.0.0.1:[0-9]+: Address already in use$"):
            await second
        with pytest.raises(ConnectFailed):
            await name_at(f"pb://127.0.0.1:{port}")
        assert await name_at(first.urls[0]) == "first"


@pytest.mark.parametrize(
    ("urls", "options", "problem"),
    [
        (["http://127.0.0.1"], {}, "scheme"),
        (["pbs://127.0.0.1"], {}, "tls="),
        (["pb://127.0.0.1"], {"dialects": ["jelly"]}, "'jelly'"),
        (["pb://127.0.0.1"], {"dialects": []}, "at least one dialect"),
    ],
)
def test_what_cannot_be_served_is_a_value_error_at_once(urls: list[str], options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        pb.serve(Named("it"), *urls, **options)


def test_a_root_that_is_none_is_a_type_error_at_once() -> None:
    root: Any = object()
    with pytest.raises(TypeError, match="not object"):
        pb.serve(root, HERE)


@pytest.mark.parametrize("serve", [pb.serve, blocking.serve], ids=["asyncio", "blocking"])
def test_a_factory_that_takes_no_connection_is_a_type_error_at_once(serve: Any) -> None:
    with pytest.raises(TypeError, match=r"Gate is called with each connection, .* as in serve\(Echoer\(\), url\)"):
        serve(Gate, HERE)  # the parentheses were forgotten
    with pytest.raises(TypeError, match="<lambda> is called with each connection"):
        serve(lambda: Named("it"), HERE)


# Its life.


@on_each_loop
async def test_a_server_can_be_awaited_and_then_entered_and_listens_once() -> None:
    server = await pb.serve(Named("it"), HERE)
    async with server:
        (url,) = server.urls
        assert await name_at(url) == "it"
    with pytest.raises(ConnectFailed):
        await name_at(url)


@on_each_loop
async def test_a_server_says_what_it_is() -> None:
    server = pb.serve(Named("it"), HERE)
    assert repr(server) == "<Server not listening connections=0>"
    async with server, pb.connect(server.urls[0]):
        assert repr(server) == f"<Server {server.urls[0]} connections=1>"


@on_each_loop
async def test_closing_twice_is_as_good_as_once() -> None:
    async with pair(Named("it")) as both:
        await both.server.close()
        await both.server.close()
        assert not both.server.connections


@on_each_loop
async def test_a_server_that_is_closed_while_it_starts_does_not_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = asyncio.Event()

    async def slowly_bind(url: TCPURL) -> Place:
        place = await places.bind(url)
        await closed.wait()
        return place

    monkeypatch.setattr("pellucid.asyncio.server.bind", slowly_bind)
    server = pb.serve(Gate(), HERE, HERE)
    starting = asyncio.ensure_future(server.start())
    await turns(1)
    await server.close()
    closed.set()
    error = await outcome(starting)
    assert isinstance(error, RuntimeError)
    assert "closed while it started" in str(error)
    gc.collect()  # a socket that is left open complains


@on_each_loop
async def test_serving_for_ever_ends_in_closing_when_it_is_cancelled() -> None:
    server = await pb.serve(Named("it"), HERE)
    connection = await pb.connect(server.urls[0])
    serving = asyncio.ensure_future(server.serve_forever())
    await turns()
    serving.cancel()
    await asyncio.wait([serving])
    assert serving.cancelled()
    await connection.wait_closed()
    with pytest.raises(ConnectFailed):
        await name_at(server.urls[0])


@on_each_loop
async def test_a_server_logs_where_it_listens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pellucid")
    async with pb.serve(Named("it"), HERE) as server:
        (record,) = caplog.records
        assert record.getMessage() == f"listening at {server.urls[0]}"
        assert (vars(record)["event"], vars(record)["url"]) == ("server.listening", server.urls[0])


# Roots.


@on_each_loop
async def test_a_factory_makes_the_root_of_each_connection_and_is_given_it(dialect: str) -> None:
    given: list[pb.Connection] = []

    def make(connection: pb.Connection) -> Named:
        given.append(connection)
        return Named(f"{len(given)} for {connection.peer}")

    async with pb.serve(make, HERE) as server, pb.connect(server.urls[0]) as one, pb.connect(server.urls[0]) as two:
        assert [await two.root.call("name"), await one.root.call("name")] == [
            f"{given.index(connection) + 1} for {connection.peer}" for connection in reversed(given)
        ]
        assert set(given) == server.connections
        assert {connection.dialect for connection in given} == {dialect}


@on_each_loop
async def test_connections_stand_in_the_order_in_which_they_were_made() -> None:
    given: list[pb.Connection] = []

    def make(connection: pb.Connection) -> pb.Root:
        given.append(connection)
        return pb.Root()

    async with pb.serve(make, HERE) as server:
        clients = [await pb.connect(server.urls[0]) for _ in range(20)]
        await clients.pop(3).close()
        del given[3]

        assert list(server.connections) == given


@on_each_loop
async def test_a_class_is_a_factory() -> None:
    class OfOne(pb.Root):
        def __init__(self, connection: pb.Connection) -> None:
            self.connection = connection

        def remote_peer(self) -> str:
            return self.connection.peer

    async with pair(OfOne) as both:
        assert await both.client.root.call("peer") == both.served.peer


@pytest.mark.parametrize("spelling", ["root_object", "rootObject"])
@on_each_loop
async def test_a_root_may_give_each_connection_another_object(spelling: str) -> None:
    def root_object(self: Named, connection: pb.Connection) -> Named:
        return Named(f"{self.name} of {connection.peer}")

    cls = type("Choosing", (Named,), {spelling: root_object})
    async with pair(cls("share")) as both:
        assert await both.client.root.call("name") == f"share of {both.served.peer}"


@on_each_loop
async def test_a_referenceable_that_is_no_root_can_be_served() -> None:
    class Plain(pb.Referenceable):
        def remote_name(self) -> str:
            return "plain"

    async with pb.serve(Plain(), HERE) as server:
        assert await name_at(server.urls[0]) == "plain"


@on_each_loop
async def test_a_factory_that_fails_costs_one_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    names: list[Any] = [None, ZeroDivisionError("no root today"), "third time lucky"]

    def make(connection: pb.Connection) -> Any:
        name = names.pop(0)
        if isinstance(name, Exception):
            raise name
        return name and Named(name)

    async with pb.serve(make, HERE) as server:
        for _ in range(2):
            assert isinstance(await outcome(name_at(server.urls[0])), PBConnectionLost)
        assert await name_at(server.urls[0]) == "third time lucky"
    causes = [record.exc_info[1] for record in caplog.records if record.exc_info]
    assert [type(cause) for cause in causes] == [TypeError, ZeroDivisionError]


@on_each_loop
async def test_the_root_of_a_factory_may_call_the_client_as_soon_as_it_is_made() -> None:
    class Greeting(pb.Root):
        def remote_meet(self, client: pb.RemoteReference) -> None:
            self.greeting = client.call_with(one_way=True).call("wait", "hello")

    def make(connection: pb.Connection) -> Greeting:
        # The client publishes no root: that is an error of the call, not of the connection.
        refused.append(connection.root.call("wait"))
        return Greeting()

    refused: list[pb.Call] = []
    async with pair(make) as both:
        gate = Gate()
        await both.client.root.call("meet", gate)
        assert await gate.entered.get() == "hello"
        assert str(await outcome(refused[0])) == "Invalid Object ID"


# Two servers in one process.


@dataclass
class Point:
    x: int


class Echo(Gate): ...


@on_each_loop
async def test_two_servers_may_differ_in_registry_policy_limits_and_dialects(dialect: str) -> None:
    registry = pb.Registry()
    registry.register_copyable(Point)
    limits = replace(pb.Limits(), string_bytes=1000)
    client = {"registry": registry}
    async with (
        pair(Echo(), client=client, registry=registry, limits=limits, dialects=["none"]) as knowing,
        pair(Echo(), client=client, registry=pb.Registry(), policy=pb.Policy(types=["tuple", "dictionary"])) as strict,
    ):
        assert (knowing.client.dialect, strict.client.dialect) == ("none", dialect)
        assert await knowing.client.root.call("echo", Point(1)) == Point(1)
        assert isinstance(await outcome(strict.client.root.call("echo", Point(1))), InsecureJelly)
        assert await knowing.client.root.call("echo", [True]) == [True]
        assert isinstance(await outcome(strict.client.root.call("echo", [True])), InsecureJelly)
        assert isinstance(await outcome(knowing.client.root.call("echo", bytes(1001))), Exception)
        assert await strict.client.root.call("echo", bytes(1001)) == bytes(1001)


@on_each_loop
async def test_two_servers_may_differ_in_how_many_methods_run_and_in_what_clients_are_told() -> None:
    class Failing(Gate):
        def remote_fail(self) -> None:
            raise ZeroDivisionError

    narrow = pb.Limits(running_calls=1, waiting_calls=0)
    async with pair(Failing(), limits=narrow) as one, pair(Failing(), unsafe_tracebacks=True) as two:
        for both, error in (one, TooManyCalls), (two, str):
            both.client.root.call("wait").cancel()
            assert isinstance(await outcome(both.client.root.call("echo", "text")), error)
        told = await outcome(two.client.root.call("fail"))
        assert isinstance(told, RemoteError)
        assert told.remote_traceback is not None
        assert "remote_fail" in told.remote_traceback


# Who comes in.


@over("none")
@on_each_loop
async def test_a_client_that_never_speaks_is_cut_off_in_time_and_others_are_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with pb.serve(Named("it"), HERE, limits=pb.Limits(handshake_seconds=0.05)) as server:
        silent = await RawPeer.connect_silently(server.urls[0])
        assert b"none" in await silent.receive()
        assert await name_at(server.urls[0]) == "it"
        assert await silent.receive_until_closed() == []
        await silent.close()
        (record,) = caplog.records
        assert "no dialect was agreed on within Limits.handshake_seconds=" in record.getMessage()
        assert vars(record)["event"] == "connection.aborted"


@on_each_loop
async def test_a_client_that_spoke_in_time_is_not_cut_off() -> None:
    async with pair(Named("it"), limits=pb.Limits(handshake_seconds=0.02)) as both:
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(0.04, passed.set)
        await passed.wait()
        assert await both.client.root.call("name") == "it"


@on_each_loop
async def test_a_connection_counts_until_its_notices_are_given() -> None:
    counts: list[int] = []
    async with pair(Named("it")) as both:
        both.served.notify_on_disconnect(lambda: counts.append(len(both.server.connections)))
        both.client.abort("for the test")
        await both.served.wait_closed()
        assert counts == [0]


def test_a_server_is_told_where_to_listen() -> None:
    with pytest.raises(ValueError, match="say where to listen"):
        pb.serve(pb.Root())


def test_what_happens_to_methods_at_a_disconnect_is_one_of_two_things() -> None:
    with pytest.raises(ValueError, match="on_disconnect is"):
        pb.serve(pb.Root(), HERE, on_disconnect="stop")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
