"""Every dialect there is. A new one has its own folder and its place in this list."""

from __future__ import annotations

from collections.abc import Iterable

from pellucid.wire.dialect import DialectClass
from pellucid.wire.pb.dialect import NoneDialect, PBDialect

__all__ = ["DIALECTS", "dialects_named"]

DIALECTS: tuple[DialectClass, ...] = (PBDialect, NoneDialect)
"""Best first: of those that both sides speak, the listening side's first is taken."""


def dialects_named(names: Iterable[str] | None) -> tuple[DialectClass, ...]:
    """The dialects of those names, best first; all there are where `names` is None.

    Raises:
        ValueError: there is none of a name, or no name at all.
    """
    if names is None:
        return DIALECTS
    known = {dialect.name: dialect for dialect in DIALECTS}
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"there is no dialect {name!r}, only {', '.join(known)}")
    if not wanted:
        raise ValueError(f"name at least one dialect of {', '.join(known)}")
    return tuple(known[name] for name in wanted)
