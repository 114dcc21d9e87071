from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pellucid.core.references import RemoteReference
from pellucid.errors import CallCancelled, DeadReferenceError, InsecureJelly, LocalProtocolError, RemoteError
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.wire.dialect import Sharing
from pellucid.wire.dialects import dialects_named
from pellucid.wire.native.codes import Kind, Leaf, Mark, number_of
from pellucid.wire.pb.disowned import receipts_in
from tests.pair import Desk, Extension, Pair, Settings, Side, Wire, read


class Thing(Referenceable):
    pass


class Pond(Cacheable):
    def __init__(self) -> None:
        self.updates = 0
        self.observers: list[Any] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"updates": self.updates}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)

    def update(self) -> None:
        self.updates += 1
        for observer in self.observers:
            with suppress(LocalProtocolError):  # it was given the state in a message that could not be sent
                observer.call("update", self.updates)


class RemotePond(RemoteCache):
    updates: int

    def observe_update(self, updates: int) -> None:
        self.updates = updates


class UnknownThere(Copyable):
    """Its receiver refuses it, and with it all that came in the same message."""


REGISTRY = Registry()
REGISTRY.register(RemotePond, Pond)
NAMES = ("client", "server")

sides = st.sampled_from(NAMES)
some = st.lists(st.integers(0, 4), max_size=4)


class Holding(RuleBasedStateMachine):
    """Two honest brokers, and a wire that delivers when and as much as it likes.

    Whatever is sent, received, dropped and released, in whatever order: an owner's count is the number of receipts
    that the holder has, or has on its way in either direction; and when everybody lets go, nothing is left.
    """

    dialect: ClassVar[str]
    sharing: ClassVar[Sharing] = "tree"

    def __init__(self) -> None:
        super().__init__()
        known = Settings(registry=REGISTRY, dialects=dialects_named([self.dialect]), sharing=self.sharing)
        self.pair = Pair(client_root=Desk(), server=known, client=known)
        self.sides = {"client": self.pair.client, "server": self.pair.server}
        self.to = {"client": self.pair.to_client, "server": self.pair.to_server}
        self.owned: dict[str, list[Any]] = {name: [Thing(), Thing(), Thing(), Pond(), Pond()] for name in self.sides}
        self.promises: list[Any] = []
        self.connected = True
        for wire in self.to.values():
            wire.held = True

    def desk(self, name: str) -> Desk:
        desk = self.sides[name].published
        assert isinstance(desk, Desk)
        return desk

    def call(self, name: str, method: str, *args: object) -> None:
        self.promises.append(self.sides[name].root.call(method, *args))

    def held(self, name: str) -> list[Any]:
        """What the side was given by the other and still has."""
        given = [thing for things in self.desk(name).kept for thing in things]
        return [thing for thing in given if isinstance(thing, RemotePond) or (is_reference(thing) and thing.alive)]

    # What applications do.

    @precondition(lambda self: self.connected)
    @rule(name=sides, method=st.sampled_from(["keep", "echo", "echo_later"]), which=some)
    def send(self, name: str, method: str, which: list[int]) -> None:
        self.call(name, method, [self.owned[name][index] for index in which])

    @precondition(lambda self: self.connected)
    @rule(name=sides, which=some)
    def send_beside_a_large_buffer(self, name: str, which: list[int]) -> None:
        self.call(name, "keep", [self.owned[name][index] for index in which], [bytes(70_000)])

    @precondition(lambda self: self.connected)
    @rule(name=sides, which=st.integers(0, 9))
    def send_a_promise(self, name: str, which: int) -> None:
        echoes = [promise for promise in self.promises if promise.name.startswith("echo")]
        if echoes:
            self.call(name, "echo", echoes[which % len(echoes)])

    @precondition(lambda self: self.connected)
    @rule(which=st.integers(0, 9))
    def give_up(self, which: int) -> None:
        if self.promises:
            self.promises[which % len(self.promises)].cancel()

    @precondition(lambda self: self.connected)
    @rule(name=sides, which=some)
    def send_home(self, name: str, which: list[int]) -> None:
        held = self.held(name)
        self.call(name, "echo", [held[index % len(held)] for index in which if held])

    @precondition(lambda self: self.connected)
    @rule(name=sides, which=some)
    def publish(self, name: str, which: list[int]) -> None:
        self.desk(name).kept.append([self.owned[name][index] for index in which])

    @precondition(lambda self: self.connected)
    @rule(name=sides, method=st.sampled_from(["give", "take", "clear"]))
    def fetch(self, name: str, method: str) -> None:
        self.call(name, method)

    @precondition(lambda self: self.connected)
    @rule(name=sides, which=some, bad=st.sampled_from([object(), UnknownThere(), "lone \udc80"]))
    def send_with_something_bad(self, name: str, which: list[int], bad: object) -> None:
        self.call(name, "keep", [self.owned[name][index] for index in which], [bad])

    @precondition(lambda self: self.connected)
    @rule(name=sides, which=st.integers(3, 4))
    def update(self, name: str, which: int) -> None:
        self.owned[name][which].update()

    @precondition(lambda self: self.connected)
    @rule(name=sides, index=st.integers(0, 9))
    def release(self, name: str, index: int) -> None:
        references = [thing for thing in self.held(name) if is_reference(thing)]
        if references:
            references[index % len(references)].release()

    @rule(name=sides)
    def drop(self, name: str) -> None:
        self.desk(name).kept.clear()

    @rule()
    def forget_answers(self) -> None:
        self.promises = [promise for promise in self.promises if not promise.done]

    # What the world does.

    @rule(name=sides)
    def collect_garbage(self, name: str) -> None:
        gc.collect(0)

    @precondition(lambda self: self.connected)
    @rule()
    def flush(self) -> None:
        self.pair.flush()

    @precondition(lambda self: self.connected)
    @rule(name=sides, size=st.integers(1, 100))
    def deliver(self, name: str, size: int) -> None:
        self.to[name].deliver(size)

    @precondition(lambda self: self.connected)
    @rule(name=sides)
    def deliver_all(self, name: str) -> None:
        self.pair.flush()
        self.to[name].deliver()

    @precondition(lambda self: self.connected)
    @rule(often=st.sampled_from([False, False, False, True]))
    def disconnect(self, often: bool) -> None:
        if often:
            self.pair.cut()
            self.connected = False

    # What must be true all the while.

    @invariant()
    def no_honest_broker_breaks_the_protocol(self) -> None:
        assert [side.ended_by for side in self.sides.values()] == [None, None]

    @invariant()
    def counts_are_receipts_outstanding(self) -> None:
        if self.connected:
            for owner, holder in (NAMES, NAMES[::-1]):
                references, caches = self.receipts(self.sides[holder], self.to[holder], self.to[owner])
                assert self.sides[owner].exports() == dict(references)
                assert self.sides[owner].cache_exports() == dict(caches)
        else:
            assert all(side.is_empty() for side in self.sides.values())

    def receipts(self, holder: Side, there: Wire, back: Wire) -> tuple[Counter[int], Counter[int]]:
        """Receipts that the holder has, that are on the way to it, and that it has given back without a word yet."""
        owner = self.sides["server" if holder is self.pair.client else "client"]
        receipts_of = receipts_in_msgpack if self.dialect == "pellucid" else receipts_in_jelly
        references, caches = receipts_of(on_the_way(there, owner))
        for given_back in given_back_in(on_the_way(back, holder)), made_out_by(holder):
            references += given_back[0]
            caches += given_back[1]
        books = holder.broker.books
        for held in counted(books.imports):
            references[held.export_id] += held.receipts
        for cached in counted(books.cache_imports):
            caches[cached.cache_id] += cached.receipts
        return +references, +caches

    def teardown(self) -> None:
        if self.connected:
            for wire in self.to.values():
                wire.held = False
            self.pair.pump()
            self.check_answers()
            ponds = [pond for owned in self.owned.values() for pond in owned if isinstance(pond, Pond)]
            for name in NAMES:
                self.desk(name).kept.clear()
            self.promises.clear()
            self.pair.settle()
            self.no_honest_broker_breaks_the_protocol()
            assert self.pair.client.is_empty()
            assert self.pair.server.is_empty()
            assert [pond.observers for pond in ponds] == [[]] * len(ponds)

    def check_answers(self) -> None:
        """Every call is answered, and what went there and back is what it was."""
        own = self.owned["client"] + self.owned["server"]
        for promise in self.promises:
            assert promise.done
            # There may be nothing to take, or to give; what is sent may be bad, or refer to what was released there.
            with suppress(InsecureJelly, RemoteError, CallCancelled, DeadReferenceError):
                result = promise.result()
                if promise.name.startswith("echo"):
                    assert all(thing in own or is_reference(thing) or isinstance(thing, RemotePond) for thing in result)


def is_reference(thing: object) -> bool:
    return isinstance(thing, RemoteReference)


def counted(imports: Any) -> Iterator[Any]:
    """Entries whose receipts have not been given back: what is alive, and what was dropped and is not yet told."""
    yield from (entry for entry in imports._by_id.values() if entry() is not None)
    yield from imports._dropped


def receipts_in_jelly(messages: Iterable[Any]) -> tuple[Counter[int], Counter[int]]:
    """The receipts of references and of caches in messages of the PB dialects, by number."""
    jellies = [jelly for message in messages for jelly in message[2:] if type(jelly) is list]
    references, caches = receipts_in([b"list", *jellies])
    return Counter(dict(references)), Counter(dict(caches))


def receipts_in_msgpack(messages: Iterable[Any]) -> tuple[Counter[int], Counter[int]]:
    """The receipts of references and of caches in messages of the native dialect, by number."""
    references, caches = Counter[int](), Counter[int]()
    waiting = list(messages)
    for item in waiting:
        match item:
            case Extension(code=Leaf.REMOTE):
                references[number_of(item.body)] += 1
            case Extension(code=Leaf.CACHED | Mark.CACHE):
                caches[number_of(item.body)] += 1
            case list():
                waiting.extend(item)
            case dict():
                waiting.extend(item.values())
            case _:
                pass
    return references, caches


def given_back_in(messages: Iterable[Any]) -> tuple[Counter[int], Counter[int]]:
    """The receipts of references and of caches that messages give back, by number."""
    references, caches = Counter[int](), Counter[int]()
    for message in messages:
        match message:
            case [b"decref", number]:
                references[number] += 1
            case [b"decache", number]:
                caches[number] += 1
            case [Kind.RELEASE, receipts]:
                for number, count in zip(receipts[::2], receipts[1::2], strict=True):
                    references[number] += count
            case [Kind.RELEASE_CACHE, number, count]:
                caches[number] += count
            case _:
                pass
    return references, caches


def made_out_by(holder: Side) -> tuple[Counter[int], Counter[int]]:
    """The receipts of references and of caches that it will give back next, by number."""
    references, caches = Counter[int](), Counter[int]()
    books = holder.broker.books
    for number, count in books._receipts.items():
        references[number] += count
    for number, count in books._cache_receipts.items():
        caches[number] += count
    return references, caches


def on_the_way(wire: Wire, sender: Side) -> Iterator[Any]:
    """Messages that have not arrived whole, those included that their sender has not handed over yet."""
    for message, end in wire.messages():
        if end > wire.delivered:
            yield message
    outgoing = sender.broker.outgoing
    waiting = (entry for entry, *_ in outgoing.lane or ())
    unsent = [*outgoing.messages, *(entry if isinstance(entry, bytes) else entry._message for entry in waiting)]  # type: ignore[attr-defined]
    yield from read(b"".join(unsent), sender.broker.dialect)


class HoldingInPB(Holding):
    """In the dialect pb."""

    dialect = "pb"


class HoldingInNative(Holding):
    """In the native dialect."""

    dialect = "pellucid"


class HoldingGraphs(HoldingInNative):
    """In the native dialect, in which what is met twice in a message is one object there, too."""

    sharing = "graph"


for machine in HoldingInPB, HoldingInNative, HoldingGraphs:
    machine.TestCase.settings = settings(deadline=None, max_examples=25, stateful_step_count=40)
TestHoldingInPB = HoldingInPB.TestCase
TestHoldingInNative = HoldingInNative.TestCase
TestHoldingGraphs = HoldingGraphs.TestCase
