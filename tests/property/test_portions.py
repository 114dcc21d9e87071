"""Calls of one target begin in the order made and each is answered once, however batches of them are divided."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid as pb
from pellucid.asyncio import inbox, methods
from pellucid.errors import Error
from pellucid.wire.native.codes import Kind
from tests.unit.asyncio.door import run, turns
from tests.unit.asyncio.pipe import Pipe, piped
from tests.unit.asyncio.raw import call_of, until


class Noting(pb.Root):
    def __init__(self) -> None:
        self.begun: list[int] = []
        self.opened = asyncio.Event()

    def remote_plain(self, number: int, **more: Any) -> int:
        self.begun.append(number)
        return number

    def remote_fail(self, number: int, **more: Any) -> None:
        self.begun.append(number)
        raise Error("as expected")

    async def remote_at_once(self, number: int, **more: Any) -> int:
        self.begun.append(number)
        return number

    async def remote_wait(self, number: int, **more: Any) -> int:
        self.begun.append(number)
        await self.opened.wait()
        return number


Way = tuple[str, bool]
WAYS = st.tuples(st.sampled_from(["plain", "fail", "at_once", "wait"]), st.booleans())
"""What is called, and whether with a keyword, as only some items of a batch are no more than items."""

MESSAGES = st.lists(st.one_of(WAYS, st.lists(WAYS, min_size=1, max_size=40)), min_size=1, max_size=8)
"""Single calls, and batches."""


class Said:
    """Messages, the numbers of their calls in the order made, and whether each is a batch."""

    def __init__(self, messages: list[Way | list[Way]]) -> None:
        self.messages: list[Any] = []
        self.made: list[int] = []
        for number, message in enumerate(messages, start=1):
            if isinstance(message, list):
                self.messages.append([Kind.BATCH.value, number, [self._item(*way) for way in message]])
            else:
                _, name, *rest = self._item(*message)
                self.messages.append([*call_of(number, name)[:4], *rest])

    def _item(self, name: str, has_keyword: bool) -> list[Any]:
        number = len(self.made)
        self.made.append(number)
        return ["root", name, [number], *([{"more": 1}] if has_keyword else [])]


def outcomes(pipe: Pipe) -> list[int]:
    """The numbers of the calls and batches that were answered."""
    answers = (Kind.ANSWER, Kind.FAIL, Kind.BATCH_ANSWER)
    return [message[1] for message in pipe.messages() if message[0] in answers]


@settings(deadline=None)
@given(
    messages=MESSAGES,
    portion=st.integers(1, 5),
    stirred=st.integers(1, 5),
    running=st.integers(1, 12),
    is_alone=st.booleans(),
)
def test_calls_begin_in_the_order_made_and_each_is_answered_once(
    messages: list[Way | list[Way]], portion: int, stirred: int, running: int, is_alone: bool
) -> None:
    said = Said(messages)

    async def main() -> None:
        noting = Noting()
        others = [] if is_alone else [piped(Noting())]
        connection, pipe = piped(noting, limits=pb.Limits(running_calls=running))
        pipe.say(*said.messages)
        await turns(5)
        noting.opened.set()
        answered: list[int] = []
        while len(answered) < len(messages):
            await asyncio.sleep(0)
            answered += outcomes(pipe)
        assert noting.begun == said.made
        assert sorted(answered) == [*range(1, len(messages) + 1)]
        used = {name: each.used for name, each in connection.usage.items() if name.startswith(("running", "waiting"))}
        assert not any(used.values()), used
        for each, ending in [(connection, pipe), *others]:
            ending.end()
            await each.wait_closed()

    with (
        patch.object(methods, "PORTION", portion),
        patch.object(methods, "STIRRED", stirred),
        patch.object(inbox, "STIRRED", stirred),
    ):
        run(main())


@settings(deadline=None)
@given(
    batch=st.lists(WAYS, min_size=1, max_size=40),
    stirred=st.integers(1, 5),
    running=st.integers(1, 12),
    later=st.integers(0, 30),
)
def test_a_batch_that_is_given_up_begins_no_call_more_and_is_answered_once(
    batch: list[Way], stirred: int, running: int, later: int
) -> None:
    said = Said([batch])

    async def main() -> None:
        noting = Noting()
        other = piped(Noting())
        connection, pipe = piped(noting, limits=pb.Limits(running_calls=running))
        pipe.say(*said.messages)
        await turns(later)
        pipe.say([Kind.CANCEL.value, 1])
        await until(lambda: not connection.broker.arrivals.running)
        await until(lambda: not connection.usage["running_calls"].used)
        await turns()
        assert noting.begun == said.made[: len(noting.begun)]
        assert outcomes(pipe) == [1]
        pipe.say(call_of(2, "plain", 1_000))
        await until(lambda: 1_000 in noting.begun)
        assert connection.usage["waiting_calls"].used == 0
        for each, ending in [(connection, pipe), other]:
            ending.end()
            await each.wait_closed()

    with (
        patch.object(methods, "PORTION", stirred),
        patch.object(methods, "STIRRED", stirred),
        patch.object(inbox, "STIRRED", stirred),
    ):
        run(main())
