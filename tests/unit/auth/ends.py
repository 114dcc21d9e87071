"""The two ends of a login without a connection between them: calls are made at once, in the same process."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from pellucid.auth.checkers import AllowAnonymous, InMemoryPasswords
from pellucid.auth.credentials import PeerCertificate
from pellucid.auth.exchange import PortalRoot
from pellucid.auth.portal import Login, Portal
from pellucid.flavors.referenceable import Referenceable

__all__ = [
    "CHALLENGE",
    "NATIVE",
    "OPEN",
    "PROTECTED",
    "Answering",
    "FakeLink",
    "Naming",
    "Reference",
    "admit",
    "counting",
    "guarded",
]

P = ParamSpec("P")
T = TypeVar("T")

CHALLENGE = bytes(range(16))


class Naming:
    """A realm whose avatars tell whose they are, and with which mind."""

    def request_avatar(self, avatar_id: str, mind: object) -> object:
        return f"avatar of {avatar_id or 'nobody'} with {mind}"


class Reference:
    """A reference to an object in the same process: it notes each call, and passes references for objects."""

    def __init__(self, referenceable: Referenceable, calls: list[tuple[object, ...]]) -> None:
        self.referenceable = referenceable
        self.calls = calls

    async def call(self, name: str, /, *args: object) -> object:
        self.calls.append((name, *args))
        answer = self.referenceable.method_for(name)(*args)
        return self._received(await answer if inspect.isawaitable(answer) else answer)

    def _received(self, value: object) -> object:
        match value:
            case Referenceable():
                return Reference(value, self.calls)
            case (first, second) if isinstance(value, tuple):
                return self._received(first), self._received(second)
            case _:
                return value


class Answering:
    """A reference whose every call has the same answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.calls: list[tuple[object, ...]] = []

    async def call(self, name: str, /, *args: object) -> object:
        self.calls.append((name, *args))
        return self.answer


def counting(size: int) -> bytes:
    return bytes(range(size))


def admit(login: Login) -> object:
    return "admitted", login.avatar


@dataclass
class FakeLink:
    """A connection, as far as a login looks at it, at either end."""

    protected: bool = True
    host: str = "203.0.113.5"
    random_bytes: Callable[[int], bytes] = counting
    admit: Callable[[Login], object] = admit
    time: float = 0.0
    native: bool = False
    certificate: bytes | None = None
    peer_certificate: PeerCertificate | None = None
    worked: list[Any] = field(default_factory=list)

    async def work(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self.worked.append(function)
        return function(*args, **kwargs)

    async def within(self, seconds: float, work: Awaitable[T], /) -> T:
        until = self.time + seconds
        try:
            return await work
        except Exception as error:
            self.time = until
            raise TimeoutError from error

    def now(self) -> float:
        return self.time


PROTECTED, OPEN = FakeLink(), FakeLink(protected=False)
NATIVE = FakeLink(native=True)


def guarded(
    portal: Portal | None = None, random_bytes: Callable[[int], bytes] = counting, *, protected: bool = True
) -> PortalRoot:
    portal = portal or Portal(Naming(), [AllowAnonymous(), InMemoryPasswords({"alice": "secret", "bøb": "pässword"})])
    return PortalRoot(portal, FakeLink(protected, random_bytes=random_bytes))
