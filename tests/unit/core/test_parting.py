from __future__ import annotations

import weakref
from typing import Any

import pytest

from pellucid.core.calls import PendingCalls
from pellucid.core.parting import MOST, Parting
from pellucid.errors import Error
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.limits import Limits
from tests.dialects import each_dialect, over
from tests.pair import Desk, Pair, Promise, Settings, Stranger

pytestmark = each_dialect


def make_call(pending: PendingCalls) -> None:
    pending.enter(Promise())


def parting(*, calls: int) -> tuple[Parting[str], PendingCalls]:
    pending = PendingCalls(Limits())
    for _ in range(calls):
        make_call(pending)
    return Parting(pending), pending


def test_r6_what_was_just_released_is_found_while_calls_made_before_are_under_way() -> None:
    just_gone, pending = parting(calls=2)
    just_gone.add(1, "thing")
    assert [just_gone.get(1), just_gone.get(1), just_gone.get(2)] == ["thing", "thing", None]
    pending.take(1)
    just_gone.call_answered()
    assert just_gone.get(1) == "thing"
    pending.take(2)
    just_gone.call_answered()
    assert just_gone.get(1) is None


def test_r6_calls_made_after_the_release_do_not_keep_it() -> None:
    just_gone, pending = parting(calls=1)
    just_gone.add(1, "thing")
    make_call(pending)
    pending.take(1)
    just_gone.call_answered()
    assert just_gone.get(1) is None


def test_r6_without_calls_under_way_nothing_is_kept() -> None:
    just_gone, _ = parting(calls=0)
    just_gone.add(1, "thing")
    assert just_gone.get(1) is None


def test_a_call_that_lasts_does_not_keep_everything_released_meanwhile() -> None:
    just_gone, _ = parting(calls=1)
    for number in range(MOST + 1):
        just_gone.add(number, "thing")
    assert [just_gone.get(0), just_gone.get(1), just_gone.get(MOST)] == [None, "thing", "thing"]


def test_the_end_forgets_it() -> None:
    just_gone, _ = parting(calls=1)
    just_gone.add(1, "thing")
    just_gone.clear()
    assert just_gone.get(1) is None
    just_gone.call_answered()


@over("pb")
@pytest.mark.parametrize("also_calls", [False, True])
def test_r6_a_stock_peer_may_release_before_it_answers(also_calls: bool) -> None:
    stranger = Stranger(listens=True)
    thing = Referenceable()
    call: Any = stranger.side.root.call("echo", [thing, thing])
    assert stranger.hear()[0][5] == [b"tuple", [b"list", [b"remote", 1], [b"remote", 1]]]
    stranger.say([b"decref", 1], [b"decref", 1])
    if also_calls:
        (message,) = stranger.call("anything", target=1)
        assert "Invalid Object ID" in str(message)
    stranger.say([b"answer", 1, [b"list", [b"local", 1], [b"local", 1]]])
    assert call.result() == [thing, thing]
    assert stranger.side.is_empty()
    (message,) = stranger.call("anything", [b"local", 1])
    assert "Invalid Object ID" in str(message)


@over("pb")
def test_r6_a_stock_peer_may_drop_a_copy_before_it_sends_it_home() -> None:
    stranger = Stranger(listens=True)
    pond = Cacheable()
    call: Any = stranger.side.root.call("echo", pond)
    stranger.hear()
    stranger.say([b"decache", 1], [b"answer", 1, [b"lcache", 1]])
    assert call.result() is pond
    assert stranger.hear() == [[b"uncache", 1]]
    (message,) = stranger.call("anything", [b"lcache", 1])
    assert "Invalid Object ID" in str(message)


def test_r6_our_own_release_never_overtakes_the_answer() -> None:
    registry = Registry()
    registry.register(RemoteCache, Cacheable)
    known = Settings(registry=registry)
    pair = Pair(server=known, client=known)
    for method in "echo", "echo_later":
        for thing in Referenceable(), Cacheable():
            assert pair.call(pair.root, method, thing) is thing
    assert pair.to_client.commands() == [b"answer", b"decref", b"answer", b"decache"] * 2
    assert pair.client.is_empty()


@over("pb")
def test_what_was_released_long_ago_does_not_come_home() -> None:
    stranger = Stranger(listens=True)
    call: Any = stranger.side.root.call("keep", Referenceable())
    stranger.say([b"answer", 1, [b"None"]], [b"decref", 1])
    assert call.result() is None
    late: Any = stranger.side.root.call("give")
    stranger.say([b"answer", 2, [b"local", 1]])
    with pytest.raises(Error, match="Invalid Object ID"):
        late.result()


@over("pellucid")
def test_where_no_release_overtakes_an_answer_nothing_is_kept_however_long_a_call_lasts() -> None:
    class Patient(Desk):
        async def remote_wait(self) -> None:
            await Promise()

    pair = Pair(Patient())
    waiting: Any = pair.root.call("wait")
    thing = Referenceable()
    gone = weakref.ref(thing)
    assert pair.call(pair.root, "echo", thing) is thing
    del thing
    pair.settle()
    assert not waiting.done
    assert gone() is None
