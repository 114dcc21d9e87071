"""Whatever crosses in whatever order in the native dialect: each call runs and ends once, and nothing is left."""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pellucid.core.calls import Call
from pellucid.core.gathering import gather
from pellucid.core.references import RemoteReference
from pellucid.errors import (
    CallCancelled,
    DeadlineExceeded,
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    LocalProtocolError,
    NoSuchMethod,
    NotAReference,
    PBConnectionLost,
)
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Referenceable, Root
from pellucid.flavors.registry import Registry
from pellucid.wire.dialects import dialects_named
from tests.pair import Pair, Promise, Settings
from tests.unit.core.native import is_clean

NAMES = ("client", "server")
LARGE = bytes(70_000)
EXPECTED = (
    CallCancelled,
    DeadReferenceError,
    Error,
    ForeignReference,
    InsecureJelly,
    NotAReference,
    NoSuchMethod,
)
"""What a call may end in here while the connection lives."""


class Broken(Error):
    """On purpose."""


class Counted(Promise):
    """A call that knows how often it ended."""

    ends = 0
    token = -1

    def _wake(self) -> None:
        self.ends += 1


class Player(Referenceable):
    """Whatever is called notes by its token that it ran, and hands back what it was given."""

    def __init__(self, ran: list[int]) -> None:
        self.ran = ran

    def remote_play(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        return [token, *values, *named.values()]

    async def remote_play_later(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        for _ in range(token % 3):
            await pause()
        return [token, *values, *named.values()]

    def remote_fresh(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        return Player(self.ran)

    async def remote_fresh_later(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        await pause()
        return Player(self.ran)

    def remote_back(self, token: int, *values: Any, **named: Any) -> Any:
        """The first value: often a reference, or an object of the caller's."""
        self.ran.append(token)
        return values[0] if values else self

    def remote_break(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        raise Broken("on purpose", *values)

    def remote_spoil(self, token: int, *values: Any, **named: Any) -> Any:
        """A result that may not cross, but for what comes with it."""
        self.ran.append(token)
        return [Player(self.ran), *values, object()]

    def remote_swell(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        return [token, LARGE, *values]


class pause:  # noqa: N801 - it reads as a verb
    """Let a coroutine wait for the next turn."""

    def __await__(self) -> Any:
        yield


class Pond(Cacheable):
    def __init__(self) -> None:
        self.observers: list[Any] = []

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        self.observers.append(observer)
        return {"depth": 0}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        self.observers.remove(observer)

    def update(self, value: Any) -> None:
        for observer in list(self.observers):
            try:
                observer.update("depth", value)
            except (LocalProtocolError, DeadReferenceError):
                pass  # it was given the state in a message that could not be sent


class PondCopy(RemoteCache):
    depth: Any

    def observe_depth(self, value: Any) -> None:
        self.depth = value


class Chest(Player, Root):
    """A root that also keeps things."""

    def __init__(self) -> None:
        super().__init__([])
        self.kept: list[Any] = []

    def remote_keep(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        self.kept.append([*values, *named.values()])
        return None

    def remote_take(self, token: int, *values: Any, **named: Any) -> Any:
        self.ran.append(token)
        return self.kept.pop() if self.kept else None


REGISTRY = Registry()
REGISTRY.register(PondCopy, Pond)

METHODS = ["play", "play_later", "fresh", "fresh_later", "back", "break", "spoil", "swell", "keep", "take"]

sides = st.sampled_from(NAMES)
methods = st.sampled_from(METHODS)
kinds = st.sampled_from(["own", "pond", "held", "promise", "plain", "large", "bad"])
values = st.lists(st.tuples(kinds, st.integers(0, 9)), max_size=3)


class Racing(RuleBasedStateMachine):
    """Two honest brokers, and wires that carry what and when they like."""

    def __init__(self) -> None:
        super().__init__()
        options = Settings(registry=REGISTRY, dialects=dialects_named(["pellucid"]))
        self.pair = Pair(Chest(), client_root=Chest(), server=options, client=options)
        self.sides = {"client": self.pair.client, "server": self.pair.server}
        self.to = {"client": self.pair.to_client, "server": self.pair.to_server}
        self.ponds = {name: Pond() for name in NAMES}
        self.calls: dict[str, list[Call]] = {name: [] for name in NAMES}
        self.ended: list[Counted] = []
        self.made: list[Counted] = []
        self.token = 0
        self.connected = True
        self.is_one_way: set[int] = set()
        for side in self.sides.values():
            side.make_call = self.make_call  # type: ignore[method-assign]
        for wire in self.to.values():
            wire.held = True

    def make_call(self, maker: Any, name: str, options: Any) -> Counted:
        call = Counted(maker, name)
        self.made.append(call)
        return call

    def chest(self, name: str) -> Chest:
        chest = self.sides[name].published
        assert isinstance(chest, Chest)
        return chest

    def held(self, name: str) -> list[RemoteReference]:
        """References that the side has and that are alive."""
        results = [call.outcome() for call in self.calls[name] if call.done and call.error is None]
        found = [*results, *self.chest(name).kept]
        references: list[RemoteReference] = []
        for value in found:
            for inner in value if isinstance(value, list) else [value]:
                if isinstance(inner, RemoteReference) and inner.alive:
                    references.append(inner)
        return references

    def value(self, name: str, kind: str, index: int) -> Any:
        match kind:
            case "own":
                return self.chest(name) if index > 7 else Player(self.chest(name).ran)
            case "pond":
                return self.ponds[name]
            case "held":
                held = self.held(name)
                return held[index % len(held)] if held else None
            case "promise":
                calls = self.calls[name]
                return calls[-1 - index % len(calls)] if calls else None
            case "large":
                return LARGE
            case "bad" if index > 7:
                return object()
            case _:
                return index

    def target(self, name: str, kind: str, index: int) -> Any:
        value = self.value(name, kind, index)
        return value if isinstance(value, RemoteReference | Call) else self.sides[name].root

    def next_token(self) -> int:
        self.token += 1
        return self.token

    # What applications do.

    @precondition(lambda self: self.connected)
    @rule(
        name=sides,
        on=st.tuples(st.sampled_from(["held", "promise", "root", "root"]), st.integers(0, 9)),
        method=methods,
        given=values,
        named=st.booleans(),
        one_way=st.sampled_from([False, False, False, True]),
    )
    def call(self, name: str, on: tuple[str, int], method: str, given: list[Any], named: bool, one_way: bool) -> None:
        target = self.target(name, *on)
        args = [self.value(name, *each) for each in given]
        kwargs = {"named": args.pop()} if named and args else {}
        token = self.next_token()
        if one_way and isinstance(target, RemoteReference):
            target = target.call_with(one_way=True)
            self.is_one_way.add(token)
        call = target.call(method, token, *args, **kwargs)
        assert isinstance(call, Counted)
        call.token = token
        if not one_way:
            self.calls[name].append(call)

    @precondition(lambda self: self.connected)
    @rule(name=sides, parts=st.lists(st.tuples(methods, values), max_size=4), errors=st.booleans())
    def make_together(self, name: str, parts: list[Any], errors: bool) -> None:
        held = [self.sides[name].root, *self.held(name)]
        prepared = []
        for index, (method, given) in enumerate(parts):
            args = [self.value(name, *each) for each in given]
            prepared.append(held[index % len(held)].prepare(method, self.next_token(), *args))
        call = gather(*prepared, return_exceptions=errors)
        if prepared:
            self.calls[name].append(call)

    @precondition(lambda self: self.connected)
    @rule(name=sides, index=st.integers(0, 9))
    def cancel(self, name: str, index: int) -> None:
        if self.calls[name]:
            self.calls[name][-1 - index % len(self.calls[name])].cancel()

    @precondition(lambda self: self.connected)
    @rule(name=sides, index=st.integers(0, 9))
    def expire(self, name: str, index: int) -> None:
        """As a door does when a call's time is up."""
        calls = [call for call in self.calls[name] if not call.done]
        if calls:
            calls[index % len(calls)].fail(DeadlineExceeded("for the test"))

    @precondition(lambda self: self.connected)
    @rule(name=sides, value=st.sampled_from([1, LARGE]))
    def update(self, name: str, value: Any) -> None:
        self.ponds[name].update(value)

    @precondition(lambda self: self.connected)
    @rule(name=sides, index=st.integers(0, 9))
    def release(self, name: str, index: int) -> None:
        held = self.held(name)
        if held:
            held[index % len(held)].release()

    @rule(name=sides)
    def drop(self, name: str) -> None:
        self.chest(name).kept.clear()

    @rule(name=sides)
    def forget(self, name: str) -> None:
        self.calls[name] = [call for call in self.calls[name] if not call.done]

    # What the world does.

    @rule()
    def collect_garbage(self) -> None:
        gc.collect(0)

    @precondition(lambda self: self.connected)
    @rule(name=sides)
    def hand_over(self, name: str) -> None:
        """What can leave at once leaves."""
        other = self.to["server" if name == "client" else "client"]
        self.sides[name]._settle_unsent()
        other.carried += self.sides[name].broker.data_to_send()

    @precondition(lambda self: self.connected)
    @rule(name=sides, size=st.sampled_from([1, 30_000, 100_000]))
    def hand_over_a_piece(self, name: str, size: int) -> None:
        self.hand_over(name)
        other = self.to["server" if name == "client" else "client"]
        other.carried += b"".join(self.sides[name].broker.next_piece(size))

    @precondition(lambda self: self.connected)
    @rule(name=sides, size=st.integers(1, 300))
    def deliver(self, name: str, size: int) -> None:
        self.to[name].deliver(size)

    @precondition(lambda self: self.connected)
    @rule(name=sides)
    def deliver_all(self, name: str) -> None:
        self.to[name].deliver()

    @precondition(lambda self: self.connected)
    @rule(name=sides)
    def go_on(self, name: str) -> None:
        self.sides[name].go_on()

    @precondition(lambda self: self.connected)
    @rule()
    def let_all_through(self) -> None:
        self.pair.flush()
        for wire in self.to.values():
            wire.deliver()

    @precondition(lambda self: self.connected)
    @rule(often=st.sampled_from([False] * 9 + [True]))
    def disconnect(self, often: bool) -> None:
        if often:
            self.pair.cut()
            self.connected = False

    # What must be true all the while.

    @invariant()
    def no_honest_broker_breaks_the_protocol(self) -> None:
        assert [side.ended_by for side in self.sides.values()] == [None, None]

    @invariant()
    def no_method_runs_twice(self) -> None:
        ran = Counter(self.chest("client").ran + self.chest("server").ran)
        assert not ran or max(ran.values()) == 1

    @invariant()
    def nothing_is_left_when_the_connection_has_ended(self) -> None:
        if not self.connected:
            assert all(is_clean(side) for side in self.sides.values())

    @invariant()
    def each_call_ends_once_with_its_own_answer(self) -> None:
        for call in self.made:
            assert call.ends == call.done
            if not call.done or call.token in self.is_one_way:
                continue
            if call.error is None:
                result = call.outcome()
                if call.token > 0 and call.name in ("play", "play_later", "swell"):
                    assert result[0] == call.token
            elif not isinstance(call.error, DeadlineExceeded):
                assert "not kept any more" not in str(call.error)
                assert isinstance(call.error, EXPECTED if self.connected else (*EXPECTED, PBConnectionLost)), call.error
        self.made = [call for call in self.made if not call.done]

    def teardown(self) -> None:
        if self.connected:
            for wire in self.to.values():
                wire.held = False
            for _ in range(3):  # a method may go on for as many turns, and say nothing in between
                self.pair.pump()
            self.no_honest_broker_breaks_the_protocol()
            self.no_method_runs_twice()
            assert all(call.done for call in self.made)
            self.each_call_ends_once_with_its_own_answer()
            for name in NAMES:
                self.calls[name].clear()
                self.chest(name).kept.clear()
            self.pair.settle()
            for name in NAMES:  # what is released has all answers seen
                call = self.sides[name].root.call("fresh", self.next_token())
                self.pair.pump()
                assert isinstance(call.outcome(), RemoteReference)
                del call
                self.made.clear()
                for _ in range(3):  # what is let go of may be the last to hold something else
                    self.pair.settle()
            self.no_honest_broker_breaks_the_protocol()
            assert is_clean(self.pair.client)
            assert is_clean(self.pair.server)
        assert [pond.observers for pond in self.ponds.values()] == [[], []]


Racing.TestCase.settings = settings(deadline=None, max_examples=50, stateful_step_count=50)
TestRacing = Racing.TestCase
