"""Every kind of value crosses between pellucid and stock Twisted, both ways, and arrives as exactly what it was."""

from __future__ import annotations

import asyncio
import collections
import json

import pytest

import pellucid as pb
from tests.interop import twin
from tests.interop.harness import Ask, Client, Connect, Server, run
from tests.interop.peers.samples import SAMPLES, describe
from tests.interop.releases import Release
from tests.interop.twin import TRUSTING, Circle, Letter, Plain, Point, Unregistered

DESCRIBED = {name: describe(make()) for name, make in SAMPLES.items()}

COPIES = [
    "Point(x=int 1, y=list[float 2.5, str y])",
    "Circle(centre=Point(x=int 0, y=int 0), radius=int 3)",
    "list[Circle(centre=#1=Point(x=int 0, y=int 0), radius=int 1), Circle(centre=#1, radius=int 2)]",
    "#1=Point(x=int 1, y=list[#1])",
    "Letter(reader=None, text=str for anyone)",
]


def test_a_twisted_client_and_a_pellucid_server_agree_on_a_dialect(ask_either: Ask, dialect: str) -> None:
    assert ask_either("dialect") == dialect


def test_every_value_arrives_from_a_twisted_client(ask_either: Ask) -> None:
    assert ask_either("describe") == DESCRIBED


def test_every_value_arrives_at_a_twisted_client(ask_either: Ask) -> None:
    assert ask_either("check") == DESCRIBED


def test_every_value_comes_back_to_a_twisted_client(ask_either: Ask) -> None:
    assert ask_either("echo") == DESCRIBED


@pytest.mark.parametrize("name", SAMPLES)
def test_a_value_arrives_at_a_twisted_server_and_comes_back(connect: Connect, name: str) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            assert await connection.root.call("describe", SAMPLES[name]()) == DESCRIBED[name]
            assert describe(await connection.root.call("check", name)) == DESCRIBED[name]
            assert describe(await connection.root.call("echo", SAMPLES[name]())) == DESCRIBED[name]

    run(scenario())


def test_a_dict_from_a_twisted_client_keeps_its_order(ask_either: Ask) -> None:
    assert ask_either("order") == [["z", "a", "m"]] * 2


def test_a_dict_at_a_twisted_server_keeps_its_order(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            ordered = {"z": 1, "a": 2, "m": 3}
            assert await connection.root.call("order", ordered) == ["z", "a", "m"]
            assert list(await connection.root.call("echo", ordered)) == ["z", "a", "m"]

    run(scenario())


def test_keyword_arguments_of_any_name_arrive_from_a_twisted_client(ask_either: Ask) -> None:
    assert ask_either("keywords") == [
        "list[list[], dict{}]",
        "list[list[int 1, str two], dict{str count: int 12, str name: str Bob}]",
        "list[list[], dict{str args: tuple[int 1], str broker: None, str kw: dict{}, str message: bytes 78, "
        "str method: str m, str timeout: float 1.5}]",
        r"list[list[], dict{str : int 4, str class: int 3, str na\xefve: int 1, str with space: int 2}]",
    ]


def test_keyword_arguments_of_any_name_arrive_at_a_twisted_server(connect: Connect) -> None:
    keywords = {"name": "Bob", "timeout": 1.5, "message": b"x", "self": 1, "na\u00efve": 2, "": 3, "one_way": None}

    async def scenario() -> None:
        async with connect() as connection:
            seen = await connection.root.call_with(timeout=20.0).call("keywords", 1, "two", **keywords)
            assert seen == describe([[1, "two"], keywords])

    # "self" is the one name that Twisted's method has taken already.
    del keywords["self"]
    run(scenario())


def test_copyables_cross_between_a_twisted_client_and_a_server(ask_either: Ask) -> None:
    assert ask_either("copyables") == {"received": COPIES, "sent": COPIES, "echoed": COPIES}


def test_copyables_cross_between_a_pellucid_client_and_a_twisted_server(connect: Connect) -> None:
    shared = Point(0, 0)
    cyclic = Point(1, None)
    cyclic.y = [cyclic]
    sent = [
        Point(1, [2.5, "y"]),
        Circle(Point(0, 0), 3),
        [Circle(shared, 1), Circle(shared, 2)],
        cyclic,
        Letter("for anyone"),
    ]

    async def scenario() -> None:
        async with connect() as connection:
            call = connection.root.call
            received = [await call(name) for name in ("point", "circle", "circles", "cyclic_point", "letter")]
            assert [describe(value) for value in received] == COPIES
            assert [await call("describe", value) for value in sent] == COPIES
            assert [describe(await call("echo", value)) for value in sent] == COPIES

    run(scenario())


def test_what_a_twisted_client_may_not_send_is_refused_and_the_connection_lives(ask: Ask, release: Release) -> None:
    seen = ask("refused")
    refusal = "twisted.spread.jelly.InsecureJelly"
    # On Python 3 Twisted can't encode it.
    name_refusal = "twisted.spread.banana.BananaError" if release.python == 3 else refusal
    assert {name: outcome.get("type") for name, outcome in seen.items()} == {
        "class": refusal,
        "function": name_refusal,
        "module": name_refusal,
        "instance": refusal,
        "unregistered": refusal,
        "alive": None,
    }
    assert "collections.OrderedDict" in seen["class"]["value"]
    assert "interop.Unregistered" in seen["unregistered"]["value"]
    assert seen["alive"] == {"result": "str alive"}


def test_what_a_pellucid_server_may_not_send_fails_that_call_of_a_twisted_client(ask: Ask) -> None:
    seen = ask("refused_by_the_server")
    assert seen.pop("alive") == {"result": "str alive"}
    assert {outcome["type"] for outcome in seen.values()} == {"twisted.spread.jelly.InsecureJelly"}
    assert "stock_flavors.Plain" in seen["instance"]["value"]


def test_what_a_pellucid_client_may_not_send_is_refused_before_it_is_sent(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for value in collections.OrderedDict, json.dumps, json, Plain(), bytearray(b"x"), 1j, object():
                with pytest.raises(pb.InsecureJelly) as caught:
                    await connection.root.call("count", ["here", value])
                assert caught.value.path.endswith("[1]")
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


def test_a_copyable_that_the_twisted_server_does_not_know_fails_that_call(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.InsecureJelly, match="interop"):
                await connection.root.call("describe", Unregistered())
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


@pytest.mark.parametrize("method", ["named", "unregistered"])
def test_a_result_that_pellucid_may_not_take_fails_that_call_alone(connect: Connect, method: str) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.InsecureJelly):
                await connection.root.call(method, *["class"][: method == "named"])
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


def test_the_placeholder_of_a_twisted_client_is_taken_where_the_door_is_told_to(
    dialect: str, stock_client: Client, door_server: Server
) -> None:
    seen = {
        service: stock_client.ask("refused", dialect, door_server.ports[dialect], {"service": service})
        for service in ("root", "lenient")
    }
    assert seen["root"]["instance"]["type"] == "twisted.spread.jelly.InsecureJelly"
    assert seen["lenient"]["instance"] == {"result": "str Unpersistable"}


def test_an_instance_that_twisted_may_not_send_arrives_as_a_placeholder(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            placeholder = await connection.root.call("plain")
            assert isinstance(placeholder, pb.Unpersistable)
            assert placeholder.reason == "Unpersistable data: instance of class stock_flavors.Plain deemed insecure"

    run(scenario())


def test_what_both_sides_allow_crosses_between_a_twisted_client_and_a_server(ask_either: Ask) -> None:
    assert ask_either("allowed") == {
        "class": {"result": "str class collections.OrderedDict"},
        "same class": True,
        "class asked": True,
        "instance": {"result": "str Plain(value=int 5)"},
        "instance asked": "Plain(value=int 1)",
    }


def test_functions_and_modules_that_both_sides_allow_reach_a_twisted_client(ask: Ask) -> None:
    assert ask("named_by_the_server") == [True, True]


def test_what_both_sides_allow_crosses_between_a_pellucid_client_and_a_twisted_server(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect("trusting", policy=TRUSTING) as connection:
            call = connection.root.call
            assert await call("echo", collections.OrderedDict) is collections.OrderedDict
            assert await call("named", "class") is collections.OrderedDict
            assert await call("describe", json.dumps) == "function"
            assert await call("describe", json) == "module"
            assert await call("describe", Plain(5)) == "Plain(value=int 5)"
            assert describe(await call("plain")) == "Plain(value=int 1)"

    run(scenario())


@pytest.mark.parametrize(
    "value",
    [b"x" * (640 * 1024 + 1), [0] * (640 * 1024), 2**448, "\u00e9" * (320 * 1024 + 1)],
    ids=["bytes", "list", "int", "str"],
)
def test_an_argument_that_twisted_would_not_take_fails_that_call_alone(connect: Connect, value: object) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.LimitExceeded):
                await connection.root.call("count", value)
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


def test_the_largest_bytes_that_twisted_takes_go_there_and_back(connect: Connect) -> None:
    largest = b"x" * (640 * 1024)

    async def scenario() -> None:
        async with connect() as connection:
            assert await connection.root.call("echo", largest) == largest

    run(scenario())


def test_a_result_that_twisted_would_not_take_fails_that_call_of_a_twisted_client_alone(ask: Ask) -> None:
    seen = ask("oversize")
    assert seen["big"]["type"] == "pellucid.errors.LimitExceeded"
    assert "string_bytes" in seen["big"]["value"]
    assert seen["big"]["expected"]
    assert seen["alive"] == {"result": "str alive"}


def test_a_server_may_insist_on_a_dialect(stock_client: Client, dialect: str) -> None:
    async def scenario() -> None:
        async with twin.serving(dialects=["none"]) as ports:
            assert await asyncio.to_thread(stock_client.ask, "dialect", dialect, ports, {}) == "none"

    run(scenario())


def test_a_client_may_insist_on_a_dialect(stock_server: Server) -> None:
    async def scenario() -> None:
        async with pb.connect(f"pb://127.0.0.1:{stock_server.ports['pb']['root']}", dialects=["none"]) as connection:
            assert connection.dialect == "none"
            assert await connection.root.call("echo", "list") == "list"

    run(scenario())
