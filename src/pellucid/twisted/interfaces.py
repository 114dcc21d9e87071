"""The interfaces of objects that bring their own way on to the wire, as twisted.spread.interfaces has them."""

# The methods of an interface have no `self`:
# pyright: reportSelfClsParameterName=false

from __future__ import annotations

from typing import Any

from zope.interface import Interface

__all__ = ["IJellyable", "IUnjellyable"]


class IJellyable(Interface):
    """An object that turns itself into its s-expression."""

    def jellyFor(jellier: Any) -> Any:
        """The s-expression that stands for this object; `jellier` makes those of the objects inside it."""


class IUnjellyable(Interface):
    """An object, made without its `__init__`, that fills itself from an s-expression."""

    def unjellyFor(jellier: Any, jellyList: Any) -> Any:
        """Take in the state in `jellyList`, whose first element is the tag, and return what stands for it.

        `jellier` turns the s-expressions inside it into objects.
        """
