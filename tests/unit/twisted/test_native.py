"""The native dialect as the Twisted door speaks it: what PB alone knows, large buffers, and peers of other doors."""

from __future__ import annotations

import gc
from typing import Any, ClassVar
from weakref import WeakSet

import pytest
from twisted.internet import defer, main, task
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

import pellucid
from pellucid.core.gathering import gather
from pellucid.errors import InsecureJelly, LimitExceeded, RemoteError, RemoteProtocolError
from pellucid.twisted import banana, jelly, pb, util
from pellucid.wire.native.codes import Kind, Leaf, Mark
from pellucid.wire.native.frames import frame
from tests.pair import Extension, Settings, Side, read, write
from tests.unit.twisted.link import ROUNDS, Link, outcome

HERE = __name__
LARGE = b"x" * 300_000


class Plain:
    """Of no flavor."""


class Box(pb.Copyable, pb.RemoteCopy):
    inside: Any

    def __init__(self, inside: Any) -> None:
        self.inside = inside


class Own(jelly.Jellyable):
    """Writes itself, and what it holds, as one expression."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts

    def jellyFor(self, jellier: Any) -> Any:
        expression = jellier.prepare(self)
        expression += [b"own", [b"raw", [1, 2.5, 2**70]], *map(jellier.jelly, self.parts)]
        return jellier.preserve(self, expression)


class OwnCopy(jelly.Unjellyable):
    raw: Any
    parts: Any

    def unjellyFor(self, unjellier: Any, jellyList: Any) -> Any:
        self.raw = jellyList[1]
        self.parts = [unjellier.unjelly(part) for part in jellyList[2:]]
        return self


class Desk(pb.Root):
    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.lost: list[Any] = []

    def remote_keep(self, *values: Any) -> None:
        self.kept.append(values[0] if len(values) == 1 else values)

    def remote_give(self) -> Any:
        return self.kept[-1]

    def remote_echo(self, value: Any) -> Any:
        return value

    def remote_fail(self) -> None:
        raise ZeroDivisionError("oops")

    def remote_method(self, number: int) -> int:
        return number + 1


@pytest.fixture(autouse=True)
def registered(speaks_native: str) -> None:
    jelly.setUnjellyableForClass(Box, Box)
    jelly.setUnjellyableForClass("own", OwnCopy)


def kept(link: Link, value: Any) -> Any:
    """What arrives where `value` is sent."""
    failure = link.call(link.root, "keep", value)
    assert failure is None, failure
    return link.server_factory.root.kept[-1]


# Which dialect.


def test_two_pellucid_peers_speak_the_native_dialect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert pb.Broker.knownDialects == [b"pellucid", b"pb", b"none"]
    link = Link(Desk())
    assert [link.client.currentDialect, link.server.currentDialect] == [b"pellucid", b"pellucid"]


@pytest.mark.parametrize("known", [[b"pb", b"none"], [b"none"]])
def test_a_program_may_choose_another(known: list[bytes]) -> None:
    class Old(pb.Broker):
        knownDialects: ClassVar[list[bytes]] = known

    factory = pb.PBClientFactory()
    factory.protocol = Old
    link = Link(Desk(), factory, protocol=Old)
    assert link.client.currentDialect == known[0]


# Objects that write themselves.


def test_an_object_that_writes_itself_is_read_as_it_was_written() -> None:
    copy = kept(link := Link(Desk()), Own([1], {"a": (None, True)}, pb.Referenceable()))
    assert copy.raw == [b"raw", [1, 2.5, 2**70]]
    assert copy.parts[:2] == [[1], {"a": (None, True)}]
    assert copy.parts[2].broker is link.server


def test_what_is_met_inside_and_outside_of_one_is_one_object() -> None:
    link = Link(Desk())
    shared, box = [1], Box(None)
    first, own, again, second = kept(link, [shared, Own(shared, box), box, shared])
    assert first is second is own.parts[0]
    assert own.parts[1] is again
    own, outside, also = kept(link, [one := Own(deep := [2]), deep, one])
    assert own is also
    assert own.parts[0] is outside


def test_cycles_may_lead_through_one() -> None:
    box = Box(None)
    box.inside = [Own(box)]
    copy = kept(Link(Desk()), box)
    assert copy.inside[0].parts[0] is copy


def test_with_sharing_as_a_tree_cycles_end_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pb.Broker, "sharing", "tree")
    link = Link(Desk())
    box = Box(None)
    box.inside = [Own(box)]
    copy = kept(link, box)
    assert isinstance(copy.inside[0].parts[0], Box)
    shared = [1]
    one, other, own = kept(link, [shared, shared, Own(shared, shared)])
    assert one is not other
    assert own.parts == [[1], [1]]


def test_a_bound_method_crosses_where_it_is_allowed() -> None:
    security = jelly.SecurityOptions()
    security.allowBasicTypes()
    security.allowTypes("method", "remote", "local", "class")
    security.allowInstancesOf(Plain, Method)
    link = Link(Desk(), pb.PBClientFactory(security=security), security=security)
    method = kept(link, Method(3).times)
    assert method(4) == 12
    assert Link(Desk()).root.callRemote("keep", Method(3).times) is not None


class Method:
    def __init__(self, number: int) -> None:
        self.number = number

    def times(self, number: int) -> int:
        return self.number * number


@pytest.mark.parametrize("part", ["text", None, {}, bytearray(b"x")])
def test_an_object_that_writes_what_is_no_expression_is_refused_at_the_sender(part: Any) -> None:
    class Wrong(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            return [b"own", part]

    link = Link(Desk())
    root = link.root
    assert outcome(root.callRemote("keep", Wrong())).check(InsecureJelly)
    assert not link.to_server.value()


def test_one_that_is_nested_too_deeply_is_refused_at_the_sender() -> None:
    expression: Any = [b"own"]
    for _ in range(pb.Broker.limits.nesting):
        expression = [b"own", expression]

    class Deep(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            return expression

    link = Link(Desk())
    assert outcome(link.root.callRemote("keep", Deep())).check(LimitExceeded)


def test_what_came_with_one_that_is_refused_is_given_back() -> None:
    del jelly.unjellyableRegistry[b"own"]
    link = Link(Desk())
    thing = pb.Referenceable()
    failure = link.call(link.root, "keep", Single(thing))
    assert failure.check(InsecureJelly)
    assert "own" in failure.value
    link.settle()
    assert thing not in [local.object for local in link.client.localObjects.values()]


def hostile(link: Link, expression: bytes) -> None:
    """Have the server called with an argument that is an s-expression, in msgpack."""
    jelly_mark = bytes((0xC7, 0, Mark.JELLY))
    argument = b"\x92" + jelly_mark + expression
    link.server.dataReceived(frame(b"\x95" + bytes((Kind.CALL, 7)) + b"\xa4root\xa4keep\x91" + argument))


@pytest.mark.parametrize(
    "expression",
    [
        b"\xc0",
        b"\xa1x",
        b"\x92\xc4\x03own\xa1x",
        b"\x92\xc4\x03own\xc7\x00\x20",
        b"\x92\xc4\x03own\xd4\x10\x05",
        b"\x92\xc4\x03own\x80",
        b"\x92\xc4\x04list\x91\x01",
        b"\x90",
    ],
    ids=["nil", "text", "text inside", "mark", "reference", "map", "no tag", "empty"],
)
def test_a_peer_that_sends_no_expression_in_its_place_is_refused(expression: bytes) -> None:
    link = Link(Desk())
    hostile(link, expression)
    answer = link.to_client.value()
    assert answer[5] == Kind.FAIL
    assert not link.to_client.disconnecting
    assert link.server_factory.root.kept == []


def test_a_failure_is_told_in_the_dialects_own_form_and_a_subclass_in_its_own_way() -> None:
    class Told(pb.CopyableFailure):
        def getStateToCopy(self) -> dict[str, Any]:
            return {**super().getStateToCopy(), "value": "in other words"}

    link = Link(Desk())
    plain, told = kept(link, [pb.CopyableFailure(ValueError("so")), Told(ValueError("so"))])
    assert (plain.value, told.value) == ("so", "in other words")
    assert plain.check(ValueError)
    assert told.check(ValueError)


# What may not cross.


@pytest.mark.parametrize(
    ("missing", "value"),
    [
        ("list", [1]),
        ("unicode", "text"),
        ("None", None),
        ("boolean", True),
        ("dictionary", {"a": 1}),
        ("tuple", (1,)),
        ("set", {1}),
        ("reference", [Box(1)] * 2),
    ],
)
@pytest.mark.parametrize("side", ["server", "client"])
def test_security_options_forbid_in_this_dialect_too(missing: str, value: Any, side: str) -> None:
    security = jelly.SecurityOptions()
    security.allowedTypes.update(jelly.globalSecurity.allowedTypes)
    link = Link(Desk())
    assert not isinstance(link.call(link.root, "echo", value), pb.CopiedFailure)
    del security.allowedTypes[missing.encode()]
    getattr(link, side).security = security
    failure = link.call(link.root, "echo", value)
    assert failure.check(InsecureJelly)
    assert f"{missing} may not cross" in failure.getErrorMessage()
    assert link.call(link.root, "echo", b"bytes") == b"bytes"
    assert link.call(link.root, "fail").check(ZeroDivisionError)


@pytest.mark.parametrize(("side", "missing"), [("server", "remote"), ("client", "local")])
def test_they_forbid_references_too(side: str, missing: str) -> None:
    security = jelly.SecurityOptions()
    security.allowedTypes.update(jelly.globalSecurity.allowedTypes)
    del security.allowedTypes[missing.encode()]
    link = Link(Desk())
    getattr(link, side).security = security
    thing = pb.Referenceable()
    failure = link.call(link.root, "echo", thing)
    assert f"{missing} may not cross" in failure.getErrorMessage()
    link.settle()
    assert thing not in [local.object for local in link.client.localObjects.values()]


def test_security_options_that_are_asked_about_types_forbid_their_sending() -> None:
    class NoLists(jelly.SecurityOptions):
        def isTypeAllowed(self, typeName: Any) -> bool:
            return typeName != b"builtins.list" and super().isTypeAllowed(typeName)

    security = NoLists()
    security.allowedTypes.update(jelly.globalSecurity.allowedTypes)
    link = Link(Desk(), pb.PBClientFactory(security=security))
    root = link.root
    assert outcome(root.callRemote("echo", [1])).check(InsecureJelly)
    assert not link.to_server.value()
    assert link.call(root, "echo", "text") == "text"


# Order and large buffers.


class Timed(pb.Broker):
    """Has a clock, as where a reactor runs."""

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        self.clock = task.Clock()


def timed(root: Any) -> Link:
    factory = pb.PBClientFactory()
    factory.protocol = Timed
    return Link(root, factory, protocol=Timed)


def test_where_nobody_asks_for_more_a_large_buffer_is_written_at_once() -> None:
    link = Link(Desk())
    root = link.root
    root.callRemote("keep", LARGE)
    assert len(link.to_server.value()) > len(LARGE)
    link.pump()
    assert link.server_factory.root.kept == [LARGE]


def test_where_a_reactor_asks_it_leaves_piece_by_piece_and_nothing_passes_it() -> None:
    link = timed(Desk())
    root = link.root
    root.callRemote("keep", LARGE)
    root.callRemote("keep", b"small")
    assert link.to_server.streaming is False
    assert link.to_server.value() == b""
    producer: Any = link.to_server.producer
    producer.resumeProducing()
    assert 0 < len(link.to_server.value()) < len(LARGE)
    for _ in range(ROUNDS):
        if link.to_server.producer is None:
            break
        link.to_server.producer.resumeProducing()
    link.pump()
    assert link.server_factory.root.kept == [LARGE, b"small"]
    root.callRemote("keep", b"afterwards")
    link.pump()
    assert link.server_factory.root.kept[-1] == b"afterwards"


def test_pages_and_large_buffers_take_turns() -> None:
    link = timed(Desk())
    pages: list[Any] = []
    link.call(link.root, "keep", util.CallbackPageCollector(pages.extend))
    collector = link.server_factory.root.kept[-1]
    util.StringPager(collector, b"abcdef", 2)
    collector.callRemote("gotPage", LARGE)
    for _ in range(ROUNDS):
        if link.to_client.producer is None:
            break
        link.to_client.producer.resumeProducing()
        link.pump()
    assert sorted(pages) == [b"ab", b"cd", b"ef", LARGE]


def test_a_transport_that_has_another_producer_is_given_all_at_once() -> None:
    link = timed(Desk())
    root = link.root
    link.to_server.registerProducer(object(), True)
    root.callRemote("keep", LARGE)
    link.pump()
    assert link.server_factory.root.kept == [LARGE]


def test_a_pager_that_another_producer_stands_in_the_way_of_is_refused_and_holds_up_nothing() -> None:
    link = timed(Desk())
    refused: list[Any] = []
    pages: list[Any] = []
    for each in refused, pages:
        link.call(link.root, "keep", util.CallbackPageCollector(each.append))
    server_holds: list[Any] = link.server_factory.root.kept
    link.to_client.registerProducer(object(), True)
    with pytest.raises(RuntimeError):
        util.StringPager(server_holds[0], b"abcdef")
    link.to_client.unregisterProducer()
    server_holds[0].callRemote("gotPage", LARGE)
    util.StringPager(server_holds[1], b"abcdef")
    for _ in range(ROUNDS):
        if link.to_client.producer is None:
            break
        link.to_client.producer.resumeProducing()
        link.pump()
    assert (refused, pages) == ([], [[b"abcdef"]])
    answered = server_holds[0].callRemote("endedPaging")
    link.pump()
    assert outcome(answered) is None
    assert refused == [[LARGE]]


# Signs of life.


class Aborting(StringTransport):
    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


def test_a_peer_that_is_silent_is_asked_for_a_sign_of_life_and_then_given_up() -> None:
    link = timed(Desk())
    transport = link.server.transport = Aborting()
    clock: Any = link.server.clock
    third = link.server.limits.silence_seconds / 3
    clock.advance(third)
    assert transport.value() == b""
    clock.advance(third)
    assert transport.value()[5] == Kind.PING
    clock.pump([third / 4] * 3)
    assert not transport.aborted
    clock.advance(third / 4)
    assert transport.aborted
    assert clock.getDelayedCalls() == []


class Pipe:
    """As the transport of a program's own input and output: it has no way to cut off."""

    closed = False

    def write(self, data: bytes) -> None:
        """It is read by nobody."""

    def loseConnection(self) -> None:
        self.closed = True


def test_where_a_connection_can_only_be_closed_it_is_closed() -> None:
    link = timed(Desk())
    pipe = link.server.transport = Pipe()
    clock: Any = link.server.clock
    clock.pump([link.server.limits.silence_seconds / 3] * 6)
    assert pipe.closed
    assert clock.getDelayedCalls() == []


def test_one_that_could_not_be_heard_while_the_reactor_here_stood_still_is_kept() -> None:
    link = timed(Desk())
    transport = link.server.transport = Aborting()
    clock: Any = link.server.clock
    third = link.server.limits.silence_seconds / 3
    clock.pump([third, third, third * 10])  # a reactor runs what is due, and only then it sends and reads
    assert not transport.aborted
    link.client.dataReceived(transport.value())
    link.server.dataReceived(link.to_server.value())
    transport.clear()
    clock.pump([third, third])
    assert transport.value()[5] == Kind.PING
    assert not transport.aborted


def test_one_that_answers_is_kept() -> None:
    link = timed(Desk())
    clocks: list[Any] = [link.server.clock, link.client.clock]
    for _ in range(20):
        for clock in clocks:
            clock.advance(link.server.limits.silence_seconds / 3)
        link.pump()
    assert link.call(link.root, "echo", 1) == 1
    link.cut()
    assert [clock.getDelayedCalls() for clock in clocks] == [[], []]


def test_so_is_one_that_still_takes_what_it_was_sent_before() -> None:
    link = timed(Desk())
    transport: Any = Aborting()
    link.server.transport = transport
    clock: Any = link.server.clock
    for offset in range(10):
        transport.dataBuffer, transport.offset = b"much that waits", offset
        clock.advance(link.server.limits.silence_seconds / 3)
    assert not transport.aborted


def test_without_a_clock_there_is_no_timer() -> None:
    link = Link(Desk())
    assert link.server.clock is None


# Commands of a program's own.


class Fragile(pb.Root):
    def remote_fail(self) -> None:
        raise ZeroDivisionError


def test_both_sides_name_a_call_alike_in_their_logs(logged: list[Any]) -> None:
    link = Link(Fragile())
    waiting = link.root.callRemote("fail")
    link.pump()

    failure = outcome(waiting)

    assert failure.check(ZeroDivisionError)
    (event,) = (each for each in logged if "failure" in each)
    told = {name: event[name] for name in ("event", "connection", "method", "call")}
    assert told == {
        "event": "call.failed",
        "connection": link.server.log_number,
        "method": "fail",
        "call": waiting.correlation_id,
    }
    assert waiting.correlation_id == f"{link.client.log_number}-1"


def test_a_command_is_an_expression() -> None:
    link = Link(Desk())
    wrong: Any
    for wrong in ["text"], [None], {}:
        with pytest.raises(banana.BananaError):
            link.client.sendCall(b"shout", wrong)
    with pytest.raises(banana.BananaError, match="inline_bytes"):
        link.client.sendCall(b"shout", b"x" * link.client.limits.inline_bytes)
    assert not link.to_server.value()


@pytest.mark.parametrize("command", [b"\x01", b"\x90", b"\x91\xa1x", b"\x91\x01", b"\x92\xc4\x01x\xc0"])
def test_a_peer_that_sends_no_command_in_its_place_is_disconnected(command: bytes) -> None:
    link = Link(Desk())
    link.server.dataReceived(frame(b"\x92" + bytes((Kind.COMMAND,)) + command))
    assert link.to_client.disconnecting


# Peers of the other door: of the core, without the door's own forms.


class Bridge:
    """A broker of this door, and one of the core: what the asyncio door is built on."""

    def __init__(self, root: Any, far_root: Any, *, listens: bool, settings: Settings | None = None) -> None:
        factory: Any = pb.PBServerFactory(root) if listens else pb.PBClientFactory()
        self.broker = factory.buildProtocol(None)
        self.far = Side(far_root, settings or Settings(), listens=not listens)
        self.transport = StringTransport()
        self.broker.makeConnection(self.transport)
        if not listens:
            self.broker.setNameForLocal("root", root)
        self.pump()

    def pump(self) -> None:
        for _ in range(ROUNDS):
            up, down = self.transport.value(), self.far.flush()
            self.transport.clear()
            if not up and not down:
                return
            if up:
                self.far.receive(up)
            if down:
                self.broker.dataReceived(down)

    def here(self, name: str, *args: Any) -> Any:
        """What a call from this door comes to."""
        waiting = self.broker.remoteForName("root").callRemote(name, *args)
        self.pump()
        return outcome(waiting)

    def there(self, name: str, *args: Any) -> Any:
        """What a call from the core comes to."""
        waiting: Any = self.far.root.call(name, *args)
        self.pump()
        return waiting.result()


both_ways = pytest.mark.parametrize("listens", [True, False], ids=["server", "client"])


@both_ways
def test_values_and_references_cross_to_a_peer_of_the_other_door_and_back(listens: bool) -> None:
    bridge = Bridge(Desk(), Desk(), listens=listens)
    assert bridge.far.broker.dialect == "pellucid"
    values = [1, 2**70, "x", b"y", (None, True), {1: {2.5}}, frozenset("z")]
    assert bridge.here("echo", values) == bridge.there("echo", values) == values
    here, there = pb.Referenceable(), pellucid.Referenceable()
    assert bridge.here("echo", here) is here
    assert bridge.there("echo", there) is there
    assert bridge.here("echo", LARGE) == bridge.there("echo", LARGE) == LARGE


@both_ways
def test_errors_of_methods_and_of_brokers_are_told_apart(listens: bool) -> None:
    class Lost(Desk):
        def remote_fail(self) -> None:
            raise pb.DeadReferenceError("of its own")

    bridge = Bridge(Lost(), Lost(), listens=listens)
    failure = bridge.here("fail")
    assert str(failure.type) == "twisted.spread.pb.DeadReferenceError"
    assert bridge.here("nothing").check(pb.NoSuchMethod)
    with pytest.raises(RemoteError) as raised:
        bridge.there("fail")
    assert raised.value.remote_type == "twisted.spread.pb.DeadReferenceError"
    with pytest.raises(pellucid.NoSuchMethod):
        bridge.there("nothing")
    with pytest.raises(pellucid.InsecureJelly):
        bridge.there("echo", Plain())


def test_an_error_of_a_method_is_told_as_one_to_the_calls_that_wait_for_it_too() -> None:
    class Late(Desk):
        def remote_fail(self) -> None:
            raise pellucid.DeadlineExceeded("of its own")

    link = Link(Late())
    link.to_client.clear()
    promises = Extension(Leaf.PROMISE, b"\7"), Extension(Leaf.PROMISE, b"\10")
    for call in (
        [Kind.CALL.value, 7, "root", "fail", []],
        [Kind.CALL.value, 8, "root", "echo", [promises[0]]],
        [Kind.CALL.value, 9, promises[1], "echo", [1]],
        [Kind.BATCH.value, 10, [["root", "echo", [promises[0]]]]],
    ):
        link.server.dataReceived(write(call, "pellucid"))
    *failures, batch = read(link.to_client.value(), "pellucid")
    failures = [failure for _, _, failure in failures] + [failure for _, failure in batch[3]]
    told = {(failure[1], *failure[4:]) for failure in failures}
    assert told == {("pellucid.errors.DeadlineExceeded", None, True, None)}  # no time of these calls is over


@both_ways
def test_what_refuses_a_call_is_no_method_and_says_all_that_it_knows(listens: bool) -> None:
    class Careful(Desk, validate=True):
        def remote_double(self, number: int) -> int:
            return number * 2

    revoked = pellucid.facet(Desk())
    desk = Careful()
    desk.kept = [revoked]
    bridge = Bridge(desk, Desk(), listens=listens)
    facet = bridge.there("give")
    revoked.revoke()
    waiting: Any = facet.call("method", 1)
    bridge.pump()
    with pytest.raises(pellucid.Revoked):
        waiting.result()
    with pytest.raises(pellucid.InvalidArgument) as raised:
        bridge.there("double", "2")
    assert (raised.value.method, raised.value.argument) == ("remote_double", "number")
    assert (raised.value.expected, raised.value.got) == ("int", "str")


@both_ways
def test_nothing_that_a_method_had_in_hand_is_kept_once_it_has_failed(listens: bool) -> None:
    alive: WeakSet[Any] = WeakSet()

    class Clumsy(Desk):
        def remote_fail(self) -> None:
            alive.add(in_hand := Box(None))
            raise pb.Error(f"drops {type(in_hand)}")

        async def remote_fail_later(self) -> None:
            self.remote_fail()

        def remote_wait(self) -> defer.Deferred[None]:
            return defer.Deferred()

    bridge = Bridge(Clumsy(), Desk(), listens=listens)
    for name in "fail", "fail_later":
        with pytest.raises(pellucid.Error):
            bridge.there(name)  # whose outcome is kept until the peer has seen it
    batch = gather(*map(bridge.far.root.prepare, ["fail", "fail_later", "wait"]))
    bridge.pump()
    assert not batch.done
    gc.collect()
    assert not alive


@both_ways
def test_a_method_that_runs_on_without_its_caller_keeps_no_results_of_its_batch(listens: bool) -> None:
    alive: WeakSet[Any] = WeakSet()

    class Busy(Desk):
        running: ClassVar[list[defer.Deferred[None]]] = []

        def remote_open(self) -> pb.Referenceable:
            alive.add(opened := pb.Referenceable())
            return opened

        def remote_wait(self) -> defer.Deferred[None]:
            self.running.append(defer.Deferred())
            return self.running[-1]

    bridge = Bridge(Busy(), Desk(), listens=listens)
    gather(*map(bridge.far.root.prepare, ["open", "wait", "open"]))
    bridge.pump()
    assert len(alive) == 2
    bridge.broker.connectionLost(Failure(main.CONNECTION_DONE))
    gc.collect()
    assert not alive
    Busy.running.pop().callback(None)  # to nobody


@both_ways
def test_copies_and_objects_that_write_themselves_arrive_where_they_are_registered(listens: bool) -> None:
    settings = Settings()
    settings.registry.register(Box, f"{HERE}.Box")
    settings.registry.register_factory(lambda state: state, "own")
    bridge = Bridge(desk := Desk(), far := Desk(), listens=listens, settings=settings)
    shared = [1]
    assert bridge.here("keep", Box(shared), Single(shared), shared) is None
    box, single, same = far.kept[-1]
    assert (box.inside, single, same) == ([1], [1], [1])
    assert box.inside is single is same
    bridge.there("keep", Box([2]))
    assert desk.kept[-1].inside == [2]


class Single(jelly.Jellyable):
    """Writes itself with a state and nothing else, as the other door understands it."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def jellyFor(self, jellier: Any) -> Any:
        return [b"own", jellier.jelly(self.state)]


@both_ways
def test_what_the_other_door_did_not_register_is_refused_and_given_back(listens: bool) -> None:
    bridge = Bridge(Desk(), Desk(), listens=listens)
    thing = pb.Referenceable()
    failure = bridge.here("keep", Single(thing))
    assert failure.check(InsecureJelly)
    assert thing not in [local.object for local in bridge.broker.localObjects.values()]


@both_ways
def test_a_peer_of_the_other_door_does_not_understand_commands_and_lives_on(listens: bool) -> None:
    bridge = Bridge(Desk(), Desk(), listens=listens)
    bridge.broker.sendCall(b"shout", 1)
    assert bridge.here("echo", 1) == 1
    assert bridge.far.ended_by is None


@both_ways
def test_chains_cross_doors(listens: bool) -> None:
    class Getter(Desk):
        def remote_desk(self) -> Desk:
            return Desk()

    bridge = Bridge(Getter(), Getter(), listens=listens)
    waiting = bridge.broker.remoteForName("root").callRemote("desk").call("method", 1)
    back: Any = bridge.far.root.call("desk").call("method", 2)
    bridge.pump()
    assert outcome(waiting) == 2
    assert back.result() == 3


def test_a_message_that_makes_no_sense_ends_the_connection() -> None:
    link = Link(Desk())
    link.server.dataReceived(frame(b"\xc1"))
    assert link.to_client.disconnecting
    assert issubclass(RemoteProtocolError, pb.ProtocolError)
