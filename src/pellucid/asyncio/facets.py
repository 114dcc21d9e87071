"""Facets by the system's clock."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterable

from pellucid.flavors.facets import Facet, FacetUse
from pellucid.flavors.referenceable import Referenceable

__all__ = ["facet"]


def facet(
    obj: Referenceable,
    methods: Iterable[str] | None = None,
    *,
    until: datetime.datetime | datetime.timedelta | None = None,
    calls_per_second: float | None = None,
    audit: Callable[[FacetUse], object] | None = None,
    deep: bool = False,
) -> Facet:
    """Something to send in the place of `obj` that exposes less than it does, and can be revoked.

    Args:
        obj: what a peer may call; a facet, too.
        methods: the names that may be called, without prefix. None for all that `obj` has. Others are as good as
            not there.
        until: when it is over: a time with a time zone, or so long from now.
        calls_per_second: how often it may be called; as often in a row as in one second.
        audit: is told of each call, and of those that are refused, just before it runs. Where it raises the call fails
            with that, and is not run.
        deep: whether objects that are obtained through it, as the result of a call or in plain lists, tuples, sets and
            dictionaries of one, arrive as facets that are revoked with it, and end with it. Such a facet that is sent
            back through this one is the object again. Objects in the state of copies, in exceptions and in caches are
            not covered, nor are those with which methods call back an object of the peer's.

    Callers get `Revoked` once it is revoked or over, `RateExceeded`, or `NoSuchMethod`.

    Raises:
        TypeError: `obj` is nothing that a peer may call, `methods` is one text, `until` no time, or `audit` async.
        ValueError: `until` has no time zone, `calls_per_second` allows no call, or a name has the prefix ``remote_``.
    """
    end: float | None = None
    if isinstance(until, datetime.datetime):
        if until.tzinfo is None:
            raise ValueError(f"{until} could mean any time zone: write datetime(..., tzinfo=...)")
        until = until - datetime.datetime.now(until.tzinfo)
    if until is not None:
        if not isinstance(until, datetime.timedelta):
            raise TypeError(f"until is a datetime or a timedelta, not a {type(until).__name__}")
        end = time.monotonic() + until.total_seconds()
    return Facet(
        obj,
        methods,
        until=end,
        calls_per_second=calls_per_second,
        audit=audit,
        deep=deep,
        clock=time.monotonic,
        lock=threading.Lock(),
    )
