"""The interfaces of objects that bring their own way on to the wire, as twisted.spread.interfaces has them."""

# The methods of an interface have no `self`:
# pyright: reportSelfClsParameterName=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["IJellyable", "IUnjellyable"]

if TYPE_CHECKING:

    class Interface:
        """zope.interface's, which has no types: a type checker would know nothing of what derives from it."""

        def __init__(self, object: Any, alternate: Any = ...) -> None: ...  # noqa: A002 - its name there

        @classmethod
        def providedBy(cls, object: Any) -> bool:  # noqa: A002
            """Whether `object` says that it provides the interface."""
            ...

        @classmethod
        def implementedBy(cls, object: Any) -> bool:  # noqa: A002
            """Whether the instances of the class `object` provide it."""
            ...

else:
    from zope.interface import Interface


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
