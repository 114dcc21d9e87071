"""Facets by themselves: what they let through, for how long, how often, and what becomes of what is obtained."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pellucid.errors import NoSuchMethod, RateExceeded, Revoked
from pellucid.flavors.facets import Facet, FacetUse
from pellucid.flavors.referenceable import Referenceable, Viewable


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Item(Referenceable):
    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def remote_shop(self) -> Shop:
        return self.shop


class Shop(Referenceable):
    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.item = Item(self)

    def remote_look(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.append((args, kwargs))
        return args[0] if args else self.item

    def remote_sell(self) -> str:
        return "sold"

    async def remote_deliver(self) -> list[Item]:
        return [self.item]

    def secret(self) -> None:
        raise AssertionError("nobody may call this")


def made(clock: Callable[[], float] | None = None, *args: Any, **options: Any) -> Facet:
    return Facet(Shop(), *args, clock=clock or Clock(), **options)


def ask(facet: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """What a peer's call of `name` comes to."""
    return facet.method_for(name)(*args, **kwargs)


def test_all_that_the_object_has_can_be_called_unless_it_is_said_what() -> None:
    facet = made()
    assert ask(facet, "look", 5, by="hand") == 5
    assert facet.object.asked == [((5,), {"by": "hand"})]  # type: ignore[attr-defined]
    assert ask(facet, "sell") == "sold"


NAMES = ["sell", "steal", "secret", "method_for", "revoke", "object", "__init__", "", "remote_look", "x" * 500]


@pytest.mark.parametrize("name", NAMES)
def test_other_names_are_as_good_as_not_there(name: str) -> None:
    with pytest.raises(NoSuchMethod) as not_exposed:
        ask(made(None, ["look"]), name)
    with pytest.raises(NoSuchMethod) as not_there:
        ask(Item(Shop()), name)
    assert str(not_exposed.value) == str(not_there.value)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("sell", "remote_look")])
def test_to_expose_a_name_does_not_make_a_method_of_it(name: str) -> None:
    with pytest.raises(NoSuchMethod):
        ask(made(None, [name]), name)


def test_a_facet_without_methods_lets_nothing_through() -> None:
    with pytest.raises(NoSuchMethod):
        ask(made(None, []), "look")


def test_it_is_revoked_at_once_and_for_good() -> None:
    facet = made()
    about_to_run = facet.method_for("sell")
    assert not facet.revoked
    facet.revoke()
    facet.revoke()
    assert facet.revoked
    for use in about_to_run, facet.method_for("sell"), facet.method_for("steal"):
        with pytest.raises(Revoked, match="ask its owner for another"):
            use()


def test_it_ends_when_its_time_is_over() -> None:
    clock = Clock()
    facet = made(clock, until=1_010.0)
    clock.now = 1_009.9
    assert ask(facet, "sell") == "sold"
    clock.now = 1_010.0
    assert facet.revoked
    with pytest.raises(Revoked):
        ask(facet, "sell")


def test_it_can_be_called_as_often_in_a_row_as_in_a_second_and_then_at_that_rate() -> None:
    clock = Clock()
    facet = made(clock, calls_per_second=3)
    for _ in range(3):
        ask(facet, "sell")
    for _ in range(2):
        with pytest.raises(RateExceeded, match="over calls_per_second=3"):
            ask(facet, "sell")
    clock.now += 0.34
    ask(facet, "sell")
    with pytest.raises(RateExceeded):
        ask(facet, "sell")
    clock.now += 100
    for _ in range(3):
        ask(facet, "sell")
    with pytest.raises(RateExceeded):
        ask(facet, "sell")
    clock.now -= 50  # no clock should do that
    with pytest.raises(RateExceeded):
        ask(facet, "sell")


class Busy:
    """A lock that others are quicker to take: meanwhile `at_last` runs."""

    def __init__(self) -> None:
        self.held = 0
        self.at_last: list[Callable[[], object]] = []

    def __enter__(self) -> None:
        if self.at_last and not self.held:
            self.at_last.pop()()
        self.held += 1

    def __exit__(self, *exc_info: object) -> None:
        self.held -= 1


def test_who_has_to_wait_for_others_counts_what_they_left() -> None:
    lock = Busy()
    facet = made(None, calls_per_second=1, lock=lock)
    lock.at_last = [lambda: ask(facet, "sell"), lambda: None]  # when it is counted, and not when it is looked at
    with pytest.raises(RateExceeded):
        ask(facet, "look")
    assert not facet.object.asked  # type: ignore[attr-defined]


def test_a_call_that_the_last_of_several_rates_refuses_counts_for_none() -> None:
    lock = Busy()
    inner = made(None, calls_per_second=1, lock=lock)
    outer = Facet(inner, calls_per_second=1, clock=Clock())
    lock.at_last = [lambda: ask(inner, "sell"), lambda: None]
    with pytest.raises(RateExceeded):
        ask(outer, "sell")
    outer.object = Shop()
    assert ask(outer, "sell") == "sold"


def test_of_one_object_one_facet_is_obtained_though_two_threads_get_it_at_once() -> None:
    lock = Busy()
    facet, obtained = made(None, deep=True, lock=lock), list[Any]()
    lock.at_last = [lambda: obtained.append(ask(facet, "look"))]
    obtained.append(ask(facet, "look"))
    assert obtained[0] is obtained[1]


def test_less_than_one_call_a_second_can_be_allowed() -> None:
    clock = Clock()
    facet = made(clock, calls_per_second=0.1)
    ask(facet, "sell")
    clock.now += 9.9
    with pytest.raises(RateExceeded, match=r"over calls_per_second=0\.1"):
        ask(facet, "sell")
    clock.now += 0.2
    ask(facet, "sell")


def test_names_that_are_not_there_do_not_use_up_the_rate() -> None:
    facet = made(None, ["sell"], calls_per_second=1)
    for name in "look", "steal":
        with pytest.raises(NoSuchMethod):
            ask(facet, name)
    assert ask(facet, "sell") == "sold"


def test_audit_is_told_of_each_call_and_of_what_was_refused() -> None:
    uses: list[FacetUse] = []
    facet = made(None, ["look"], audit=uses.append)
    ask(facet, "look", 1, by="hand")
    with pytest.raises(NoSuchMethod):
        ask(facet, "sell")
    facet.revoke()
    with pytest.raises(Revoked):
        ask(facet, "look")
    assert [(use.method, use.args, use.kwargs, type(use.refusal)) for use in uses] == [
        ("look", (1,), {"by": "hand"}, type(None)),
        ("sell", (), {}, NoSuchMethod),
        ("look", (), {}, Revoked),
    ]
    assert all(use.facet is facet for use in uses)


def test_what_audit_can_not_take_note_of_is_not_run() -> None:
    def full(use: FacetUse) -> None:
        raise OSError("the disk is full")

    facet = made(None, audit=full)
    with pytest.raises(OSError, match="full"):
        ask(facet, "look")
    assert not facet.object.asked  # type: ignore[attr-defined]


def test_a_method_does_not_begin_once_what_noted_the_call_has_revoked_the_facet() -> None:
    facet = made(None, audit=lambda use: use.facet.revoke())
    with pytest.raises(Revoked):
        ask(facet, "look")
    assert not facet.object.asked  # type: ignore[attr-defined]


def test_what_a_facet_refuses_was_no_call_for_the_facets_of_that_facet() -> None:
    uses: list[FacetUse] = []
    inner = made(None, ["sell"], audit=uses.append)
    outer = Facet(inner, calls_per_second=1, audit=uses.append, clock=Clock())
    with pytest.raises(NoSuchMethod):
        ask(outer, "look")
    ask(outer, "sell")
    with pytest.raises(RateExceeded):
        ask(outer, "sell")
    told = [(use.facet, use.method, type(use.refusal)) for use in uses]
    refused, sold = [(each, "look", NoSuchMethod) for each in (outer, inner)], type(None)
    assert told == [*refused, (outer, "sell", sold), (inner, "sell", sold), (outer, "sell", RateExceeded)]


def test_a_facet_of_a_facet_lets_through_what_both_do() -> None:
    inner = made(None, ["look", "sell"])
    outer = Facet(inner, ["sell", "deliver"], clock=Clock())
    assert ask(outer, "sell") == "sold"
    for name in "look", "deliver":
        with pytest.raises(NoSuchMethod):
            ask(outer, name)
    inner.revoke()
    with pytest.raises(Revoked):
        ask(outer, "sell")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("revoked", range(3))
def test_an_async_method_does_not_begin_once_any_facet_on_the_way_was_revoked(revoked: int, deep: bool) -> None:
    inner = made()
    middle = Facet(inner, deep=deep, clock=Clock())
    outer = Facet(middle, clock=Clock())
    (item,) = asyncio.run(ask(outer, "deliver"))
    assert isinstance(item, Facet) is deep
    delivery = ask(outer, "deliver")
    (inner, middle, outer)[revoked].revoke()
    with pytest.raises(Revoked):
        asyncio.run(delivery)


def test_a_facet_is_seen_through_by_whom_its_object_is() -> None:
    shop = Shop()
    shop.perspective = "Alice"
    assert Facet(shop, clock=Clock()).perspective == "Alice"


# What is obtained through it.


def test_results_are_themselves_where_nothing_is_said() -> None:
    facet = made()
    assert ask(facet, "look") is facet.object.item  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="make it with deep=True"):
        facet.revoke(deep=True)
    assert not facet.revoked


def test_what_is_obtained_is_revoked_with_it() -> None:
    facet = made(deep=True)
    item = ask(facet, "look")
    assert isinstance(item, Facet)
    shop = ask(item, "shop")
    assert isinstance(shop, Facet)
    assert ask(shop, "sell") == "sold"
    facet.revoke()
    for obtained in item, shop:
        assert obtained.revoked
        with pytest.raises(Revoked):
            ask(obtained, "shop")


def test_what_is_obtained_ends_when_the_time_of_the_facet_is_over() -> None:
    clock = Clock()
    facet = made(clock, until=clock.now + 60, deep=True)
    item = ask(facet, "look")
    shop = ask(Facet(facet, clock=clock), "look", item)
    clock.now += 60
    for obtained in facet, item, shop:
        with pytest.raises(Revoked):
            ask(obtained, "shop")


def test_an_object_that_returns_itself_is_the_facet_again() -> None:
    inner = made(None, ["look", "sell"])
    facet = Facet(inner, ["look"], deep=True, clock=Clock())
    item = ask(facet, "look")
    assert ask(item, "shop") is facet
    assert ask(facet, "look", inner) is facet


def test_what_is_obtained_can_outlive_it() -> None:
    facet = made(deep=True)
    item = ask(facet, "look")
    facet.revoke(deep=False)
    with pytest.raises(Revoked):
        ask(facet, "look")
    assert isinstance(ask(item, "shop"), Facet)


def test_of_one_object_one_facet_is_obtained_for_as_long_as_it_is_held() -> None:
    facet = made(deep=True)
    item = ask(facet, "look")
    assert ask(facet, "look") is item
    assert asyncio.run(ask(facet, "deliver"))[0] is item


def test_what_is_obtained_may_be_anywhere_in_plain_containers() -> None:
    facet = made(deep=True)
    item = facet.object.item  # type: ignore[attr-defined]
    inside: Any = {"a": [item, 1], item: (item, {item}), 5: frozenset({item})}
    inside["itself"] = inside
    found = ask(facet, "look", inside)
    (key,) = (key for key in found if isinstance(key, Facet))
    assert key.object is item
    assert found == {"a": [key, 1], key: (key, {key}), 5: frozenset({key}), "itself": found}
    assert inside["a"][0] is item


class Picture(Viewable):
    def view_seen_by(self, perspective: object) -> object:
        return perspective


def test_what_is_seen_by_a_perspective_is_obtained_as_well() -> None:
    facet = made(deep=True)
    facet.object.perspective = "Alice"
    picture = Picture()
    (seen,) = ask(facet, "look", [picture])
    assert ask(seen, "seen_by") == "Alice"
    assert ask(facet, "look", picture) is seen
    facet.revoke()
    with pytest.raises(Revoked):
        ask(seen, "seen_by")


def test_results_without_objects_are_not_touched() -> None:
    facet = made(deep=True)
    value = [{"a": (1, {2})}, Viewable]
    assert ask(facet, "look", value) is value


def test_what_was_obtained_is_the_object_again_where_it_is_sent_back_through_it() -> None:
    facet = made(deep=True)
    shop, item = facet.object, ask(facet, "look")
    assert isinstance(shop, Shop)
    assert ask(facet, "look", [item], named=item) == [item]
    assert shop.asked[-1] == (([shop.item],), {"named": shop.item})
    assert ask(facet, "look", facet) is facet
    assert shop.asked[-1] == ((facet,), {})
    foreign = ask(made(deep=True), "look")
    ask(facet, "look", foreign)
    assert shop.asked[-1] == ((foreign,), {})


# Mistakes.


@pytest.mark.parametrize("wrong", [object(), None, Viewable(), Referenceable])
def test_only_what_a_peer_may_call_has_facets(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a facet is of a Referenceable, not of "):
        Facet(wrong, clock=Clock())


def test_one_text_is_no_list_of_methods() -> None:
    with pytest.raises(TypeError, match=r"write methods=\['look'\]"):
        made(None, "look")


def test_methods_are_named_without_prefix_and_who_writes_it_is_told_so() -> None:
    with pytest.raises(ValueError, match="'look', not 'remote_look'"):
        Facet(Referenceable(), ["remote_look"], clock=Clock())


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_rate_allows_something(rate: float) -> None:
    with pytest.raises(ValueError, match="of no use"):
        made(calls_per_second=rate)


async def note(use: FacetUse) -> None: ...


class Notebook:
    async def __call__(self, use: FacetUse) -> None: ...


@pytest.mark.parametrize("audit", [note, Notebook()])
def test_nothing_is_run_before_it_is_noted_so_audit_is_a_plain_function(audit: Any) -> None:
    with pytest.raises(TypeError, match="audit is a plain function"):
        made(audit=audit)


def test_it_says_what_it_is() -> None:
    facet = made(None, ["sell", "look"])
    assert repr(facet) == "<Facet of Shop: look, sell>"
    facet.revoke()
    assert repr(facet) == "<Facet of Shop: look, sell, revoked>"
    assert repr(made()) == "<Facet of Shop: all methods>"
    assert repr(made(None, [])) == "<Facet of Shop: no methods>"
