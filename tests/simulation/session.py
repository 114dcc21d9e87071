"""What a client of the random application does with one connection."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable
from typing import Any

import pellucid as pb
from tests.simulation.record import Record, left_over, within_limits
from tests.simulation.things import Broken, House, Item, PondCopy

__all__ = ["Session"]

SOONER = (pb.PBConnectionLost, pb.DeadReferenceError)
"""How any call may end when its connection does."""

REFUSED = (pb.TooManyCalls, pb.TooManyReferences, pb.Overloaded)
"""How any call may end where the peer has too much to do, or this side too much to send."""

EPSILON = 0.001

PATIENCE = 300
"""Seconds in which any call of the native dialect ends, whatever goes wrong: it asks for signs of life. Over PB calls
may wait for what the system sends again and again, a quarter of an hour."""


class Session:
    """Calls of all kinds, each of which has to end as it may."""

    def __init__(self, record: Record, connection: pb.Connection, houses: list[House]) -> None:
        self.record = record
        self.random = record.world.random
        self.connection = connection
        self.root = connection.root
        self.held: list[pb.RemoteReference] = []
        """Objects of the server's."""
        self.own: list[Item] = []
        """Objects that the server was given."""
        self.ponds: list[PondCopy] = []
        self.houses = houses

    # One call.

    async def outcome(self, token: int, call: Awaitable[Any], *may: type[Exception]) -> Any:
        """What a call results in; or None where it fails as it may."""
        begin = self.record.world.now
        try:
            result = await call
        except Exception as error:
            if isinstance(call, pb.Call) and call.error is not error:
                raise AssertionError(f"call {token} ended in {call.error!r} and in {error!r}") from error
            self.failed(token, error, may)
            if self.connection.dialect == "pellucid" and self.record.world.now > begin + PATIENCE:
                raise AssertionError(f"call {token} ended after {self.record.world.now - begin} s") from error
            return None
        if isinstance(call, pb.Call):
            assert await call is result
        self.record.outcomes["answered"] += 1
        return result

    def failed(self, token: int, error: Exception, may: tuple[type[Exception], ...]) -> None:
        self.record.outcomes[type(error).__name__] += 1
        if isinstance(error, pb.DeadReferenceError) and "was released" in str(error):
            assert self.connection.dialect != "pellucid"  # over PB calls wait here, and their target may be let go of
        elif isinstance(error, SOONER):
            assert self.connection.is_closed, f"call {token} ended in {error!r}, and the connection lives"
        elif not isinstance(error, (*may, *REFUSED)):
            raise error
        if isinstance(error, pb.DeadReferenceError) or (isinstance(error, pb.PBConnectionLost) and error.sent is False):
            self.record.never_sent(token)

    def target(self) -> pb.RemoteReference:
        alive = [reference for reference in self.held if reference.alive]
        return self.random.choice(alive) if alive and self.random.random() < 0.6 else self.root

    def values(self) -> list[Any]:
        """Arguments: plain ones, objects of ours, objects of theirs."""
        return [self.value() for _ in range(self.random.choice((0, 1, 1, 2)))]

    def value(self) -> Any:
        match self.random.randrange(8):
            case 0 | 1:
                item = Item(self.record)
                self.own.append(item)
                return item
            case 2 if self.own:
                return self.random.choice(self.own)
            case 3 | 4 if alive := [reference for reference in self.held if reference.alive]:
                return self.random.choice(alive)
            case 5:
                return bytes(self.random.choice((10, 3_000, 70_000)))
            case _:
                return self.random.randrange(1_000)

    def method(self) -> str:
        return self.random.choice(("play", "play_later"))

    def long_method(self) -> str:
        """For a call that is to be given up: over PB the method is not told, and has to end by itself."""
        forever = self.connection.dialect == "pellucid" and self.random.random() < 0.5
        return "play_forever" if forever else "play_later"

    # What there is to do.

    async def play(self) -> None:
        token, values = self.record.token(), self.values()
        result = await self.outcome(token, self.target().call(self.method(), token, *values))
        if result is not None:
            assert result[0] == token
            for sent, came in zip(values, result[1:], strict=True):
                if isinstance(sent, pb.RemoteReference) and not sent.alive:
                    assert isinstance(came, pb.RemoteReference)  # it was released meanwhile, and is another one now
                else:
                    assert came is sent or (came == sent and not isinstance(sent, Item))

    async def break_it(self) -> None:
        token = self.record.token()
        try:
            await self.root.call("break", token)
        except Broken as error:
            if str(error) != str(token):
                raise AssertionError(f"call {token} was answered with the error of {error}") from error
        except Exception as error:  # noqa: BLE001 - `failed` says which
            self.failed(token, error, ())
        else:
            raise AssertionError("it was to fail")

    async def spoil(self) -> None:
        token = self.record.token()
        await self.outcome(token, self.root.call("spoil", token, *self.values()), pb.InsecureJelly)

    async def get(self) -> None:
        """Get an object that only this client knows, through a promise of it, and after."""
        tokens = [self.record.token()]
        made = self.root.call(self.random.choice(("fresh", "fresh_later")), tokens[0])
        calls = [made]
        for _ in range(self.random.randrange(3)):
            tokens.append(self.record.token())
            calls.append(made.call(self.method(), tokens[-1], *self.random.choice(([], [calls[-1]]))))
        results = [await self.outcome(token, call, pb.Error) for token, call in zip(tokens, calls, strict=True)]
        reference = results[0]
        if reference is None:
            return
        self.held.append(reference)
        token = self.record.token()
        if reference.alive:
            result = await self.outcome(token, reference.call("play", token))
            assert result in (None, [token])

    async def chain(self) -> None:
        """An argument that is not there yet."""
        first, second = self.record.token(), self.record.token()
        one = self.target().call(self.method(), first)
        two = self.target().call(self.method(), second, one)
        result = await self.outcome(second, two, pb.CallCancelled, pb.Error)
        before = await self.outcome(first, one)
        assert result is None or result == [second, before]

    async def batch(self) -> None:
        tokens = [self.record.token() for _ in range(self.random.randrange(1, 5))]
        prepared = [self.target().prepare(self.method(), token, token) for token in tokens]
        call = pb.gather(*prepared, return_exceptions=True)
        results = await self.outcome(tokens[0], call)
        if results is None:
            return
        for token, result in zip(tokens, results, strict=True):
            if isinstance(result, Exception):
                self.failed(token, result, ())
            else:
                assert result == [token, token]

    async def cancel(self) -> None:
        token = self.record.token()
        call = self.target().call(self.long_method(), token)
        await asyncio.sleep(self.random.choice((0, 0.002, 0.2)))
        call.cancel()
        result = await self.outcome(token, call, pb.CallCancelled)
        assert result in (None, [token])

    async def give_up(self) -> None:
        """The task that waits is cancelled, and sees that at once."""
        token = self.record.token()
        task = asyncio.ensure_future(self.outcome(token, self.target().call(self.long_method(), token)))
        await asyncio.sleep(self.random.choice((0, 0.002, 0.2)))
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()

    async def hurry(self) -> None:
        token, seconds = self.record.token(), self.random.choice((0.0, 0.003, 0.5))
        begin, was_calm = asyncio.get_running_loop().time(), self.record.calm
        call = self.target().call_with(timeout=seconds).call(self.long_method(), token)
        result = await self.outcome(token, call, pb.DeadlineExceeded)
        assert result in (None, [token])
        # A process that was paused is late.
        assert not was_calm or asyncio.get_running_loop().time() <= begin + seconds + EPSILON

    async def say(self) -> None:
        token = self.record.token()
        await self.outcome(token, self.target().call_with(one_way=True).call(self.method(), token, *self.values()))

    async def release(self) -> None:
        if not self.held:
            return
        reference = self.held.pop(self.random.randrange(len(self.held)))
        token = self.record.token()
        while reference.alive:
            reference.release()
        self.held = [other for other in self.held if other is not reference]
        try:
            reference.call("play", token)
        except pb.DeadReferenceError:
            self.record.never_sent(token)
        else:
            raise AssertionError("it was released, and can be called")

    async def part(self) -> None:
        """Send an object home, and let go of it at once: it arrives before that does."""
        if not self.held or not self.held[-1].alive:
            return
        reference, token = self.held.pop(), self.record.token()
        self.held = [other for other in self.held if other is not reference]
        call = self.root.call(self.method(), token, reference)
        while reference.alive:
            reference.release()
        result = await self.outcome(token, call)
        assert result is None or (result[0] == token and isinstance(result[1], pb.RemoteReference))

    async def drop(self) -> None:
        if self.held:
            self.held.pop(self.random.randrange(len(self.held)))

    async def be_called(self) -> None:
        token, item = self.record.token(), Item(self.record)
        result = await self.outcome(token, self.root.call("call_back", token, item), pb.RemoteError)
        if result is not None:
            assert result[1] is item

    async def keep(self) -> None:
        token, item = self.record.token(), Item(self.record)
        self.own.append(item)
        await self.outcome(token, self.root.call("keep", token, item))

    async def take(self) -> None:
        """What is taken is an object of ours, or of another client's."""
        token = self.record.token()
        result = await self.outcome(token, self.root.call("take", token), pb.InsecureJelly)
        assert result is None or result in self.own

    async def call_kept(self) -> None:
        token = self.record.token()
        result = await self.outcome(token, self.root.call("call_kept", token), pb.RemoteError)
        assert result in (None, [token])

    async def watch(self) -> None:
        token = self.record.token()
        pond = await self.outcome(token, self.root.call("pond", token))
        if pond is not None:
            self.ponds.append(pond)

    async def rise(self) -> None:
        token = self.record.token()
        assert await self.outcome(token, self.root.call("rise", token)) in (None, [token])

    async def facet(self) -> None:
        """Less than an object, until it is taken back."""
        token = self.record.token()
        facet = await self.outcome(token, self.root.call("facet", token))
        if facet is None:
            return
        token = self.record.token()
        result = await self.outcome(token, facet.call(self.method(), token), pb.Revoked)
        assert result in (None, [token])
        token = self.record.token()
        assert await self.outcome(token, facet.call("fresh", token), pb.NoSuchMethod, pb.Revoked) is None
        token = self.record.token()
        if await self.outcome(token, self.root.call("revoke", token)) is not None:
            token = self.record.token()
            assert await self.outcome(token, facet.call("play", token), pb.Revoked) is None

    async def step(self) -> None:
        """Something, at some moment."""
        await asyncio.sleep(self.random.choice((0, 0, 0.001, 0.05, 0.5)))
        if self.connection.is_closed:
            return
        within_limits(self.connection)
        try:
            await self.random.choice(_ACTIONS)(self)
        except REFUSED as error:
            self.record.outcomes[type(error).__name__] += 1  # at once, and nothing was sent
        except pb.DeadReferenceError:
            self.record.outcomes["DeadReferenceError"] += 1
            assert self.connection.is_closed

    async def go(self, steps: int, actors: int) -> None:
        """Do things, several at a time."""

        async def act() -> None:
            for _ in range(steps):
                await self.step()

        async with asyncio.TaskGroup() as group:
            for _ in range(actors):
                group.create_task(act())

    # The quiet after.

    async def check_copies(self) -> None:
        """When nobody changes it any more, a copy is as the original is."""
        if not self.ponds or self.connection.is_closed:
            return
        pond, token = self.houses[-1].pond, self.record.token()
        await self.outcome(token, self.root.call("rise_later", token))
        await asyncio.sleep(4)
        depth = pond.depth
        await asyncio.sleep(4)
        if depth == pond.depth and not pond.has_missed and not self.connection.is_closed:
            assert {copy.depth for copy in self.ponds} <= {depth}

    async def check_what_is_left(self) -> None:
        """When both sides have let go of all, and said so, the tables of both are empty."""
        if self.connection.is_closed:
            return
        host, port = self.connection._transport.get_extra_info("sockname")  # type: ignore[union-attr]
        await self.check_copies()
        self.held.clear()
        self.own.clear()
        self.ponds.clear()
        for _ in range(8):
            for house in self.houses:
                house.kept.clear()
            gc.collect()
            if self.connection.is_closed:
                return
            token = self.record.token()
            try:
                await self.outcome(token, self.root.call("fresh", token))  # what is released has all answers seen
            except pb.DeadReferenceError:
                return
            await asyncio.sleep(4)  # what runs, runs for three seconds
        # Of the house that has just answered: to an earlier one an address may have meant another connection.
        served = self.houses[-1].connections[f"{host}:{port}"]
        left = [left_over(end) for end in (self.connection, served) if not end.is_closed]
        assert not any(left), left


_ACTIONS = [
    *(Session.play, Session.play, Session.play, Session.get, Session.get, Session.chain, Session.batch),
    *(Session.cancel, Session.give_up, Session.hurry, Session.say, Session.release, Session.drop, Session.break_it),
    *(Session.spoil, Session.be_called, Session.keep, Session.take, Session.call_kept, Session.watch, Session.rise),
    *(Session.facet, Session.part),
]
