"""What the shell completes."""

from __future__ import annotations

import gc
import weakref

from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import pellucid as pb
from pellucid.cli.prompting import MethodCompleter
from tests.unit.asyncio.door import HERE, on_each_loop


class Basket(pb.Described, pb.Referenceable):
    def remote_add(self) -> None:
        pass

    def remote_all(self) -> None:
        pass

    def remote_clear(self) -> None:
        pass


class Shop(pb.Root):
    """Tells nothing of itself."""

    def remote_basket(self) -> Basket:
        return Basket()


async def completions(completer: MethodCompleter, text: str) -> list[str]:
    found = completer.get_completions_async(Document(text), CompleteEvent(completion_requested=True))
    return [completion.text async for completion in found]


@on_each_loop
async def test_remote_methods_are_completed_where_the_peer_tells_them() -> None:
    async with pb.serve(Shop(), HERE) as server, pb.connect(server.urls[0]) as connection:
        basket = await connection.root.call("basket")
        completer = MethodCompleter({"root": connection.root, "baskets": basket, "number": 1})
        assert await completions(completer, 'await baskets.call("a') == ["add", "all"]
        assert await completions(completer, "x = await baskets.prepare( '") == ["add", "all", "clear"]
        assert await completions(completer, 'root.call("') == []
        assert await completions(completer, 'number.call("') == []
        assert await completions(completer, 'nothing.at.all.call("') == []
        await connection.close()
        assert await completions(completer, 'baskets.call("c') == ["clear"]
        assert await completions(completer, 'root.call("') == []


@on_each_loop
async def test_what_was_completed_is_held_no_longer_for_that() -> None:
    async with pb.serve(Shop(), HERE) as server, pb.connect(server.urls[0]) as connection:
        names = {"basket": await connection.root.call("basket")}
        completer = MethodCompleter(names)
        assert await completions(completer, 'basket.call("c') == ["clear"]
        basket = weakref.ref(names.pop("basket"))
        gc.collect()
        assert basket() is None


@on_each_loop
async def test_names_are_completed_as_python_does() -> None:
    completer = MethodCompleter({"baskets": "text"})
    assert "baskets" in await completions(completer, "1 + bask")
    assert any(name.startswith("baskets.upper") for name in await completions(completer, "baskets.upp"))
    assert await completions(completer, "1 + ") == []
