"""What tests call, and what that gives them."""

from __future__ import annotations

from typing import Any

import pellucid as pb
from tests.unit.asyncio.door import Gate

__all__ = ["Broken", "Thing", "Things"]


class Broken(pb.Error):
    """Expected, and known to both sides."""


class Thing(pb.Referenceable):
    def __init__(self, noted: list[Any]) -> None:
        self.noted = noted

    def remote_note(self, value: Any) -> list[Any]:
        self.noted.append(value)
        return list(self.noted)

    def remote_itself(self) -> Thing:
        return self


class Things(Gate):
    """A gate that hands out one thing, and fails on request."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Any] = []
        self.thing = Thing(self.noted)

    def remote_thing(self) -> Thing:
        return self.thing

    async def remote_thing_later(self) -> Thing:
        await self.remote_wait()
        return self.thing

    def remote_fail(self) -> None:
        raise Broken("as expected")

    def remote_keywords(self, **keywords: Any) -> dict[str, Any]:
        return keywords
