"""What hostile peers are let loose on: classes that note what is done to them, and limits that are soon reached."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pellucid as pb
from pellucid.errors import (
    CallCancelled,
    DeadlineExceeded,
    Error,
    InsecureJelly,
    LoginFailed,
    NoSuchMethod,
    PBConnectionLost,
    ProtocolError,
    RemoteError,
)

__all__ = ["DOCUMENTED", "LIMITS", "REFUSED", "REGISTRY", "Desk", "Room", "is_documented"]

DOCUMENTED = (
    CallCancelled,
    DeadlineExceeded,
    Error,
    InsecureJelly,
    LoginFailed,
    NoSuchMethod,
    PBConnectionLost,
    ProtocolError,
    RemoteError,
)
"""What a call may end in, ..."""

REFUSED = "plain has no field"
"""... beside what a class says to a state that it does not take."""


def is_documented(error: BaseException) -> bool:
    """Whether a call may end in `error`."""
    return isinstance(error, DOCUMENTED) or (type(error) is TypeError and str(error).startswith(REFUSED))


LIMITS = pb.Limits(
    inline_bytes=4_096,
    message_bytes=8_192,
    buffer_bytes=2_048,
    nesting=12,
    elements=2_000,
    expanded_elements=500,
    odd_keys=8,
    references_exported=10,
    references_imported=10,
    unknown_messages=5,
    calls_pending=50,
    kept_answers=6,
    kept_bytes=32_000,
    running_calls=4,
    waiting_calls=6,
    waiting_bytes=32_000,
    queued_bytes=10_000,
    paged_bytes=1_000,
)


class Copy(pb.RemoteCopy):
    """A copy with a hook for when the whole message is there."""

    def post_unjelly(self) -> None:
        """Nothing is to be done."""


class Cache(pb.RemoteCache):
    """A copy that its owner may change."""

    def observe_set(self, *args: Any, **kwargs: Any) -> None:
        """A change."""


@dataclass
class Plain:
    """A copy that is made by its own `__init__`."""

    a: Any = None


REGISTRY = pb.Registry()
REGISTRY.register(Copy, "copy")
REGISTRY.register(Cache, "cache")
REGISTRY.register_copyable(Plain, "plain")
REGISTRY.register_factory(lambda state: [state], "factory")


class Score(pb.Cacheable):
    """A cacheable of ours."""

    def get_state_to_cache_and_observe_for(self, perspective: Any, observer: Any) -> Any:
        return {"points": 0}

    def stopped_observing(self, perspective: Any, observer: Any) -> None:
        """Nobody is told."""


class Desk(pb.Root):
    """Takes any arguments, so that nothing that it raises is its own fault; nothing else of it may be reached."""

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.score = Score()

    def remote_echo(self, *args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs]

    def remote_keep(self, *args: Any, **kwargs: Any) -> None:
        self.kept += args[:10]

    def remote_take(self, *args: Any, **kwargs: Any) -> Any:
        return self.kept.pop() if self.kept else self

    def remote_fresh(self, *args: Any, **kwargs: Any) -> Any:
        return Desk()

    def remote_score(self, *args: Any, **kwargs: Any) -> Any:
        return self.score

    def remote_fail(self, *args: Any, **kwargs: Any) -> None:
        raise Error("on purpose")

    def remote_spoil(self, *args: Any, **kwargs: Any) -> Any:
        return [Desk(), *args, object()]

    async def remote_later(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0)
        return args[0] if args else None

    async def remote_never(self, *args: Any, **kwargs: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    async def remote_call(self, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], pb.RemoteReference) and args[0].alive:
            return await args[0].call("echo", *args[1:])
        return None

    def secret(self, *args: Any, **kwargs: Any) -> Any:
        """Out of reach."""
        raise AssertionError("a method without the prefix was run")

    _remote_secret = __call__ = secret


class Room(Desk):
    """As a realm: whoever logs in gets an avatar."""

    def request_avatar(self, avatar_id: str, mind: Any) -> Any:
        return Avatar(), lambda: None


class Avatar:
    """What who has logged in acts through."""

    def perspective_echo(self, *args: Any, **kwargs: Any) -> Any:
        return [*args, kwargs]

    def perspective_desk(self, *args: Any, **kwargs: Any) -> Any:
        return Desk()

    def secret(self, *args: Any, **kwargs: Any) -> Any:
        """Out of reach."""
        raise AssertionError("a method without the prefix was run")
