"""Making calls, some of which wait for the result of others.

A call's target, or an argument, can be a call that is still under way. Such a call waits for those alone. Calls of one
object go out in the order made all the same, so that those made later wait behind it; nobody else does.

Where the dialect has words for what a call results in, such a call need not wait here: it is sent, and waits at the
other side, by the same rules.

Every call waits only for calls that were made before it, and in the queue of its target only behind such: so there is
always one that can go on, and no two wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Any, Protocol, TypeGuard, cast

from pellucid.core.calls import Call, Maker
from pellucid.core.references import NO_OPTIONS, CallOptions, Right, Target
from pellucid.errors import (
    DeadReferenceError,
    LocalProtocolError,
    Overloaded,
    PBConnectionLost,
    told_without_traceback,
)
from pellucid.wire.messages import Promised, method_name

__all__ = ["Gathering", "Promises", "has_promises"]


class Host(Protocol):
    """Whose calls they are."""

    def check(self) -> None:
        """Raise DeadReferenceError or Overloaded where no call can be made now."""
        ...

    def send_call(
        self,
        call: Call,
        target: Target,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        /,
        *,
        waits: bool = False,
    ) -> None:
        """Send a call whose target and arguments are known; where that can't be done, it fails.

        It `waits` at the other side where a `Promised` is its target or an argument.
        """
        ...

    def right_of(self, promise: Call, waiting: Call) -> Right:
        """The right to call what `promise` resulted in, for `waiting`. Raises NotAReference, ForeignReference."""
        ...

    def outcome_of(self, promise: Call, waiting: Call) -> Any:
        """What `promise` resulted in, as an argument of `waiting`. Raises whatever is in the way of that."""
        ...

    def gave_up(self, call: Call) -> None:
        """`call` was cancelled here: the peer need not go on with it."""
        ...


class Door(Protocol):
    """What says how calls are awaited."""

    def make_call(self, maker: Maker, name: str, options: CallOptions, /) -> Call:
        """The promise of a call that begins now."""
        ...


class Unknown:
    """A target that is not known yet, though the peer knows what stands for it."""

    __slots__ = ("export_id",)

    to_cache = False
    perspective = None

    def __init__(self, promised: Promised) -> None:
        self.export_id: Any = promised


class Promises:
    """The calls of one connection, made by one of its sides."""

    __slots__ = ("_ended", "_host", "_number", "_queues", "chains", "door", "is_open")

    def __init__(self, host: Host, door: Door | None = None) -> None:
        self.chains: bool = False
        """Whether the dialect has words for what a call results in."""
        self.is_open: bool = True
        """Whether nothing is in the way of a call: else its host is asked for each."""
        self._host = host
        self.door: Door = cast(Door, door)
        """What says how calls are awaited; where there is none, none are made."""
        self._number = 0
        # By target, calls that know it and can't be sent yet: heaps, in the order made.
        self._queues: dict[_Key, list[tuple[int, _Waiting]]] | None = None
        self._ended: deque[Call] | None = None

    def call(
        self, right: Right, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions, /
    ) -> Call:
        """Make a call: see `pellucid.core.references.Caller`.

        Raises:
            DeadReferenceError: at once, where what is called is dead.
            LocalProtocolError: at once, where the peer has no copy to be told.
            Overloaded: at once, where too much waits to be sent already.
            TypeError: at once, where `name` is no text.
        """
        if type(name) is not str:
            name = method_name(name)
        if not self.is_open:
            self._host.check()
        target = right.live_target()
        call = self.door.make_call(self, name, options)
        is_behind = self._queues is not None and self.is_queueing_for(target)
        if is_behind or has_promises(args, kwargs):
            if is_behind or not self._send_chained(call, target, args, kwargs, options):
                self.wait(call, right, args, kwargs, options)
        else:
            self._host.send_call(call, target, args, kwargs, options)
        return call

    def call_result(self, promise: Call, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Call a method of what `promise` results in.

        Raises:
            Overloaded: at once, where it is sent now and too much waits to be sent already.
            TypeError: at once, where `name` is no text.
        """
        if type(name) is not str:
            name = method_name(name)
        if self._can_name(promise) and not promise.is_blocked:
            self._host.check()
            call = self.door.make_call(self, name, NO_OPTIONS)
            target = Unknown(_named(promise))
            if not has_promises(args, kwargs):
                self._host.send_call(call, target, args, kwargs, NO_OPTIONS, waits=True)
                sent = True
            else:
                sent = self._send_chained(call, target, args, kwargs, NO_OPTIONS)
            if sent:
                promise.notice()
                promise.add_dependant(_Chained(call))
                return call
        else:
            call = self.door.make_call(self, name, NO_OPTIONS)
        promise.is_blocked = not promise.is_known  # those that come after this one wait behind it
        self.wait(call, promise, args, kwargs)
        return call

    def wait(
        self,
        call: Call,
        aim: Right | Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions = NO_OPTIONS,
    ) -> None:
        """Send `call` when all is known that it needs and it is its turn; `aim` is its target, or a promise of that."""
        if isinstance(aim, Call):
            _Waiting(self, call, args, kwargs, options, aim).start()
            return
        waiting = _Waiting(self, call, args, kwargs, options)
        waiting.aim(aim)
        waiting.start()

    @property
    def is_queueing(self) -> bool:
        """Whether calls wait that know their target."""
        return bool(self._queues)

    def is_queueing_for(self, target: Target) -> bool:
        """Whether calls of `target` wait."""
        return self._queues is not None and _key(target) in self._queues

    def _send_chained(
        self, call: Call, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any], options: CallOptions
    ) -> bool:
        """Send `call` now, with promises named that are its arguments. False where that can't be done."""
        promises = [value for value in (*args, *kwargs.values()) if _is_call(value) and not _is_there(value)]
        if not self.chains or not all(map(self._can_name, promises)):
            return False
        named_args = tuple(map(_named, args))
        named_kwargs = {name: _named(value) for name, value in kwargs.items()}
        waits = bool(promises) or isinstance(target, Unknown)
        self._host.send_call(call, target, named_args, named_kwargs, options, waits=waits)
        if not call.done:
            for promise in promises:
                promise.notice()
                promise.add_dependant(_Chained(call))
        return True

    def _can_name(self, promise: Call) -> bool:
        """Whether the peer, which has not answered `promise`, knows it by its number."""
        return self.chains and promise.is_nameable and not promise.done and promise.maker is self

    def settle(self, promise: Call) -> None:
        """`promise` has ended: tell its dependants, and those of whichever of them that ends, one after another."""
        if self._ended is not None:
            self._ended.append(promise)  # further out in this thread somebody is at it: a long chain must not nest
            return
        self._ended = ended = deque((promise,))
        try:
            while ended:
                for dependant in ended[0].take_dependants():
                    dependant.go_on(ended[0])
                ended.popleft()
        finally:
            self._ended = None

    def gave_up(self, call: Call) -> None:
        """`call` was cancelled here."""
        self._host.gave_up(call)

    def right_of(self, promise: Call, waiting: Call) -> Right:
        """The right to call what `promise` resulted in."""
        return self._host.right_of(promise, waiting)

    def outcome_of(self, promise: Call, waiting: Call) -> Any:
        """What `promise` resulted in, as an argument of `waiting`."""
        return self._host.outcome_of(promise, waiting)

    def next_number(self) -> int:
        """Calls that wait are numbered in the order made."""
        self._number += 1
        return self._number

    def take_all(self) -> list[Call]:
        """Every call that knows its target and waits, in the order made: the connection has ended."""
        queues, self._queues = self._queues or {}, None
        waiting = sorted(entry for queue in queues.values() for entry in queue)
        return [each.call for _, each in waiting]

    def enter(self, key: _Key, waiting: _Waiting) -> None:
        """`waiting` knows its target: it goes out in its turn."""
        if self._queues is None:
            self._queues = {}
        heappush(self._queues.setdefault(key, []), (waiting.number, waiting))

    def advance(self, key: _Key) -> None:
        """Send those calls of one target whose turn it is."""
        queues = self._queues
        queue = queues.get(key) if queues is not None else None
        if queues is None or queue is None:
            return
        while queue and queue[0][1].is_ready():
            waiting = heappop(queue)[1]
            if not waiting.call.done:
                self._send_late(waiting)
        if not queue and queues.get(key) is queue:  # sending one may have sent the rest, and begun a new queue
            del queues[key]

    def _send_late(self, waiting: _Waiting) -> None:
        try:
            self._host.check()
            right, args, kwargs = waiting.take()  # it is released after the call, whoever else still holds it
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise when a result comes back
            waiting.call.fail(told_without_traceback(error))
            return
        try:
            self._host.send_call(waiting.call, right.live_target(), args, kwargs, waiting.options)
        except (DeadReferenceError, LocalProtocolError, Overloaded) as error:
            waiting.call.fail(error)


_Key = tuple[bool, int | bytes]


class _Waiting:
    """A call that waits for others: for its target, for arguments, or for its turn behind calls that do."""

    __slots__ = (
        "_args",
        "_key",
        "_kwargs",
        "_missing",
        "_outcomes",
        "_promises",
        "_right",
        "_target",
        "call",
        "number",
        "options",
    )

    def __init__(
        self,
        promises: Promises,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        options: CallOptions,
        target: Call | None = None,
    ) -> None:
        self.number: int = promises.next_number()
        """Its place among those that wait."""
        self.call: Call = call
        self.options: CallOptions = options
        # What is called, once it is known: it stays alive until the call is sent.
        self._right: Right | None = None
        self._key: _Key | None = None
        self._promises = promises
        self._target = target
        self._args = args
        self._kwargs = kwargs
        self._outcomes: dict[int, Any] = {}  # by id() of arguments that are promises: each is known once it has ended
        self._missing = 0

    def start(self) -> None:
        """Wait for whatever there is to wait for."""
        awaited: dict[int, Call] = {}
        for value in (*self._args, *self._kwargs.values()):
            if _is_call(value):
                awaited[id(value)] = value
        self._outcomes = dict.fromkeys(awaited)
        if self._target is not None:
            awaited[id(self._target)] = self._target
        self._missing = len(awaited)
        for promise in awaited.values():
            promise.notice()
            if promise.is_known:
                self.go_on(promise)
            else:
                promise.add_dependant(self)
        if not awaited and self._key is not None:
            self._promises.advance(self._key)

    def aim(self, right: Right) -> None:
        """This is what is called."""
        self._right = right
        self._key = _key(right.live_target())
        self._promises.enter(self._key, self)
        self.call.add_dependant(self)  # nobody is to wait behind a call that was given up

    def go_on(self, promise: Call) -> None:
        """`promise`, which this call waits for, has ended; or this call itself has, before its turn."""
        self._missing -= 1
        if not self.call.done:
            error = promise.error
            if error is None:
                error = self._take_in(promise)
            if isinstance(error, PBConnectionLost):
                error = error.before_it_was_sent()
            if error is not None:
                self.call.fail(error)
        if self._key is not None:
            self._promises.advance(self._key)

    def is_ready(self) -> bool:
        """Whether it waits for nothing any more, or nobody for it."""
        return not self._missing or self.call.done

    def take(self) -> tuple[Right, tuple[Any, ...], dict[str, Any]]:
        """Whom to call, and with what, now that everything is there; it is kept no longer."""
        right, args, kwargs, outcomes = self._right, self._args, self._kwargs, self._outcomes
        self._right, self._args, self._kwargs, self._outcomes = None, (), {}, {}
        assert right is not None  # it stands in the queue of its target
        return (
            right,
            tuple(outcomes[id(value)] if _is_call(value) else value for value in args),
            {name: outcomes[id(value)] if _is_call(value) else value for name, value in kwargs.items()},
        )

    def _take_in(self, promise: Call) -> Exception | None:
        """Note what `promise` results in, as it is now; returns why the call can't be made, where that is so."""
        try:
            if promise is self._target:
                self.aim(self._promises.right_of(promise, self.call))
            if id(promise) in self._outcomes:
                self._outcomes[id(promise)] = self._promises.outcome_of(promise, self.call)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            return told_without_traceback(error)
        return None


class _Chained:
    """A call that was sent, and waits for another at the other side: it shares its end where that is no result."""

    __slots__ = ("call",)

    def __init__(self, call: Call) -> None:
        self.call = call

    def go_on(self, promise: Call) -> None:
        """`promise`, which this call waits for, has ended."""
        error = promise.error
        if error is None:
            return
        if promise.given_up:
            self.call.give_up(error)
        else:
            self.call.fail(error)


def _key(target: Target) -> _Key:
    return target.to_cache, target.export_id


class Gathering:
    """Many calls whose results are those of one: `call` ends when all of them have."""

    def __init__(self, call: Call, parts: Sequence[Call]) -> None:
        self.call = call
        self._parts = parts
        self._left = 1

    def start(self) -> None:
        """Wait for them."""
        for part in self._parts:
            part.notice()
            if not part.done:
                self._left += 1
                part.add_dependant(self)
        self.go_on(self.call)

    def go_on(self, promise: Call) -> None:
        """One of them has ended."""
        self._left -= 1
        if self._left:
            return
        errors = [part.error for part in self._parts if part.error is not None]
        if errors and not self.call.takes_errors:
            self.call.fail(errors[0])
        else:
            results = [
                part.outcome() if part.error is None else self.call.among_results(part.error) for part in self._parts
            ]
            self.call.succeed(results)


def _named(value: Any) -> Any:
    """What stands for `value` on its way to the peer: of a call its result, where that is there."""
    if not _is_call(value):
        return value
    if _is_there(value):
        value.notice()
        return value.outcome()
    return Promised(cast(int, value.call_id))


def _is_there(call: Call) -> bool:
    """Whether the result of `call` is known here."""
    return call.done and call.error is None


def _is_call(value: object) -> TypeGuard[Call]:
    return isinstance(value, Call)


def has_promises(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an argument is a call."""
    for value in args:
        if isinstance(value, Call):
            return True
    return bool(kwargs) and any(map(_is_call, kwargs.values()))
