"""Descriptions on the wire, through the asyncio door, in each dialect."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import pellucid as pb
from pellucid.errors import DeadlineExceeded, NoSuchMethod, RemoteProtocolError
from tests.dialects import each_dialect
from tests.unit.asyncio.door import on_each_loop, outcome, pair
from tests.unit.asyncio.things import Things

pytestmark = each_dialect


class Shop(pb.Described, pb.Root):
    """Sells things."""

    def remote_order(self, item: str, count: int = 1) -> float:
        """Order something."""
        return 0.5

    def remote_facet(self, *methods: str) -> pb.Facet:
        return pb.facet(self, methods or None)

    def secret(self) -> None: ...


class Teller(pb.Root):
    """Tells what a test likes, by the reserved name."""

    def __init__(self, told: Any) -> None:
        self.told = told

    async def remote___describe__(self) -> Any:
        if self.told is None:
            await asyncio.Event().wait()  # for ever
        return self.told


@on_each_loop
async def test_an_object_tells_what_its_class_chose_to_tell() -> None:
    async with pair(Shop()) as both:
        described = await pb.describe(both.client.root)
        assert (described.name, described.doc) == ("Shop", "Sells things.")
        assert [(method.name, method.signature, method.doc) for method in described.methods] == [
            ("facet", "(*methods: str) -> pb.Facet", ""),
            ("order", "(item: str, count: int = 1) -> float", "Order something."),
        ]


@on_each_loop
async def test_what_was_described_can_be_written_as_an_interface_and_called_through_it() -> None:
    async with pair(Shop()) as both:
        module: dict[str, Any] = {}
        exec(pb.interface_source(await pb.describe(both.client.root)), module)
        assert await both.client.root.as_(module["Shop"]).order("book") == 0.5


@on_each_loop
async def test_an_object_tells_nothing_unless_its_class_says_so() -> None:
    async with pair(Things()) as both:
        error = await outcome(pb.describe(both.client.root))
        assert isinstance(error, NoSuchMethod)
        assert "tells nothing of itself: its class does not derive from Described" in str(error)


@on_each_loop
async def test_a_facet_tells_of_its_object_where_it_exposes_all_of_it_or_says_so() -> None:
    async with pair(Shop()) as both:
        root = both.client.root
        assert len((await pb.describe(await root.call("facet"))).methods) == 2
        assert isinstance(await outcome(pb.describe(await root.call("facet", "order"))), NoSuchMethod)
        assert len((await pb.describe(await root.call("facet", "order", "__describe__"))).methods) == 2


@pytest.mark.parametrize("told", [5, {}, {"name": "X\nimport os", "doc": "", "methods": []}], ids=repr)
@on_each_loop
async def test_a_lie_ends_the_asking_and_nothing_else(told: Any) -> None:
    async with pair(Teller(told)) as both:
        assert isinstance(await outcome(pb.describe(both.client.root)), RemoteProtocolError)
        assert await both.client.root.call("__describe__") == told


@on_each_loop
async def test_asking_may_have_a_deadline() -> None:
    async with pair(Teller(None)) as both:
        assert isinstance(await outcome(pb.describe(both.client.root, timeout=0.05)), DeadlineExceeded)


@pytest.mark.parametrize("thing", ["text", None, Shop])
@on_each_loop
async def test_only_a_peers_object_can_be_asked(thing: object) -> None:
    with pytest.raises(TypeError, match="only objects of a peer's can be asked"):
        await pb.describe(thing)
