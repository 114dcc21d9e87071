"""How often a login may fail: by the peer's network and by the user, in bounded memory, with the clock handed in.

Each counter is a bucket of so many failures that refills at an even rate, kept as one number: the time at which it is
full again (the "generic cell rate algorithm"). A login takes from its buckets before it is looked at, or many could be
at the same time, and has it given back when it succeeds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from pellucid.auth.addresses import network_of
from pellucid.errors import TooManyLogins

__all__ = ["Attempt", "LoginThrottle"]

_NETWORKS_OF_A_USER = 8
"""Networks that a user is remembered to have logged in from; a ninth takes the place of the oldest."""


class LoginThrottle:
    """Slows down those who guess passwords. One counts for all connections of the `Portal` that has it.

    A peer may fail `by_peer` times, and once more each `peer_seconds`; IPv6 peers of one /64 count as one. Logins of
    one user may fail `by_user` times, and once more each `user_seconds`. Logins that succeed do not count.

    Beyond either a login is not looked at, but for a user who has logged in from that network before: otherwise anybody
    could keep users out. These are looked at `by_peer` times more, and once more each `peer_seconds`. That nobody can
    tell who they are, all that fail there are answered alike, `TooManyLogins`, `refused_seconds` after they came: let
    that be longer than a login takes, as one that takes longer fails as well.

    `remembered` of each kind are kept, whoever failed or succeeded last: more failures than that, from elsewhere and
    for other names, have one forgotten.

    Raises:
        ValueError: a parameter is not positive.
    """

    def __init__(
        self,
        *,
        by_peer: int = 10,
        peer_seconds: float = 6.0,
        by_user: int = 20,
        user_seconds: float = 10.0,
        refused_seconds: float = 1.0,
        remembered: int = 10_000,
    ) -> None:
        if min(by_peer, peer_seconds, by_user, user_seconds, refused_seconds, remembered) <= 0:
            raise ValueError("the parameters of a LoginThrottle are positive")
        self.refused_seconds = refused_seconds
        self._peers = _Buckets(by_peer, peer_seconds, remembered)
        self._users = _Buckets(by_user, user_seconds, remembered)
        self._regulars = _Buckets(by_peer, peer_seconds, remembered)
        self._remembered = remembered
        self._homes: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()

    def begin(self, host: str, username: str | None, now: float) -> Attempt:
        """Count a login as failed that is about to be looked at; tell the `Attempt` if it succeeds.

        `host` is the peer's address, `username` None for credentials without one, `now` the time in seconds by any
        clock that does not go back.
        """
        network = network_of(host)
        user = None if username is None else _digest(username)
        counters = [(self._peers, network.encode())]
        if user is not None:
            counters.append((self._users, user))
        refusal: TooManyLogins | None = None
        seconds = _wait(counters, now)
        if seconds > 0:
            refusal = TooManyLogins(seconds)
            if user is None or network not in self._homes.get(user, ()):
                return Attempt(refusal, is_looked_at=False, succeeded=_nothing)
            counters = [(self._regulars, user + network.encode())]
            if _wait(counters, now) > 0:
                return Attempt(refusal, is_looked_at=False, succeeded=_nothing)
        for buckets, key in counters:
            buckets.take(key, now)

        def succeeded() -> None:
            for buckets, key in counters:
                buckets.give_back(key)
            if user is not None:
                self._remember(user, network)

        return Attempt(refusal, is_looked_at=True, succeeded=succeeded)

    def _remember(self, user: bytes, network: str) -> None:
        others = tuple(home for home in self._homes.pop(user, ()) if home != network)
        self._homes[user] = (*others[1 - _NETWORKS_OF_A_USER :], network)
        if len(self._homes) > self._remembered:
            self._homes.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that counts as failed until it succeeds."""

    refusal: TooManyLogins | None
    """How it is to end where it fails; None: as it does by itself."""
    is_looked_at: bool
    """Whether it can succeed. Where it can't, its peer is not to notice."""
    succeeded: Callable[[], None]
    """To be called when it does: it is not counted, and the user is known at that network from now on."""


class _Buckets:
    """A bucket of failures for each key that has failed lately."""

    def __init__(self, failures: int, seconds: float, most: int) -> None:
        self._slack = (failures - 1) * seconds
        self._seconds = seconds
        self._most = most
        self._full_at: OrderedDict[bytes, float] = OrderedDict()

    def wait(self, key: bytes, now: float) -> float:
        """Seconds until something can be taken; 0 or less where that is now."""
        return self._full_at.get(key, now) - now - self._slack

    def take(self, key: bytes, now: float) -> None:
        self._full_at[key] = max(self._full_at.pop(key, now), now) + self._seconds  # last in line to be forgotten
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)

    def give_back(self, key: bytes) -> None:
        if key in self._full_at:
            self._full_at[key] -= self._seconds


def _wait(counters: list[tuple[_Buckets, bytes]], now: float) -> float:
    """Seconds until something can be taken of all of them."""
    return max(buckets.wait(key, now) for buckets, key in counters)


def _nothing() -> None: ...


def _digest(username: str) -> bytes:
    """A name in few bytes: a peer chooses how long it is."""
    return blake2b(username.encode("utf-8", "surrogatepass"), digest_size=16).digest()
