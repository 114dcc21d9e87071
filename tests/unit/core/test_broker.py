from __future__ import annotations

import time
from itertools import repeat
from typing import Any

import pytest

from pellucid.core.broker import is_expected
from pellucid.core.calls import Call
from pellucid.core.references import RemoteReference
from pellucid.core.states import State
from pellucid.errors import (
    DeadReferenceError,
    Error,
    InsecureJelly,
    LimitExceeded,
    LocalProtocolError,
    NoCommonDialect,
    NoSuchMethod,
    PBConnectionLost,
    ProtocolError,
    RemoteError,
    RemoteProtocolError,
    TooManyReferences,
    UnauthorizedLogin,
)
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.referenceable import AvatarReference, Referenceable, Root, Viewable, Viewpoint
from pellucid.limits import Limits
from pellucid.wire.dialects import dialects_named
from pellucid.wire.native.codes import Kind
from tests.dialects import each_dialect, over
from tests.pair import Desk, Pair, Promise, Settings, Stranger, command_of, write

pytestmark = each_dialect


def only(dialect: str) -> Settings:
    return Settings(dialects=dialects_named([dialect]))


def failure(message: list[Any]) -> tuple[str, str]:
    """The type and the text of an error on the wire."""
    command, _, (_, (_, *pairs)) = message
    assert command == b"error"
    told = {key[1]: value for key, value in pairs}
    return told[b"type"].decode(), told[b"value"][1].decode()


# Beginning.


def test_other_limits_count_from_when_they_are_set_on() -> None:
    pair = Pair()
    pair.client.broker.limits = Limits(calls_pending=1, references_exported=1)
    pair.root.call("echo", Referenceable())
    full: Any = pair.root.call("echo", 2)
    assert (full.error.limit, pair.client.broker.limits.calls_pending) == ("calls_pending", 1)
    pair.client.broker.limits = Limits(references_exported=1)
    full = pair.root.call("echo", Referenceable())
    assert full.error.limit == "references_exported"


@over("pellucid", "pb", "none")
def test_two_brokers_agree_on_a_dialect_and_call_each_other(dialect: str) -> None:
    pair = Pair(client=only(dialect), client_root=Desk())
    assert pair.client.broker.dialect == pair.server.broker.dialect == dialect
    assert pair.call(pair.root, "echo", "list") == "list"
    assert pair.call(pair.server.root, "echo", b"list") == b"list"


def test_bytes_may_come_one_at_a_time() -> None:
    pair = Pair(connect=False)
    pair.to_server.pieces = pair.to_client.pieces = repeat(1)
    pair.pump()
    assert pair.call(pair.root, "echo", {"text": ["naïve", 2**100]}) == {"text": ["naïve", 2**100]}


def test_without_a_common_dialect_the_connection_is_of_no_use() -> None:
    pair = Pair(server=only("pb"), client=only("none"))
    assert isinstance(pair.client.ended_by, NoCommonDialect)
    assert pair.client.is_closed


@over("pb")
def test_p1_the_greeting_is_that_of_a_stock_client() -> None:
    stock = Settings(dialects=dialects_named(["pb", "none"]))
    pair = Pair(server=stock, client=stock)
    assert pair.to_server.carried.hex(" ") == "02 82 70 62 02 80 13 87 06 81"
    assert pair.to_client.carried.hex(" ") == "02 80 02 82 70 62 04 82 6e 6f 6e 65 02 80 13 87 06 81"


@over("pb")
def test_p2_a_call_and_its_answer_are_those_of_stock_peers() -> None:
    pair = Pair()
    asked, told = len(pair.to_server.carried), len(pair.to_client.carried)
    pair.call(pair.root, "echo", "hi")
    message = "07801a870181048272 6f6f74 04826563686f 0181 02800b87 02800782756e69636f646502826869 01800587"
    assert pair.to_server.carried[asked:] == bytes.fromhex(message)
    assert pair.to_client.carried[told:] == bytes.fromhex("03801b870181 02800782756e69636f646502826869")


@over("pb")
@pytest.mark.parametrize(
    ("first", "words"),
    [
        ([b"version", 5], "speaks another version of PB than 6"),
        ([b"version", b"6"], "malformed version"),
        ([b"version"], "malformed version"),
        ([b"message", 1, b"root", b"echo", 1, [b"tuple"], [b"dictionary"]], "did not send its version first"),
        ([b"decref", 1], "did not send its version first"),
        ([b"sing"], "did not send its version first"),
    ],
    ids=repr,
)
def test_p1_a_peer_that_begins_with_anything_but_version_6_is_not_listened_to(first: object, words: str) -> None:
    stranger = Stranger(greets=False)
    stranger.send(b"\x02\x82pb")
    stranger.say(first)
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)
    assert words in str(stranger.side.ended_by)


def test_nothing_is_sent_before_a_dialect_is_agreed_on() -> None:
    pair = Pair(connect=False)
    thing = Referenceable()
    call = pair.root.call("echo", thing)
    assert pair.client.flush() == b""
    assert pair.client.is_empty()
    pair.pump()
    assert call.outcome() is thing


def test_a_repr_tells_the_state(dialect: str) -> None:
    pair = Pair()
    pair.root.call("echo", Referenceable())
    assert repr(pair.client.broker) == f"<Broker {dialect} READY exports=1 imports=0 calls=1>"
    pair.cut()
    assert repr(pair.client.broker) == f"<Broker {dialect} CLOSED exports=0 imports=0 calls=0>"
    assert repr(Pair(connect=False).server.broker) == "<Broker None NEGOTIATING exports=0 imports=0 calls=0>"


# Calls and answers.


def test_answers_come_in_any_order() -> None:
    class Slow(Root):
        def __init__(self) -> None:
            self.gate: Any = None

        async def remote_wait(self) -> str:
            return str(await self.gate.call("open"))

        def remote_now(self) -> str:
            return "now"

    class Gate(Referenceable):
        def remote_open(self) -> str:
            return "later"

    pair = Pair(Slow(), client_root=Gate())
    root: Any = pair.server.published
    root.gate = pair.server.root
    slow, quick = pair.root.call("wait"), pair.root.call("now")
    pair.pump()
    assert [call.result() for call in (slow, quick) if isinstance(call, Promise)] == ["later", "now"]
    answers = [message for message in pair.to_client.said() if command_of(message) == b"answer"]
    assert [message[1] for message in answers] == [2, 1]


@over("pb")
def test_positional_and_keyword_arguments_are_numbered_apart() -> None:
    pair = Pair()
    shared = [1]
    pair.root.call("keep", shared, shared, key=shared)
    pair.pump()
    (message,) = pair.to_server.said()
    assert message[5] == [b"tuple", [b"reference", 1, [b"list", 1]], [b"dereference", 1]]
    assert message[6] == [b"dictionary", [[b"unicode", b"key"], [b"list", 1]]]


@over("pb")
def test_p11_keyword_names_of_python_2_peers_are_taken_as_text() -> None:
    class Named(Root):
        def remote_greet(self, name: object) -> object:
            return name

    stranger = Stranger(Named())
    assert stranger.call("greet", kwargs=[b"dictionary", [b"name", b"Bob"]]) == [[b"answer", 1, b"Bob"]]


@over("pb")
@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ([b"list", 1], [b"dictionary"], "there is no tuple where one belongs"),
        ([b"tuple"], [b"list"], "there is no dictionary where one belongs"),
        ([b"tuple"], [b"dictionary", [5, 1]], "a keyword argument's name is not a string"),
        ([b"tuple", []], [b"dictionary"], "a list does not start with a tag"),
    ],
)
def test_j16_malformed_arguments_fail_that_call_with_words(args: object, kwargs: object, words: str) -> None:
    stranger = Stranger()
    stranger.say([b"message", 1, b"root", b"echo", 1, args, kwargs])
    (message,) = stranger.hear()
    assert failure(message) == ("pellucid.errors.RemoteProtocolError", words)
    assert stranger.side.calls == ["echo"]
    assert stranger.call("echo", 1) == [[b"answer", 1, 1]]


@over("pb")
@pytest.mark.parametrize("target", [77, 0, -1, 2**447, b"", b"toor", b"1"])
def test_p9_an_unknown_object_is_an_invalid_id_and_nothing_more_is_said(target: int | bytes) -> None:
    (message,) = Stranger().call("echo", 1, target=target)
    assert failure(message) == ("twisted.spread.pb.Error", "Invalid Object ID")


@over("pb")
@pytest.mark.parametrize("tag", [b"local", b"cached", b"lcache"])
def test_p9_an_unknown_id_in_arguments_is_an_error_for_that_call_and_not_none(tag: bytes) -> None:
    stranger = Stranger()
    (message, *rest) = stranger.call("keep", [tag, 77])
    assert failure(message) == ("twisted.spread.pb.Error", "Invalid Object ID")
    assert rest == ([[b"decache", 77]] if tag == b"cached" else [])
    desk: Any = stranger.side.published
    assert desk.kept == []


def test_an_id_that_was_released_is_invalid(dialect: str) -> None:
    pair = Pair()
    desk: Any = pair.server.published
    desk.kept = [Desk()]
    reference = pair.call(pair.root, "give")
    pair.to_server.held = True
    promise: Any = reference.call("echo", 1)
    pair.flush()
    wire = pair.to_server
    release = [Kind.RELEASE.value, [1, 1]] if dialect == "pellucid" else [b"decref", 1]
    pair.server.receive(write(release, dialect))  # it comes first
    wire.held = False
    pair.pump()
    with pytest.raises(Error, match="Invalid Object ID"):
        promise.result()
    reference.release()


def test_a_missing_method_is_named_with_its_prefix() -> None:
    pair = Pair()
    with pytest.raises(NoSuchMethod, match="No such method: remote_nothing"):
        pair.call(pair.root, "nothing")


def test_whatever_an_overridden_method_for_raises_is_that_calls_error() -> None:
    class Broken(Root):
        def method_for(self, name: str) -> Any:
            raise RuntimeError("no idea")

    pair = Pair(Broken())
    with pytest.raises(RemoteError, match="no idea"):
        pair.call(pair.root, "anything")


@pytest.mark.parametrize("name", ["echo" * 1_000, "naïve", "\udc80"])
def test_a_method_of_any_name_can_be_asked_for(name: str) -> None:
    pair = Pair()
    with pytest.raises((NoSuchMethod, UnicodeEncodeError, InsecureJelly)):
        pair.call(pair.root, name)
    assert pair.call(pair.root, "echo", 1) == 1


def test_what_a_result_looks_like_depends_on_who_called() -> None:
    class Report(Copyable):
        def get_state_to_copy_for(self, perspective: Any) -> object:
            raise Error(f"nothing for {perspective.name}")

    class Alice:
        name = "Alice"

        def perspective_report(self) -> Report:
            return Report()

    class Hall(Viewable):
        def view_report(self, perspective: Any) -> Report:
            return Report()

    for root in AvatarReference(Alice()), Viewpoint(Alice(), Hall()):
        pair = Pair(root)
        with pytest.raises(Error, match="nothing for Alice"):
            pair.call(pair.root, "report")


def test_p13_a_result_that_can_not_be_sent_is_an_error_in_its_place(dialect: str) -> None:
    pair = Pair(server=Settings(limits=Limits(string_bytes=655_360, buffer_bytes=655_360)))
    desk: Any = pair.server.published
    desk.kept = [object(), b"x" * 655_361]
    limit = "buffer_bytes" if dialect == "pellucid" else "string_bytes"
    with pytest.raises(LimitExceeded, match=rf"over Limits.{limit}=655360: 655361 asked"):
        pair.call(pair.root, "take")
    with pytest.raises(InsecureJelly, match=r"builtins.object objects may not cross"):
        pair.call(pair.root, "take")
    assert pair.call(pair.root, "echo", 1) == 1


@over("pb")
@pytest.mark.parametrize(
    "jelly",
    [[b"bad.Tag", [b"dictionary"]], [b"unicode", b"\xff"], [b"dereference", 1], [], [b"boolean", b"maybe"]],
    ids=repr,
)
@pytest.mark.parametrize("command", [b"answer", b"error"])
def test_j16_an_answer_that_makes_no_sense_fails_that_call_alone(command: bytes, jelly: object) -> None:
    stranger = Stranger(listens=True)
    calls: list[Any] = [stranger.side.root.call("anything") for _ in range(2)]
    stranger.say([command, 1, jelly], [b"answer", 2, 5])
    with pytest.raises((InsecureJelly, RemoteProtocolError)):
        calls[0].result()
    assert calls[1].result() == 5


@over("pb")
def test_an_error_that_is_no_exception_fails_its_call_with_words() -> None:
    stranger = Stranger(listens=True)
    call: Any = stranger.side.root.call("anything")
    stranger.say([b"error", 1, [b"unicode", b"went wrong"]])
    with pytest.raises(RemoteProtocolError, match="a call failed with a str instead of an exception"):
        call.result()


def test_some_errors_are_expected_and_others_are_news() -> None:
    assert is_expected(Error("x"))
    assert is_expected(UnauthorizedLogin("x"))
    assert not is_expected(KeyError("x"))
    assert not is_expected(ProtocolError("x"))


# Messages that break the rules, and one that does not.


@over("pb")
@pytest.mark.parametrize("token", [0, 32, 127, 1000])
def test_b4_unknown_vocabulary_id_is_a_protocol_error_with_words(token: int) -> None:
    stranger = Stranger()
    digits = bytes([token]) if token < 128 else bytes([token % 128, token // 128])
    stranger.send(b"\x01\x80" + digits + b"\x87")
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)
    assert str(stranger.side.ended_by) == f"unknown vocabulary token {token}"


@over("pb")
def test_b4_a_token_in_a_dialect_without_vocabulary_is_a_protocol_error_with_words() -> None:
    stranger = Stranger(dialect="none")
    stranger.send(b"\x1a\x87")
    assert str(stranger.side.ended_by) == "vocabulary token 26 in a dialect without a vocabulary"


@over("pb")
@pytest.mark.parametrize("command", [b"answer", b"error"])
def test_p3_an_answer_to_no_call_is_a_protocol_error_with_words(command: bytes) -> None:
    stranger = Stranger(listens=True)
    call: Any = stranger.side.root.call("anything")
    stranger.say([b"answer", 1, 5])
    assert call.result() == 5
    stranger.say([command, 1, 5])
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)
    assert str(stranger.side.ended_by) == "the peer answered a call that is not under way"


@over("pb")
def test_p6_an_unknown_command_is_answered_with_did_not_understand_and_the_connection_lives() -> None:
    stranger = Stranger()
    stranger.say([b"sing", b"la"], [b"\xff" * 500], [b"list"])
    assert stranger.hear() == [
        [b"didNotUnderstand", b"sing"],
        [b"didNotUnderstand", b"\\xff" * 200],
        [b"didNotUnderstand", b"list"],
    ]
    assert stranger.call("echo", 1) == [[b"answer", 1, 1]]


@over("pb")
def test_p6_what_the_peer_did_not_understand_is_told_to_the_door() -> None:
    stranger = Stranger()
    stranger.say([b"didNotUnderstand", b"dance"], [b"didNotUnderstand", [b"unicode", b"x"]])
    assert stranger.side.misunderstood == ["dance", ""]
    assert stranger.hear() == []


@over("pb")
@pytest.mark.parametrize(
    "message",
    [
        5,
        1.5,
        b"message",
        [],
        [5],
        [[b"message"]],
        [b"message"],
        [b"message", 1, b"root", b"echo", 1, [b"tuple"]],
        [b"message", 1, b"root", b"echo", 1, [b"tuple"], [b"dictionary"], 5],
        [b"message", b"1", b"root", b"echo", 1, [b"tuple"], [b"dictionary"]],
        [b"message", 1, 1.5, b"echo", 1, [b"tuple"], [b"dictionary"]],
        [b"message", 1, b"root", 5, 1, [b"tuple"], [b"dictionary"]],
        [b"message", 1, b"root", b"echo", b"1", [b"tuple"], [b"dictionary"]],
        [b"message", 1, b"root", b"echo", 1, 5, [b"dictionary"]],
        [b"answer", 1],
        [b"answer", b"1", 5],
        [b"error", [b"list"], 5],
        [b"decref"],
        [b"decref", 1.5],
        [b"decache", b"1"],
        [b"uncache", b"1"],
        [b"didNotUnderstand", 5],
    ],
    ids=repr,
)
def test_p7_a_malformed_message_is_a_protocol_error_with_words(message: object) -> None:
    stranger = Stranger()
    stranger.say(message)
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)
    assert str(stranger.side.ended_by).startswith(("malformed ", "a message is a list that starts with a command"))


@over("pb")
@pytest.mark.parametrize("released", [1, 0, -1, 2**447])
def test_r7_the_release_of_an_unknown_object_is_a_protocol_error_with_words(released: int) -> None:
    stranger = Stranger()
    stranger.say([b"decref", released])
    assert isinstance(stranger.side.ended_by, RemoteProtocolError)
    assert str(stranger.side.ended_by) == "the peer released a reference that it does not hold"


@over("pb")
def test_r7_the_release_of_a_named_object_is_a_protocol_error_with_words() -> None:
    stranger = Stranger()
    stranger.say([b"decref", b"root"])
    assert str(stranger.side.ended_by) == ("the peer released an object that it knows by name; those are not counted")


@over("pb")
def test_what_came_whole_before_the_broken_place_is_acted_upon() -> None:
    stranger = Stranger()
    good = [b"message", 1, b"root", b"keep", 0, [b"tuple", 5], [b"dictionary"]]
    stranger.say(good, [b"decref", 9], good)
    desk: Any = stranger.side.published
    assert desk.kept == [5]
    assert stranger.side.is_closed


# Holding objects, and letting go.


def test_until_gone_runs_once_when_the_peer_lets_go() -> None:
    pair = Pair()
    desk: Any = pair.server.published
    thing, ran = Referenceable(), list[str]()
    pair.server.broker.until_gone(thing, lambda: ran.append("gone"))
    desk.kept = [thing]
    reference: RemoteReference | None = pair.call(pair.root, "take")
    assert ran == []
    assert reference is not None
    del reference
    pair.settle()
    assert ran == ["gone"]
    pair.cut()
    assert ran == ["gone"]


def test_until_gone_runs_once_when_the_connection_ends() -> None:
    pair = Pair()
    desk: Any = pair.server.published
    thing, ran = Referenceable(), list[str]()
    pair.server.broker.until_gone(thing, lambda: ran.append("gone"))
    pair.server.broker.until_gone(thing, lambda: ran.append("and again"))
    desk.kept = [thing]
    reference = pair.call(pair.root, "take")
    pair.cut()
    pair.cut()
    assert ran == ["gone", "and again"]
    assert not reference.alive


def test_until_gone_runs_once_where_the_object_could_not_be_sent_after_all() -> None:
    pair = Pair(server=Settings(limits=Limits(references_exported=1)))
    desk: Any = pair.server.published
    held, thing, ran = Referenceable(), Referenceable(), list[str]()
    desk.kept = [thing, held]
    reference = pair.call(pair.root, "take")
    pair.server.broker.until_gone(thing, lambda: ran.append("gone"))
    with pytest.raises(TooManyReferences):
        pair.call(pair.root, "take")
    assert ran == ["gone"]
    pair.cut()
    assert ran == ["gone"]
    assert not reference.alive


def test_until_gone_runs_once_though_the_connection_is_closed_by_what_runs() -> None:
    pair = Pair()
    desk: Any = pair.server.published
    thing, ran = Referenceable(), list[str]()
    pair.server.broker.until_gone(thing, lambda: pair.server.lose("closed by an application"))
    pair.server.broker.until_gone(thing, lambda: ran.append("gone"))
    desk.kept = [thing]
    pair.call(pair.root, "take").release()
    pair.settle()
    assert ran == ["gone"]


# The end.


def test_calls_under_way_fail_and_say_whether_they_had_been_sent() -> None:
    pair = Pair()
    pair.to_server.held = True
    sent: Any = pair.root.call("echo", 1)
    pair.flush()
    unsent: Any = pair.root.call("echo", 2)
    pair.cut("the cable was pulled")
    for call, was_sent in (sent, True), (unsent, False):
        with pytest.raises(PBConnectionLost, match="the cable was pulled") as caught:
            call.result()
        assert caught.value.sent is was_sent


def test_p15_the_end_is_told_in_order_and_each_once() -> None:
    pair = Pair()
    told: list[str] = []

    class Dependant:
        call = Promise()

        def go_on(self, promise: Call) -> None:
            told.append("call failed")

    broker = pair.client.broker
    broker.books.notify_on_disconnect(lambda: told.append("first notice"))
    take_back = broker.books.notify_on_disconnect(lambda: told.append("taken back"))
    broker.books.notify_on_disconnect(lambda: told.append("second notice"))
    take_back()
    pair.root.call("echo").add_dependant(Dependant())
    pair.cut()
    assert told == ["call failed", "first notice", "second notice"]
    pair.cut()
    assert len(told) == 3
    assert broker.state is State.CLOSED


def test_a_notice_may_take_another_one_back() -> None:
    pair = Pair()
    told: list[str] = []
    books = pair.client.broker.books
    books.notify_on_disconnect(lambda: second())
    second = books.notify_on_disconnect(lambda: told.append("second"))
    books.notify_on_disconnect(lambda: told.append("third"))
    pair.cut()
    assert told == ["third"]


def test_after_the_end_nothing_is_said_and_nothing_comes_of_it() -> None:
    class Lingering(Root):
        async def remote_linger(self, reference: RemoteReference) -> object:
            return await reference.call("echo", 1)

    pair = Pair(Lingering(), client_root=Desk())
    pair.to_client.held = True
    pair.root.call("linger", Desk())
    pair.pump()
    pair.cut()
    broker = pair.server.broker
    assert pair.server.go_on()  # the method ends now; its answer goes nowhere
    assert (broker.data_to_send(), broker.queued_bytes) == (b"", 0)
    assert broker.next_event() is None
    with pytest.raises(DeadReferenceError):
        pair.server.root.call("echo", 1)
    with pytest.raises(LocalProtocolError, match="DATA is not legal while the broker is CLOSED"):
        broker.receive_data(b"\x80")
    assert broker.take_notice() is None


def test_a_broker_closed_in_negotiation_says_no_more() -> None:
    pair = Pair(connect=False)
    pair.server.broker.receive_data(b"\x02\x82pb")
    pair.cut()
    assert pair.server.broker.next_event() is None
    assert pair.server.broker.data_to_send() == b""


def test_bytes_that_wait_to_be_sent_are_counted() -> None:
    pair = Pair()
    broker = pair.client.broker
    before = len(pair.to_server.carried)
    pair.root.call("echo", "hi")
    queued = broker.queued_bytes
    pair.pump()
    assert len(pair.to_server.carried) - before == queued > 0
    assert broker.queued_bytes == 0
    pair.root.call("echo", "hi")
    pair.cut()
    assert broker.queued_bytes == 0


def test_calls_made_before_a_dialect_is_agreed_on_are_sent_as_soon_as_there_is_one() -> None:
    pair = Pair(connect=False)
    early = [pair.root.call("echo", 1), pair.root.call("echo", 2)]
    given_up = pair.root.call("echo", 3)
    given_up.cancel()
    pair.pump()
    assert [call.outcome() for call in early] == [1, 2]
    assert pair.server.calls == ["echo", "echo"]


def test_calls_made_before_a_dialect_is_agreed_on_were_not_sent_where_none_is() -> None:
    pair = Pair(connect=False)
    call = pair.root.call("echo", 1)
    pair.cut()
    assert isinstance(call.error, PBConnectionLost)
    assert not call.error.sent


def test_the_notices_of_an_end_take_a_time_that_grows_with_their_number_alone() -> None:
    def seconds(count: int) -> float:
        pair = Pair(Root())
        for _ in range(count):
            pair.server.broker.books.notify_on_disconnect(lambda: None)
        pair.server.broker.close("for the test")
        began = time.process_time()
        while pair.server.broker.take_notice() is not None:
            pass
        return time.process_time() - began

    few, many = (min(seconds(count) for _ in range(3)) for count in (10_000, 80_000))
    assert many < 24 * few  # and not 64 times as long
