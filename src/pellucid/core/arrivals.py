"""The peer's calls that are not answered yet, and answers that it may still refer to.

A peer that speaks a dialect with chains may call what a call of its results in, or pass that on, before it has the
answer. So a call that wants an answer is known by its number until it has one, and its outcome after that, until the
peer says that it has seen it (`pellucid.wire.messages.Seen`). A call that waits is a promise like those that its caller
holds, and waits by the same rules (`pellucid.core.promises`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol, cast

from pellucid.core.batches import BatchRun
from pellucid.core.calls import Call, Maker, bytes_added, is_over, keep, let_go
from pellucid.core.promises import Promises
from pellucid.core.references import CallOptions, Right, Target
from pellucid.core.weights import PER_BYTE, WORTH_A_LOOK, memory_of
from pellucid.errors import (
    CallCancelled,
    Error,
    LimitExceeded,
    NotAReference,
    RemoteProtocolError,
    TooManyCalls,
    drop_frames,
    told_without_traceback,
)
from pellucid.flavors.failures import rebuild, report
from pellucid.flavors.referenceable import Referenceable, Viewable, Viewpoint
from pellucid.flavors.serializable import Serializable, identity
from pellucid.limits import Limits
from pellucid.wire.messages import CallFailed, ExportId, MethodCall, Promised
from pellucid.wire.names import names_of
from pellucid.wire.numbered import SECRET, Numbered

__all__ = ["Arrivals"]


class _Result:
    """An argument that is what `promise` resulted in: a copy is made when its call is about to run."""

    __slots__ = ("promise",)

    def __init__(self, promise: Incoming) -> None:
        self.promise = promise


class Incoming(Call):
    """A call of the peer's that waits, or that others of its calls wait for."""

    def __init__(self, maker: Maker, arrivals: Arrivals, name: str, message: MethodCall | None = None) -> None:
        super().__init__(maker, name)
        self.arrivals = arrivals
        self.message = message
        """None where it is answered already."""
        self.obj: Any = None
        """What is called, once that is known."""
        self.perspective: Any = None
        """Through whose eyes the peer sees the result."""
        self.size = 0
        """Bytes that the result takes in memory, roughly."""
        self.given = 0
        """Bytes in memory that calls were given of it."""
        self.flaw: Exception | None = None
        """Why the result can't be the argument of another call, once that was tried."""
        self._noticed = True

    @property
    def result(self) -> Any:
        """The result itself."""
        return self._value

    def _wake(self) -> None:
        if self._error is not None and self.message is not None:
            self.arrivals.can_not_run(self.message, self._error)


class _Local:
    """An object of ours, or a copy that we hold, as what a call is aimed at that the peer makes."""

    perspective = None

    def __init__(self, obj: Any, cache_id: int | None = None) -> None:
        # Its identity stands for it in the queue of its calls, however the peer names it.
        self.export_id = cast(ExportId, identity(obj) if cache_id is None else cache_id)
        self.to_cache = cache_id is not None

    def live_target(self) -> _Local:
        """What is called."""
        return self


class Host(Protocol):
    """What serves the calls."""

    def exported(self, export_id: ExportId) -> Referenceable:
        """The object of ours that the peer may call so. Raises Error where there is none."""
        ...

    def find_late(self, call: MethodCall, obj: Any) -> None:
        """Say in `call`, which has waited, what to run, or why there is nothing."""
        ...

    def fail(self, call: MethodCall, error: BaseException, *, raised: bool = False) -> None:
        """Answer `call` with `error`; `raised` says that a method did so, rather than that none could be run."""
        ...

    def refuse(self, call: MethodCall, error: Exception) -> None:
        """Answer `call`, which came just now, with `error`. Raises LimitBroken where the peer does not read."""
        ...

    def brought_back(self, value: Any, perspective: Any) -> Any:
        """What `value`, the result of a call, is as an argument of another."""
        ...


class Watcher(Protocol):
    """What has calls end in time."""

    def watch(self, call: MethodCall) -> None:
        """Have `call`, which has a deadline and waits, end by it."""
        ...

    def unwatch(self, call: MethodCall) -> None:
        """`call` has ended."""
        ...


_NONE: dict[int, Incoming] = {}
_NONE_BY_NUMBER: Numbered[Incoming] = Numbered()
"""Stand for tables that nothing was entered in: most connections never need them."""


_NOTHING = (None,)
"""What is kept of a call of which nothing is."""


class Arrivals:
    """Calls of the peer's by number, those that wait, and the outcomes that are kept."""

    __slots__ = (
        "_host",
        "_kept",
        "_kept_bytes",
        "_promised",
        "_promises",
        "_waiting",
        "_waiting_bytes",
        "copied",
        "has_held",
        "is_full",
        "limits",
        "ready",
        "results",
        "running",
        "watcher",
    )

    def __init__(self, limits: Limits, host: Host) -> None:
        self.running: dict[int, MethodCall | BatchRun] = {}
        """Calls that are not answered, by number."""
        self.ready: deque[MethodCall] | None = None
        """Calls that have waited, and may run now, where there are any."""
        self.watcher: Watcher | None = None
        """A door that keeps deadlines puts here what it does about a call that waits and has one; see `give_up`."""
        self.has_held: bool = False
        """Whether a call ever waited."""
        self.copied: int = 0
        """Bytes of results that calls were given, for a door that minds how long this takes: it sets that to 0."""
        self.limits: Limits = limits
        self.is_full: bool = False
        """Whether batches that are under way have so many results that none of their calls may start any more."""
        self.results: int = 0
        """Bytes of these results."""
        self._host = host
        # These are there once a call has waited.
        self._promises: Promises | None = None
        # Promises of calls that are not answered, where another call waits for them or they wait themselves.
        self._promised: Numbered[Incoming] = _NONE_BY_NUMBER
        self._waiting: dict[int, Incoming] = _NONE  # by id() of the call
        self._waiting_bytes = 0
        # Outcomes, by number, mixed: the result or CallFailed, through whose eyes it is seen, the bytes that it takes
        # in memory, of which method, and the bytes that calls were given of it since.
        self._kept: dict[int, tuple[Any, Any, int, str, int]] = {}
        self._kept_bytes = 0

    def enter(self, call_id: int, call: MethodCall | BatchRun) -> None:
        """A call that wants an answer came. Raises RemoteProtocolError where its number is in use."""
        if call_id in self.running:
            raise RemoteProtocolError("the peer used the number of a call that is under way")
        self.running[call_id] = call

    def keep_results(self, run: BatchRun, weight: int) -> None:
        """Calls of `run` ended in results of so many bytes, which wait for the others: nothing else bounds that."""
        run.results += weight
        self.results += weight
        self.is_full = self.results > self.limits.running_bytes

    @property
    def room(self) -> int:
        """Bytes of results that may still wait for others of their batch."""
        return self.limits.running_bytes - self.results

    def take_batch(self, run: BatchRun) -> bool:
        """`run` is to be answered now; False where it was before."""
        if self.running.get(run.call_id) is not run:
            return False
        del self.running[run.call_id]
        self.results -= run.results
        self.is_full = self.results > self.limits.running_bytes
        return True

    def no_room(self) -> TooManyCalls:
        """Why a call of a batch can't start any more."""
        return TooManyCalls("running_bytes", self.limits.running_bytes, self.results)

    def is_behind(self, call: MethodCall) -> bool:
        """Whether calls of the target of `call`, which is no promise, wait: it must not overtake them."""
        promises = self._promises
        if promises is None or not promises.is_queueing:
            return False
        try:
            return promises.is_queueing_for(self._aim(call)[1])
        except Error:
            return False  # there is no such target

    def known_target(self, call: MethodCall) -> Referenceable | None:
        """The result that `call` calls, where that is kept and there is nothing else to wait for."""
        if self._waiting or type(call.target) is not Promised:
            return None
        outcome = self._kept.get(call.target.call_id ^ SECRET, _NOTHING)[0]
        if not isinstance(outcome, Referenceable):
            return None
        return None if any(type(value) is Promised for value in (*call.args, *call.kwargs.values())) else outcome

    def hold(self, call: MethodCall) -> None:
        """`call` waits for promises, or for its turn; from there it goes to `ready`, or fails."""
        limits = self.limits
        if len(self._waiting) >= limits.waiting_calls:
            self._host.refuse(call, TooManyCalls("waiting_calls", limits.waiting_calls, len(self._waiting) + 1))
            return
        asked = self._waiting_bytes + bytes_added(call, "held")
        if asked > limits.waiting_bytes:
            self._host.refuse(call, TooManyCalls("waiting_bytes", limits.waiting_bytes, asked))
            return
        if self._promises is None:
            self._promises = Promises(self)
            self._promised, self._waiting = Numbered(), {}
            self.has_held = True
        incoming = Incoming(self._promises, self, call.shown_name, call)
        met: Numbered[Incoming] = Numbered()
        try:
            args = tuple(self._promise(value, call, met) for value in call.args)
            kwargs = {name: self._promise(value, call, met) for name, value in call.kwargs.items()}
            if isinstance(call.target, Promised):
                aim = self._promise(call.target, call, met)
            else:
                incoming.obj, aim = self._aim(call)
        except Error as error:
            self._host.refuse(call, error)
            return
        call.args, call.kwargs = (), {}
        self._waiting[id(call)] = incoming
        self._waiting_bytes += keep(call, "held")
        if call.wants_answer and call.batch is None:
            self._promised[call.call_id] = incoming
            incoming.call_id = call.call_id
        self._promises.wait(incoming, aim, args, kwargs)
        if call.deadline is not None and self.watcher is not None and id(call) in self._waiting:
            self.watcher.watch(call)

    def answered(self, call: MethodCall, outcome: Any, size: int) -> None:
        """`call` was answered with `outcome`, a result or `CallFailed`, in a message of so many bytes."""
        call_id = call.call_id
        if isinstance(outcome, CallFailed):
            outcome = _without_frames(outcome)
        running = self.running
        running.pop(call_id, None)
        if not running:
            running.clear()  # gives back its room: most connections have nothing to do most of the time
        place = call_id ^ SECRET
        if place in self._kept:  # a peer may use a number again: it gets the last answer
            self.seen([call_id])
        size = size * PER_BYTE if size < WORTH_A_LOOK else memory_of(outcome, size)
        self._kept[place] = outcome, call.perspective, size, call.shown_name, 0
        self._kept_bytes += size
        if len(self._kept) > self.limits.kept_answers or self._kept_bytes > self.limits.kept_bytes:
            self._shed()
        if self._promised:
            promise = self._promised.pop(call_id, None)
            if promise is not None:
                _settle(promise, outcome, call.perspective, size)

    def seen(self, call_ids: list[int]) -> None:
        """The peer has the answers of these calls."""
        for call_id in call_ids:
            kept = self._kept.pop(call_id ^ SECRET, None)
            if kept is not None:
                self._kept_bytes -= kept[2]

    def cancel(self, call_id: int) -> Iterator[MethodCall]:
        """The peer has given up that call, or batch: this fails those that wait, and gives each to whoever may run it.

        It goes on only as it is asked for more: a batch has thousands.
        """
        entry = self.running.get(call_id)
        if isinstance(entry, MethodCall):
            calls = [entry]
        elif entry is None or entry.given_up:  # a peer that says so again must not have thousands looked at again
            return
        else:
            entry.given_up = True
            # From the last on: none is to go on because one that it waited behind was given up.
            calls = [*reversed(entry.under_way.values())]
        for call in calls:
            if not call.ended:
                if id(call) in self._waiting:
                    self.give_up(call, CallCancelled(f"the call of {call.shown_name!r} was cancelled before it began"))
                yield call

    def give_up(self, call: MethodCall, error: Exception) -> bool:
        """Fail `call` with `error`, where it waits; whether it did."""
        incoming = self._waiting.get(id(call))
        if incoming is None:
            return False
        incoming.fail(error)
        return True

    def next_ready(self) -> MethodCall | None:
        """The next of the calls that are `ready`, with all that it is to be run with; None where that can't be made.

        One at a time, each with a copy of its own: a result is the peer's to share out, and copies may take long.
        """
        assert self.ready  # it is asked for one where there are any
        call = self.ready.popleft()
        if is_over(call):
            return None
        copies: dict[Incoming, Any] = {}
        again = 0
        try:
            for value in (*call.args, *call.kwargs.values()):
                if type(value) is not _Result:
                    continue
                if value.promise not in copies:
                    copies[value.promise] = self._copy(value.promise)
                    continue
                # As in a message where it is met again; a byte on the wire may be an element.
                again += value.promise.size // PER_BYTE
                if again > self.limits.expanded_elements:
                    raise LimitExceeded("expanded_elements", self.limits.expanded_elements)
        except Exception as error:  # noqa: BLE001 - also what an application's hooks raise
            call.args, call.kwargs = (), {}
            if call.deadline is not None and self.watcher is not None:
                self.watcher.unwatch(call)
            self._host.fail(call, told_without_traceback(error))
            return None
        if copies:
            call.args = tuple(copies[value.promise] if type(value) is _Result else value for value in call.args)
            named = call.kwargs.items()
            call.kwargs = {name: copies[each.promise] if type(each) is _Result else each for name, each in named}
        return call

    def can_not_run(self, call: MethodCall, error: Exception) -> None:
        """`call`, which waited, can't be run, as `error` says."""
        if self._let_go(call):
            if call.deadline is not None and self.watcher is not None:
                self.watcher.unwatch(call)
            if isinstance(error, _Raised):
                self._host.fail(call, error.error, raised=True)
            else:
                self._host.fail(call, error)

    def __len__(self) -> int:
        return len(self.running) + len(self._kept)

    @property
    def usage(self) -> dict[str, int]:
        """How much is kept and waits for other calls, by the name of the limit."""
        return {
            "kept_answers": len(self._kept),
            "kept_bytes": self._kept_bytes,
            "waiting_calls": len(self._waiting),
            "waiting_bytes": self._waiting_bytes,
        }

    def clear(self) -> None:
        """The connection has ended."""
        for entry in self.running.values():
            if isinstance(entry, BatchRun):
                entry.abandon()
        self.running.clear()
        self._kept.clear()
        self._promised, self._waiting = _NONE_BY_NUMBER, _NONE
        self.ready = self._promises = None
        self._waiting_bytes = self._kept_bytes = 0

    # What waiting needs: see `pellucid.core.promises.Host`.

    def check(self) -> None:
        """What waits here is told of the end in another way."""

    def gave_up(self, call: Call) -> None:
        """The peer knows of its own calls."""

    def _promise(self, value: Any, call: MethodCall, met: Numbered[Incoming]) -> Any:
        """`value`; of a promise, what stands for it here. Raises Error where nothing is known of it.

        It is for `call`, which can't wait for itself. Those that it has named so far are `met`: one that it names
        again is the same, so that what it results in is copied once.
        """
        if not isinstance(value, Promised):
            return value
        call_id = value.call_id
        promise = self._promised.get(call_id) or met.get(call_id)
        if promise is not None:
            return promise
        running = self.running.get(call_id)
        if isinstance(running, MethodCall) and running is not call:
            promise = self._promised[call_id] = Incoming(self._maker, self, running.shown_name, running)
            promise.call_id = call_id
            return promise
        kept = self._kept.get(call_id ^ SECRET)
        if kept is None:
            raise Error("the call that a promise stands for is not under way, and its result is not kept any more")
        outcome, perspective, size, name, given = kept
        promise = met[call_id] = Incoming(self._maker, self, name)
        promise.call_id, promise.given = call_id, given
        _settle(promise, outcome, perspective, size)
        return promise

    @property
    def _maker(self) -> Promises:
        assert self._promises is not None  # it is there once a call has waited
        return self._promises

    def _aim(self, call: MethodCall) -> tuple[Any, _Local]:
        """What `call` calls, and what stands for that. Raises Error where there is no such thing."""
        assert not isinstance(call.target, Promised)  # its target is known
        if call.to_cache:
            assert isinstance(call.target, int)  # caches have no names: the dialect saw to it
            return None, _Local(None, call.target)
        obj = self._host.exported(call.target)
        return obj, _Local(obj)

    def outcome_of(self, promise: Call, waiting: Call) -> Any:
        """The result of `promise` as an argument of `waiting`: it stands for the copy that `next_ready` makes.

        Raises:
            TooManyCalls: calls that wait would hold more than `Limits.waiting_bytes`, this copy included.
            Exception: it can't come back, as is known.
        """
        assert isinstance(promise, Incoming)
        assert isinstance(waiting, Incoming)  # there are no others here
        assert waiting.message is not None  # it waits
        assert promise.call_id is not None  # it was named by that
        if promise.flaw is not None:
            raise promise.flaw
        asked, most = self._waiting_bytes + promise.size, self.limits.waiting_bytes
        if asked > most:
            raise TooManyCalls("waiting_bytes", most, asked)
        # A few bytes ask for another copy: as much as calls that wait may hold at a time is enough of that.
        if promise.given >= most:
            raise TooManyCalls("waiting_bytes", most, promise.given + promise.size)
        self._waiting_bytes = asked
        waiting.message.size += promise.size
        promise.given += promise.size
        place = promise.call_id ^ SECRET
        if place in self._kept:
            outcome, perspective, size, name, _ = self._kept[place]
            self._kept[place] = outcome, perspective, size, name, promise.given
        return _Result(promise)

    def _copy(self, promise: Incoming) -> Any:
        """What `promise` resulted in, as if it had been to the peer and come back. Raises whatever prevents that."""
        if promise.flaw is not None:
            raise promise.flaw
        self.copied += promise.size // PER_BYTE
        try:
            return self._host.brought_back(promise.result, promise.perspective)
        except Exception as error:
            self._note_flaw(promise, told_without_traceback(error))
            raise

    def _note_flaw(self, promise: Incoming, error: Exception) -> None:
        """The result of `promise` can't be an argument: finding that out costs as much as a copy, and is done once."""
        assert promise.call_id is not None  # it was named by that
        promise.flaw = error
        place = promise.call_id ^ SECRET
        if place in self._kept:
            _, perspective, size, name, given = self._kept[place]
            self._kept[place] = CallFailed(promise.call_id, error), perspective, size, name, given

    def right_of(self, promise: Call, waiting: Call) -> Right:
        """The right to call what `promise` resulted in."""
        assert isinstance(promise, Incoming)
        assert isinstance(waiting, Incoming)  # there are no others here
        result = promise.result
        if isinstance(result, Viewable):
            result = Viewpoint(promise.perspective, result)
        if not isinstance(result, Referenceable):
            raise NotAReference(
                f"{promise.name!r} returned a {type(result).__name__}: it has no remote {waiting.name!r}"
            )
        waiting.obj = result
        return _Local(result)

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
        """Everything is there that `call` waited for."""
        assert isinstance(call, Incoming)
        assert call.message is not None  # it waited
        message = call.message
        if self._let_go(message):
            message.args, message.kwargs, message.waits = args, kwargs, False
            self._host.find_late(message, call.obj)
            if self.ready is None:
                self.ready = deque()
            self.ready.append(message)

    def _let_go(self, call: MethodCall) -> bool:
        """`call` waits no more; whether it did."""
        if self._waiting.pop(id(call), None) is None:
            return False
        self._waiting_bytes -= let_go(call, "held")
        return True

    def _shed(self) -> None:
        """Forget the oldest of the outcomes that are kept: the peer says too seldom what it has seen."""
        while len(self._kept) > self.limits.kept_answers or self._kept_bytes > self.limits.kept_bytes:
            self._kept_bytes -= self._kept.pop(next(iter(self._kept)))[2]


def _without_frames(failed: CallFailed) -> CallFailed:
    """`failed`, without the frames that its error's traceback refers to: they hold what the method was called with."""
    error = failed.error
    if isinstance(error, Serializable) or not failed.raised:
        drop_frames(error)  # it may have more to tell than its text
        return failed
    told = report(error, names_of(type(error)), with_traceback=False)
    return CallFailed(failed.call_id, rebuild(told, None), raised=True)


class _Raised(Exception):
    """Carries what a method raised to the calls that wait for its result: there, too, it is no word of the broker's."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


def _settle(promise: Incoming, outcome: Any, perspective: Any, size: int) -> None:
    promise.message = None  # it was answered: nobody needs to be told of its end
    promise.perspective = perspective
    promise.size = size
    if isinstance(outcome, CallFailed):
        promise.fail(_Raised(outcome.error) if outcome.raised else cast(Exception, outcome.error))
    else:
        promise.succeed(outcome)
