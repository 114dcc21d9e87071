"""Errors of all kinds, both ways: the expected arrive as themselves, the rest by name, tracebacks only by choice."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import pytest

import pellucid as pb
from pellucid.wire.pb import banana
from pellucid.wire.pb.vocabulary import TOKENS
from tests.interop.harness import Ask, Connect, run
from tests.interop.peers.samples import describe
from tests.interop.releases import Release, modern
from tests.interop.twin import OutOfStock, RichError, Thing, make_error

HOW = ("raise", "raise_later")

OBJECT = ["builtins.Exception", "builtins.BaseException", "builtins.object"]
PB_ERROR = "twisted.spread.pb.Error"
TEXT = "na\u00efve \U0001f600"

TOLD: dict[str, tuple[str, str, list[str]]] = {
    "expected": ("stock_flavors.OutOfStock", "no more ducks", ["stock_flavors.OutOfStock", PB_ERROR, *OBJECT]),
    "pb.Error": (PB_ERROR, "plain", [PB_ERROR, *OBJECT]),
    "unexpected": ("builtins.ValueError", TEXT, ["builtins.ValueError", *OBJECT]),
    "type error": ("builtins.TypeError", "not like this", ["builtins.TypeError", *OBJECT]),
    "no text": ("builtins.KeyError", "", ["builtins.KeyError", "builtins.LookupError", *OBJECT]),
    "dead reference": (
        "twisted.spread.pb.DeadReferenceError",
        "a reference of the method's own",
        ["twisted.spread.pb.DeadReferenceError", "twisted.spread.pb.ProtocolError", *OBJECT],
    ),
    "connection lost": (
        "twisted.spread.pb.PBConnectionLost",
        "a connection of the method's own",
        ["twisted.spread.pb.PBConnectionLost", *OBJECT],
    ),
}
"""Type, text and parents that a caller is told, by the kind of error."""

NO_TRACEBACK = "Traceback unavailable\n"


def told(failure: dict[str, Any]) -> tuple[str, str, list[str]]:
    return modern(failure["type"]), failure["value"], ancestry(failure["parents"])


def ancestry(parents: Iterable[str]) -> list[str]:
    """The bases by the names of Python 3, which has no StandardError."""
    return [modern(parent) for parent in parents if parent != "exceptions.StandardError"]


# A stock client and a server


def test_every_error_of_a_server_reaches_a_twisted_client_by_name_and_text(ask_either: Ask) -> None:
    seen = ask_either("errors")
    for how in HOW:
        for kind, expected in TOLD.items():
            failure = seen[f"{how} {kind}"]
            assert told(failure) == expected
            assert failure["traceback"] == NO_TRACEBACK
            assert failure["expected"] is (PB_ERROR in expected[2])
    assert seen["alive"] == {"result": "str alive"}


def test_a_twisted_client_is_told_what_it_can_not_call(ask_either: Ask) -> None:
    seen = ask_either("errors")
    assert told(seen["no such method"]) == (
        "twisted.spread.flavors.NoSuchMethod",
        "No such method: remote_no_such_thing",
        ["twisted.spread.flavors.NoSuchMethod", "builtins.AttributeError", *OBJECT],
    )
    assert seen["private"]["type"] == "twisted.spread.flavors.NoSuchMethod"
    assert modern(seen["wrong arguments"]["type"]) == "builtins.TypeError"
    for name in "invalid object", "named object":
        assert told(seen[name]) == (PB_ERROR, "Invalid Object ID", [PB_ERROR, *OBJECT])


def test_tracebacks_reach_a_twisted_client_of_a_server_that_shows_them(ask_either: Ask) -> None:
    seen = ask_either("errors", service="unsafe")
    for how in HOW:
        traceback = seen[f"{how} unexpected"]["traceback"]
        assert traceback != NO_TRACEBACK
        assert "make_error" in traceback or "raise_kind" in traceback
    assert told(seen["raise unexpected"]) == TOLD["unexpected"]


def test_a_copyable_error_reaches_a_twisted_client_as_itself(ask_either: Ask) -> None:
    assert ask_either("rich_errors") == ["RichError(code=int 7)"] * 2


def test_every_error_of_a_twisted_client_reaches_the_server_that_called_it(ask_either: Ask) -> None:
    names = {"pellucid.errors.Error": PB_ERROR, "pellucid.errors.NoSuchMethod": "twisted.spread.flavors.NoSuchMethod"}
    seen = ask_either("my_errors")
    for how in HOW:
        for kind, (name, text, parents) in TOLD.items():
            failure = seen[f"{how} {kind}"]
            assert (names.get(failure["type"], modern(failure["type"])), failure["value"]) == (name, text)
            assert failure["expected"] is (PB_ERROR in parents)
    missing = seen["no such method"]
    assert names.get(missing["type"], missing["type"]) == "twisted.spread.flavors.NoSuchMethod"


@pytest.mark.parametrize("kind", ["expected", "type error", "unexpected"])
def test_an_error_that_a_servers_method_hands_on_comes_back_to_a_twisted_client(ask_either: Ask, kind: str) -> None:
    assert told(ask_either("error_handed_on", kind=kind)) == TOLD[kind]


def test_a_server_logs_what_was_unexpected_and_nothing_else(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="pellucid"):
        ask("errors")
    logged = [record.exc_info[0] for record in caplog.records if record.exc_info]
    unexpected = [type(make_error(kind)) for kind in TOLD if PB_ERROR not in TOLD[kind][2]]
    assert {cls for cls in logged if cls is not None} == {*unexpected, TypeError}
    assert sum(cls is ValueError for cls in logged) == len(HOW)


# A pellucid client and the stock server


@pytest.mark.parametrize("how", [*HOW, "fail_later"])
def test_an_expected_error_of_twisteds_is_raised_as_itself(connect: Connect, how: str) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(OutOfStock) as caught:
                await connection.root.call(how, "expected")
            assert caught.value.args == ("no more ducks",)
            with pytest.raises(pb.Error) as plain:
                await connection.root.call(how, "pb.Error")
            assert type(plain.value) is pb.Error
            assert str(plain.value) == "plain"

    run(scenario())


@pytest.mark.parametrize("how", [*HOW, "fail_later"])
@pytest.mark.parametrize("kind", ["unexpected", "type error", "no text", "dead reference", "connection lost"])
def test_any_other_error_of_twisteds_is_a_remote_error(connect: Connect, how: str, kind: str) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.RemoteError) as caught:
                await connection.root.call(how, kind)
            error = caught.value
            assert (modern(error.remote_type), error.text, ancestry(error.remote_parents)) == TOLD[kind]
            assert error.remote_traceback is None
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())


@pytest.mark.parametrize("how", HOW)
def test_twisteds_traceback_comes_with_the_error_where_its_server_shows_it(
    connect: Connect, how: str, release: Release
) -> None:
    # An expected error that is raised has its name alone for a traceback on Python 2, where exceptions keep none.
    frames = "OutOfStock" if release.python == 2 and how == "raise" else "raise_kind"

    async def scenario() -> None:
        async with connect("unsafe") as connection:
            with pytest.raises(pb.RemoteError) as caught:
                await connection.root.call(how, "unexpected")
            assert caught.value.remote_traceback is not None
            assert "raise_kind" in caught.value.remote_traceback
            with pytest.raises(OutOfStock) as expected:
                await connection.root.call(how, "expected")
            assert frames in "".join(expected.value.__notes__)

    run(scenario())


def test_a_copyable_error_of_twisteds_is_raised_as_itself(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for how in HOW:
                with pytest.raises(RichError) as caught:
                    await connection.root.call(how, "rich")
                assert describe(caught.value) == "RichError(code=int 7)"

    run(scenario())


def test_an_error_class_that_the_registry_knows_is_raised_as_itself(connect: Connect) -> None:
    registry = pb.Registry()
    registry.register_error(ValueError, "builtins.ValueError")
    registry.register_error(ValueError, "exceptions.ValueError")  # by Python 2

    async def scenario() -> None:
        async with connect(registry=registry) as connection:
            with pytest.raises(ValueError, match=TEXT):
                await connection.root.call("raise", "unexpected")

    run(scenario())


def test_twisted_says_what_it_can_not_call(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.NoSuchMethod, match="No such method: remote_no_such_thing"):
                await connection.root.call("no_such_thing")
            with pytest.raises(pb.RemoteError) as caught:
                await connection.root.call("describe")
            assert modern(caught.value.remote_type) == "builtins.TypeError"
            for invented in 7777, b"other":
                with pytest.raises(pb.Error, match="Invalid Object ID"):
                    await pb.RemoteReference(connection.broker.books, invented).call("ping")

    run(scenario())


class Raising(pb.Referenceable):
    """Fails when the server calls it."""

    def remote_raise(self, kind: str) -> object:
        raise make_error(kind)

    async def remote_raise_later(self, kind: str) -> object:
        raise make_error(kind)


def test_every_error_of_pellucids_reaches_twisted_by_name_and_text(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            for how in HOW:
                for kind, expected in TOLD.items():
                    failure = await connection.root.call("outcome", Raising(), how, kind)
                    assert told(failure) == expected
                    assert failure["expected"] is (PB_ERROR in expected[2])
                    assert failure["traceback"] == NO_TRACEBACK
            missing = await connection.root.call("outcome", Thing(), "nothing")
            assert missing["type"] == "twisted.spread.flavors.NoSuchMethod"
            rich = await connection.root.call("outcome", Raising(), "raise", "rich")
            assert (rich["type"], rich["expected"]) == ("stock_flavors.RichError", True)

    run(scenario())


def test_tracebacks_of_a_pellucid_client_reach_twisted_where_it_shows_them(connect: Connect) -> None:
    async def scenario() -> None:
        async with connect(unsafe_tracebacks=True) as connection:
            for how in HOW:
                failure = await connection.root.call("outcome", Raising(), how, "unexpected")
                assert "make_error" in failure["traceback"]

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "error"), [("expected", OutOfStock), ("type error", pb.RemoteError), ("unexpected", pb.RemoteError)]
)
def test_an_error_that_twisted_hands_on_comes_back_as_what_it_was(
    connect: Connect, kind: str, error: type[Exception]
) -> None:
    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(error, match=TOLD[kind][1]) as caught:
                await connection.root.call("call", Raising(), "raise", kind)
            assert not isinstance(caught.value, pb.RemoteError) or caught.value.remote_type == TOLD[kind][0]

    run(scenario())


FAILURE = b"twisted.spread.pb.CopyableFailure"


@pytest.mark.parametrize(
    "state",
    [
        [[[b"unicode", b"type"], b"builtins.ValueError"]],
        [[b"type", b"builtins.ValueError"], [b"value", b"boo"], [b"parents", [b"list", b"builtins.ValueError"]]],
        [[[b"unicode", b"type"], [b"unicode", b"builtins.ValueError"]], [[b"unicode", b"traceback"], [b"None"]]],
        [[b"type", b"builtins.ValueError"], [b"value", [b"unpersistable", b"gone"]], [b"tb", [b"None"]], [b"new", 1]],
    ],
    ids=["type alone", "Python 2", "type as text", "keys unknown"],
)
def test_the_failures_of_other_versions_of_twisted_are_understood(
    connect: Connect, dialect: str, state: list[object]
) -> None:
    tokens = TOKENS if dialect == "pb" else None
    data = banana.encode([b"error", 1, [FAILURE, [b"dictionary", *state]]], pb.Limits(), tokens)

    async def scenario() -> None:
        async with connect() as connection:
            with pytest.raises(pb.RemoteError) as caught:
                await connection.root.call("send_raw", data)
            assert caught.value.remote_type == "builtins.ValueError"
            assert await connection.root.call("echo", "alive") == "alive"

    run(scenario())
