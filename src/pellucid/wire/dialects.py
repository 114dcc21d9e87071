"""Every dialect there is. A new one has its own folder and its place in this list."""

from __future__ import annotations

from collections.abc import Iterable

from pellucid.wire.dialect import DialectClass, Sharing
from pellucid.wire.native.dialect import NativeDialect
from pellucid.wire.pb.dialect import NoneDialect, PBDialect

__all__ = ["DIALECTS", "dialects_named", "sharing_named"]

DIALECTS: tuple[DialectClass, ...] = (NativeDialect, PBDialect, NoneDialect)
"""Best first: of those that both sides speak, the listening side's first is taken."""


def dialects_named(names: Iterable[str] | None) -> tuple[DialectClass, ...]:
    """The dialects of those names, best first; all there are where `names` is None.

    Raises:
        ValueError: there is none of a name, or no name at all.
        TypeError: the names are one text.
    """
    if names is None:
        return DIALECTS
    if isinstance(names, str):
        raise TypeError(f"dialects are several names, not the text {names!r}: write dialects=[{names!r}]")
    known = {dialect.name: dialect for dialect in DIALECTS}
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"there is no dialect {name!r}, only {', '.join(known)}")
    if not wanted:
        raise ValueError(f"name at least one dialect of {', '.join(known)}")
    return tuple(known[name] for name in wanted)


def sharing_named(name: str) -> Sharing:
    """How structure that is shared crosses. Raises ValueError where `name` is neither way."""
    if name == "tree":
        return "tree"
    if name == "graph":
        return "graph"
    raise ValueError(f'sharing is "tree" or "graph", not {name!r}')
