"""Calls, references and the end of connections, through pb.Broker."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from typing import Any, ClassVar
from unittest import mock

import pytest
from twisted.internet import defer, error
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

import pellucid
from pellucid.twisted import banana, jelly, pb
from tests.unit.twisted.link import Link, outcome

pytestmark = pytest.mark.usefixtures("dialect")


def kinds(logged: list[Any]) -> list[type]:
    return [event["failure"].type for event in logged if "failure" in event]


class Broken(pb.Error):
    """Expected."""


class Stranger:
    """Of no flavor."""


class Unregistered(pb.Copyable):
    """Registered by nobody."""


class Two(pb.Referenceable):
    def remote_three(self, number: int) -> int:
        return number + 3


class One(pb.Root):
    def __init__(self) -> None:
        self.two = Two()
        self.kept: list[Any] = []
        self.waiting: defer.Deferred[Any] = defer.Deferred()

    def remote_echo(self, value: Any = None, **kw: Any) -> Any:
        return (value, kw) if kw else value

    def remote_two(self) -> Two:
        return self.two

    def remote_is_two(self, value: Any) -> bool:
        return value is self.two

    def remote_keep(self, value: Any) -> None:
        self.kept.append(value)

    def remote_drop(self) -> None:
        self.kept.clear()

    def remote_call_back(self, reference: Any, name: str, *args: Any) -> Any:
        return reference.callRemote(name, *args)

    def remote_later(self) -> defer.Deferred[Any]:
        return self.waiting

    async def remote_coroutine(self, reference: Any) -> Any:
        return await reference.callRemote("three", 1) + 1

    def remote_broken(self) -> None:
        raise Broken("as expected")

    def remote_wrong(self) -> None:
        raise ZeroDivisionError("oops")

    async def remote_wrong_later(self) -> None:
        raise ZeroDivisionError("oops")


# Calls.


def test_a_call_is_a_deferred_of_its_answer() -> None:
    link = Link(One())
    waiting = link.root.callRemote("echo", 1, name=2)
    assert isinstance(waiting, defer.Deferred)
    assert not waiting.called
    link.pump()
    assert outcome(waiting) == (1, {"name": 2})


def test_what_is_sent_leaves_at_once_and_without_a_reactor() -> None:
    link = Link(One())
    link.root.callRemote("echo", 1)
    assert link.to_server.value()
    link.server.dataReceived(link.to_server.value())
    assert link.to_client.value()


def test_a_call_that_wants_no_answer_gets_none() -> None:
    root = One()
    link = Link(root)
    assert link.root.callRemote("keep", 1, pbanswer=False) is None
    link.pump()
    assert root.kept == [1]


def test_the_old_callbacks_of_a_call_are_still_called() -> None:
    link = Link(One())
    results: list[Any] = []
    link.root.callRemote("echo", 1, pbcallback=results.append)
    link.root.callRemote("broken", pberrback=results.append)
    link.pump()
    assert results[0] == 1
    assert results[1].check(Broken)


def test_an_argument_that_may_not_cross_fails_the_deferred_and_nothing_is_sent() -> None:
    link = Link(One())
    root = link.root
    failure = outcome(root.callRemote("echo", object()))
    assert failure.check(pb.InsecureJelly)
    assert not link.to_server.value()
    assert outcome(root.callRemote("echo", object(), pbanswer=False)).check(pb.InsecureJelly)


def test_what_may_not_cross_is_refused_with_words_of_this_door() -> None:
    link = Link(One())
    text = str(outcome(link.root.callRemote("echo", [Stranger()])).value)
    assert "Stranger objects may not cross: derive the class from Referenceable or Copyable" in text
    assert "globalSecurity.allowInstancesOf" in text
    assert "setUnjellyableForClass" in text
    assert text.endswith("(at [0][0])")
    assert "Registry" not in text


@pytest.mark.parametrize("side", ["client", "server"])
def test_other_security_options_count_from_when_a_broker_is_given_them(side: str) -> None:
    link = Link(One())
    assert link.call(link.root, "echo", [1]) == [1]
    broker: pb.Broker = getattr(link, side)
    broker.security = jelly.SecurityOptions()  # which allow no lists
    failure = link.call(link.root, "echo", [1])
    assert failure.check(pb.InsecureJelly)
    assert broker.security is not pb.globalSecurity


def test_a_copy_that_nobody_registered_is_refused_with_words_of_this_door() -> None:
    link = Link(One())
    failure = link.call(link.root, "echo", Unregistered())
    assert failure.check(pb.InsecureJelly)
    assert "see setUnjellyableForClass and SecurityOptions.allowInstancesOf" in failure.value


def test_references_are_the_same_classes_through_both_doors_and_have_both_verbs() -> None:
    link = Link(One())
    two = link.call(link.root, "two")
    assert isinstance(two, pellucid.RemoteReference)
    assert isinstance(two, pb.RemoteReference)
    waiting: Any = two.call("three", 1)
    link.pump()
    assert outcome(waiting) == 4
    assert pb.Referenceable is pellucid.Referenceable
    assert pb.NoSuchMethod is pellucid.NoSuchMethod


def test_a_method_of_a_result_can_be_called_before_it_is_there() -> None:
    link = Link(One())
    waiting: Any = link.root.call("two").call("three", link.root.call("echo", 5))
    link.pump()
    assert outcome(waiting) == 8


def test_what_callbacks_make_of_a_result_is_what_later_calls_are_aimed_at() -> None:
    link = Link(One())
    waiting = link.root.callRemote("echo", 1)
    two = link.call(link.root, "two")
    link.pump()
    waiting.addCallback(lambda _: two)
    later: Any = waiting.call("three", 2)
    link.pump()
    assert outcome(later) == 5


def test_a_reference_that_comes_home_is_the_object() -> None:
    link = Link(One())
    assert link.call(link.root, "is_two", link.call(link.root, "two")) is True


def test_either_side_may_call_the_other_and_coroutine_methods_may_wait_for_that() -> None:
    link = Link(One())
    assert link.call(link.root, "call_back", Two(), "three", 4) == 7
    assert link.call(link.root, "coroutine", Two()) == 5


def test_a_deferred_delays_the_answer() -> None:
    root = One()
    link = Link(root)
    waiting = link.root.callRemote("later")
    link.pump()
    assert not waiting.called
    root.waiting.callback("at last")
    link.pump()
    assert outcome(waiting) == "at last"


def test_any_number_of_methods_may_wait() -> None:
    root = One()
    link = Link(root)
    waiting = [link.root.callRemote("later") for _ in range(2_000)]
    assert link.call(link.root, "echo", "served") == "served"
    link.cut()
    for each in waiting:
        assert outcome(each).check(pb.PBConnectionLost)


def test_a_call_that_is_cancelled_ends_at_once_and_its_answer_counts_for_nothing(logged: list[Any]) -> None:
    root = One()
    link = Link(root)
    waiting = link.root.callRemote("later")
    waiting.cancel()
    assert outcome(waiting).check(defer.CancelledError)
    link.pump()
    root.waiting.callback("too late")
    link.pump()
    assert logged == []


def test_a_call_that_is_cancelled_may_lose_its_connection_too(logged: list[Any]) -> None:
    link = Link(One())
    waiting = link.root.callRemote("later")
    waiting.cancel()
    link.cut()
    assert outcome(waiting).check(defer.CancelledError)
    assert logged == []


def test_methods_that_only_the_instance_has_may_be_called() -> None:
    class Proxy(pb.Referenceable):
        """Delegates, and has no attributes of its own before it is told to whom."""

        def __init__(self, target: Any) -> None:
            self.target = target

        def __getattr__(self, name: str) -> Any:
            return getattr(self.target, name)

    class Desk(pb.Root):
        def remote_proxy(self) -> Proxy:
            return Proxy(Two())

    link = Link(Desk())
    proxy = link.call(link.root, "proxy")
    assert link.call(proxy, "three", 1) == 4
    assert link.call(proxy, "four").check(pb.NoSuchMethod)


def test_an_override_that_takes_the_whole_call_is_given_the_broker() -> None:
    class Logged(pb.Root):
        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            self.seen = broker.transport, message, broker.unserialize(args)
            return pb.Root.remoteMessageReceived(self, broker, message, args, kw)

        def remote_echo(self, value: Any) -> Any:
            return value

    root = Logged()
    link = Link(root)
    assert link.call(link.root, "echo", 1) == 1
    assert root.seen == (link.to_client, "echo", (1,))


def test_to_an_override_its_broker_is_the_one_that_everybody_else_knows() -> None:
    class Keeping(pb.Root):
        def remoteMessageReceived(self, broker: Any, message: str, args: Any, kw: Any) -> Any:
            broker.username = "alice"
            self.broker = broker
            return pb.Root.remoteMessageReceived(self, broker, message, args, kw)

        def remote_whose(self, reference: Any) -> str:
            assert reference.broker == self.broker
            return {reference.broker: "its own"}[self.broker]

    root = Keeping()
    link = Link(root)
    assert link.call(link.root, "whose", Two()) == "its own"
    assert link.server.username == "alice"
    assert isinstance(root.broker, pb.Broker)
    assert root.broker != link.client


# Failures.


def test_an_expected_error_is_told_and_not_logged(logged: list[Any]) -> None:
    link = Link(One())
    failure = link.call(link.root, "broken")
    assert isinstance(failure, pb.CopiedFailure)
    assert failure.check(Broken) is Broken
    assert failure.check(pb.Error) is pb.Error
    assert failure.check(ZeroDivisionError) is None
    assert str(failure.type) == f"{__name__}.Broken"
    assert failure.type == f"{__name__}.Broken".encode()
    assert failure.value == "as expected"
    assert failure.traceback == "Traceback unavailable\n"
    assert logged == []


@pytest.mark.parametrize("method", ["wrong", "wrong_later"])
def test_an_unexpected_error_is_told_and_logged(method: str, logged: list[Any], messages: list[str]) -> None:
    link = Link(One())
    failure = link.call(link.root, method)
    assert failure.check(ArithmeticError) is ArithmeticError
    assert kinds(logged) == [ZeroDivisionError]
    announced = "Peer will receive following PB traceback:"
    assert announced in messages
    assert any(announced in event["message"] for event in logged) is (method == "wrong")


def test_a_missing_method_is_told_and_logged(logged: list[Any]) -> None:
    link = Link(One())
    failure = link.call(link.root, "nothing")
    assert failure.trap(pb.NoSuchMethod) is pb.NoSuchMethod
    assert failure.type == b"twisted.spread.flavors.NoSuchMethod"
    assert failure.value == "No such method: remote_nothing"
    assert kinds(logged) == [pb.NoSuchMethod]


def test_tracebacks_are_told_where_the_factory_says_so_and_it_may_change_its_mind(logged: list[Any]) -> None:
    link = Link(One())
    link.server_factory.unsafeTracebacks = True
    assert "in remote_wrong" in link.call(link.root, "wrong").traceback
    link.server_factory.unsafeTracebacks = False
    assert link.call(link.root, "wrong").traceback == "Traceback unavailable\n"


def test_e6_a_failure_goes_on_from_errback_to_errback_until_one_traps_it() -> None:
    link = Link(One())
    told: list[str] = []

    def first(failure: Any) -> None:
        told.append("first")
        failure.trap(ZeroDivisionError)
        told.append("not reached")

    def second(failure: Any) -> None:
        told.append("second")
        assert failure.trap(ValueError, Broken) is Broken

    waiting = link.root.callRemote("broken").addErrback(first).addErrback(second)
    link.pump()
    assert told == ["first", "second"]
    assert outcome(waiting) is None


def test_e6_a_failure_can_be_shown_raised_and_thrown() -> None:
    link = Link(One())
    failure = link.call(link.root, "broken")
    assert repr(failure) == f"<CopiedFailure {__name__}.Broken: as expected>"
    assert "Broken: as expected" in str(failure)
    with pytest.raises(pb.RemoteError) as raised:
        failure.raiseException()
    assert raised.value.args == ("as expected",)
    assert raised.value.remoteType == f"{__name__}.Broken".encode()
    assert raised.value.remoteTraceback == "Traceback unavailable\n"
    assert isinstance(raised.value, pellucid.RemoteError)


def test_a_failure_that_went_on_can_still_be_shown() -> None:
    link = Link(One())
    waiting = link.root.callRemote("broken").addErrback(lambda failure: failure.trap(ValueError))
    link.pump()
    passed_on = outcome(waiting)
    assert "Broken" in repr(passed_on)
    assert "as expected" in passed_on.getErrorMessage()
    assert passed_on.getTraceback()


def test_a_failure_can_be_pickled_as_other_failures_can() -> None:
    link = Link(One())
    failure = link.call(link.root, "broken")
    for kept in (pickle.loads(pickle.dumps(failure)), copy.copy(failure), copy.deepcopy(failure)):
        assert kept.check(f"{__name__}.Broken")
        assert kept.check(pb.Error) is pb.Error
        assert (kept.type, str(kept.type), kept.value) == (failure.type, str(failure.type), failure.value)


def test_a_method_may_raise_a_failure_that_it_was_given() -> None:
    class Trapping(pb.Root):
        failure: Any = None

        def remote_trap(self) -> None:
            self.failure.trap(ZeroDivisionError)

    other, root = Link(One()), Trapping()
    root.failure = other.call(other.root, "broken")
    link = Link(root)
    assert link.call(link.root, "trap").check(Broken)


def test_a_failure_of_one_peer_can_be_handed_on_to_another() -> None:
    class Sad(pb.Referenceable):
        def remote_cry(self) -> None:
            raise Broken("from far away")

    link = Link(One())
    failure = link.call(link.root, "call_back", Sad(), "cry")
    assert failure.check(Broken)
    assert (str(failure.type), failure.value) == (f"{__name__}.Broken", "from far away")


def test_an_error_that_a_method_lets_pass_is_what_it_was_to_the_next_caller() -> None:
    class Between(pb.Root):
        async def remote_coroutine(self, target: Any) -> None:
            await target.callRemote("cry")

        @defer.inlineCallbacks
        def remote_generator(self, target: Any) -> Any:
            yield target.callRemote("cry")

        def remote_by_hand(self, _: Any) -> None:
            raise pb.RemoteError(f"{__name__}.Broken", "from far away", "")

    class Sad(pb.Referenceable):
        def remote_cry(self) -> None:
            raise Broken("from far away")

    link = Link(Between())
    for method in ("coroutine", "generator", "by_hand"):
        failure = link.call(link.root, method, Sad())
        assert failure.check(f"{__name__}.Broken")
        assert failure.value == "from far away"
        assert (failure.check(pb.Error) is pb.Error) == (method != "by_hand")


def test_a_failure_can_be_an_argument_and_so_can_one_that_was_received() -> None:
    root = One()
    link = Link(root)
    link.call(link.root, "keep", pb.CopyableFailure(ZeroDivisionError("here")))
    received = link.call(link.root, "broken")
    again = pb.CopyableFailure(received)
    again.unsafeTracebacks = True
    link.call(link.root, "keep", again)
    first, second = root.kept
    assert isinstance(first, pb.CopiedFailure)
    assert first.check(ZeroDivisionError)
    assert (str(second.type), second.value, bool(second.check(Broken))) == (f"{__name__}.Broken", "as expected", True)


def test_a_result_that_may_not_cross_is_an_error_and_the_connection_lives() -> None:
    class Odd(pb.Root):
        def remote_odd(self) -> object:
            return object()

        def remote_echo(self, value: Any) -> Any:
            return value

    link = Link(Odd())
    assert link.call(link.root, "odd").check(pb.InsecureJelly)
    assert link.call(link.root, "echo", 1) == 1


def test_what_a_hook_raises_that_writes_a_result_is_told_and_logged_with_its_traceback(logged: list[Any]) -> None:
    class Odd(pb.Root):
        def remote_odd(self) -> pb.Copyable:
            return Unwritable()

    class Unwritable(pb.Copyable):
        def getStateToCopy(self) -> dict[str, Any]:
            raise ZeroDivisionError("oops")

    link = Link(Odd())
    assert link.call(link.root, "odd").check(ZeroDivisionError)
    (event,) = logged
    assert (event["event"], event["method"]) == ("call.failed", "odd")
    assert event["why"] == "The result of 'odd' can't be sent: oops"
    assert event["failure"].check(ZeroDivisionError)
    assert "getStateToCopy" in event["failure"].getTraceback()


# References.


def test_a_reference_knows_its_broker_and_number_and_is_equal_to_itself_alone() -> None:
    link = Link(One())
    two = link.call(link.root, "two")
    assert two.broker is link.client
    assert two.luid in link.server.localObjects
    root: Any = link.server_factory.root
    assert link.server.localObjects[two.luid].object is root.two
    assert link.client.remoteForName("root") == link.root
    assert two != link.root
    assert {two: 1}[two] == 1
    assert hash(link.root) == hash(b"root")


def test_remote_methods_are_equal_and_can_be_called() -> None:
    link = Link(One())
    method = link.root.remoteMethod("echo")
    assert method == link.root.remoteMethod("echo")
    assert hash(method) == hash(link.root.remoteMethod("echo"))
    waiting = method(1)
    link.pump()
    assert outcome(waiting) == 1


def test_a_reference_that_is_dropped_is_released_at_once() -> None:
    link = Link(One())
    two = link.call(link.root, "two")
    number = two.luid
    assert number in link.server.localObjects
    del two
    gc.collect()
    assert link.to_server.value()
    link.pump()
    assert number not in link.server.localObjects


def test_a_reference_that_is_dropped_while_something_is_sent_is_released_behind_that() -> None:
    link = Link(One())
    root, held, sent = link.root, [link.call(link.root, "two")], list[bytes]()

    class Dropping(StringTransport):
        def write(self, data: bytes) -> None:
            held.clear()
            sent.append(data)

    link.client.transport = Dropping()
    root.callRemote("echo", "what is sent")
    call, release = sent
    assert b"what is sent" in call
    link.server.dataReceived(call)
    assert len(link.server.localObjects) == 2
    link.server.dataReceived(release)
    assert list(link.server.localObjects) == [b"root"]


def test_a_reference_may_be_dropped_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from twisted.internet import reactor

    asked: list[Any] = []
    monkeypatch.setattr(reactor, "callFromThread", asked.append)
    link = Link(One())
    held = [link.call(link.root, "two")]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert not link.to_server.value()
    (flush,) = asked
    flush()
    link.pump()
    assert list(link.server.localObjects) == [b"root"]


def test_more_objects_may_be_held_than_stock_allows() -> None:
    class Many(pb.Root):
        def remote_many(self) -> list[Any]:
            return [Two() for _ in range(2 * pb.MAX_BROKER_REFS)]

    link = Link(Many())
    held = link.call(link.root, "many")
    assert len(set(held)) == 2 * pb.MAX_BROKER_REFS


# The end.


def test_calls_of_a_dead_reference_are_refused_at_once() -> None:
    link = Link(One())
    root = link.root
    link.cut()
    with pytest.raises(pb.DeadReferenceError):
        root.callRemote("echo")


def test_p15_the_end_is_told_in_order_and_each_once(logged: list[Any]) -> None:
    link = Link(One())
    told: list[Any] = []

    def fail() -> None:
        told.append("failing")
        raise ZeroDivisionError

    root = link.root
    root.callRemote("later").addErrback(lambda failure: told.append(failure.type))
    link.client.notifyOnDisconnect(lambda: told.append("first"))
    link.client.notifyOnDisconnect(fail)
    root.notifyOnDisconnect(lambda reference: told.append(reference))
    link.client.notifyOnDisconnect(lambda: told.append("last"))
    link.cut()
    link.cut()
    assert told == [pb.PBConnectionLost, "first", "failing", root, "last"]
    assert link.client.localObjects == {}
    assert kinds(logged) == [ZeroDivisionError]


def test_a_notice_can_be_taken_back_by_an_equal_one_even_after_the_end() -> None:
    link = Link(One())
    told: list[Any] = []

    class Listener:
        def lost(self, *_: Any) -> None:
            told.append("lost")

    listener, root = Listener(), link.root
    link.client.notifyOnDisconnect(listener.lost)
    assert listener.lost in link.client.disconnects
    link.client.dontNotifyOnDisconnect(listener.lost)
    assert listener.lost not in link.client.disconnects
    root.notifyOnDisconnect(listener.lost)
    root.dontNotifyOnDisconnect(listener.lost)
    assert link.client.disconnects == []
    link.cut()
    root.dontNotifyOnDisconnect(listener.lost)
    assert told == []


def test_whoever_asks_to_be_told_after_the_end_is_told_so() -> None:
    link = Link(One())
    root = link.root
    link.cut()
    for ask in link.client.notifyOnDisconnect, root.notifyOnDisconnect:
        with pytest.raises(pb.DeadReferenceError):
            ask(print)


def test_pending_calls_fail_before_connection_lost_returns_and_the_transport_stays() -> None:
    link = Link(One())
    waiting = link.root.callRemote("later")
    link.cut()
    assert outcome(waiting).check(pb.PBConnectionLost)
    assert link.client.transport is link.to_server


def test_a_lost_call_fails_with_the_reason_for_its_argument_as_in_pb(dialect: str) -> None:
    link = Link(One())
    lost = Failure(error.ConnectionLost())
    waiting = [link.root.callRemote("later"), link.root.callRemote("later")]
    waiting.append(link.root.callRemote("echo", waiting[0]))
    waiting.append(waiting[1].call("three", 1))
    link.client.connectionLost(lost)
    chained = dialect == "pellucid"  # where a call of a result is sent before that is there
    for each, sent in zip(waiting, [True, True, chained, chained], strict=True):
        failure = outcome(each)
        assert failure.type is pb.PBConnectionLost
        assert failure.value.args == (lost,)
        assert failure.value.args[0].check(error.ConnectionLost)
        assert str(failure.value) == failure.getErrorMessage() == lost.getErrorMessage()
        assert failure.value.sent is sent


def test_a_lost_connection_may_be_raised_by_a_program_with_any_argument_or_none() -> None:
    lost = Failure(error.ConnectionLost())
    assert pb.PBConnectionLost(lost).args == (lost,)
    assert str(pb.PBConnectionLost("gone")) == "gone"
    assert str(pb.PBConnectionLost()) == ""


def test_a_peer_that_breaks_the_protocol_is_disconnected() -> None:
    link = Link(One())
    link.server.dataReceived(b"\x01\x80\x00\x80")
    assert link.to_client.disconnecting
    link.server.dataReceived(b"whatever")


def test_a_broker_that_never_heard_of_its_peer_can_be_lost(logged: list[Any]) -> None:
    server = pb.PBServerFactory(One()).buildProtocol(None)
    server.makeConnection(StringTransport())
    server.connectionLost()
    assert logged == []


def test_those_who_wait_for_a_connection_are_told_once() -> None:
    told: list[str] = []
    client = pb.PBClientFactory().buildProtocol(None)
    client.notifyOnConnect(lambda: told.append("connected"))
    client.notifyOnFail(lambda: told.append("failed"))
    client.connectionFailed()
    assert told == ["failed"]
    link = Link(One())
    link.client.notifyOnConnect(lambda: told.append("is connected"))
    assert told == ["failed", "is connected"]


@pytest.mark.parametrize("stand_in", [mock.Mock, mock.MagicMock])
def test_a_programs_test_may_give_a_broker_any_object_for_its_transport(stand_in: Any) -> None:
    client = pb.PBClientFactory().buildProtocol(None)
    transport = stand_in()
    client.makeConnection(transport)
    client.dataReceived(banana.encode(client.knownDialects))
    waiting = client.remoteForName("root").callRemote("echo", 1)
    assert b"echo" in b"".join(call.args[0] for call in transport.write.call_args_list)
    client.connectionLost(Failure(error.ConnectionDone()))
    assert outcome(waiting).check(pb.PBConnectionLost)


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_broker_speaks_only_the_dialects_that_its_class_knows(side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pb.Broker, "knownDialects", [b"pellucid", b"pb", b"none"])

    class Plain(pb.Broker):
        knownDialects: ClassVar[list[bytes]] = [b"none"]

    client, server = pb.PBClientFactory(), type("Factory", (pb.PBServerFactory,), {})(One())
    (client if side == "client" else server).protocol = Plain
    ends = client.buildProtocol(None), server.buildProtocol(None)
    to_server, to_client = StringTransport(), StringTransport()
    ends[1].makeConnection(to_client)
    ends[0].makeConnection(to_server)
    ends[0].dataReceived(to_client.value())
    ends[1].dataReceived(to_server.value())
    assert [end.currentDialect for end in ends] == [b"none", b"none"]


# What subclasses of Broker and others may lean on.


def test_a_broker_may_have_commands_of_its_own() -> None:
    class Own(pb.Broker):
        heard: ClassVar[list[Any]] = []

        def proto_shout(self, *words: Any) -> None:
            self.heard.append(words)
            self.sendCall(b"echo", *words)

    link = Link(One(), protocol=Own)
    link.client.sendCall(b"shout", b"ho", [1, 2.5])
    link.client.sendCall(b"whisper")
    assert link.call(link.root, "echo", 1) == 1
    assert Own.heard == [(b"ho", [1, 2.5])]


def test_what_a_command_of_its_own_raises_reaches_the_transport_as_in_pb() -> None:
    class Own(pb.Broker):
        def proto_shout(self) -> None:
            raise ZeroDivisionError

    link = Link(One(), protocol=Own)
    link.client.sendCall(b"shout")
    with pytest.raises(ZeroDivisionError):
        link.pump()


def test_a_class_may_be_registered_for_all_references() -> None:
    class Own(pb.RemoteReference):
        pass

    pb.setUnjellyableForClass("remote", Own)
    link = Link(One())
    two = link.call(link.root, "two")
    assert type(two) is Own
    assert link.call(two, "three", 1) == 4
    assert link.call(link.root, "two") is two


def test_classes_provide_the_interfaces_that_they_do_in_twisted() -> None:
    assert pb.IPerspective.providedBy(pb.Avatar())
    assert pb.IPBRoot.providedBy(pb.Root())
    assert jelly.IUnjellyable.implementedBy(pb.RemoteReference)
    for cls in pb.Referenceable, pb.Copyable, pb.Cacheable, pb.RemoteReference:
        assert jelly.IJellyable.implementedBy(cls)


def test_a_copy_that_came_through_no_connection_has_no_broker() -> None:
    assert (pb.RemoteCache().broker, pb.RemoteCache().luid) == (None, None)


def test_a_local_is_made_of_an_object_by_name() -> None:
    local = pb.Local(object=1, perspective=2)
    assert (local.object, local.perspective, local.refcount) == (1, 2, 1)
