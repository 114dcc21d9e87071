"""Asking an object of the peer's what it can be asked."""

from __future__ import annotations

from pellucid.core.references import RemoteReference
from pellucid.core.views import View, reference_of
from pellucid.errors import NoSuchMethod, RemoteError
from pellucid.flavors.describing import DESCRIBE, Description, parse_description
from pellucid.wire.names import names_of

__all__ = ["describe"]

_NO_SUCH_METHOD = names_of(NoSuchMethod)[0]
"""What a coroutine of Twisted's is told of it: there a failure is raised as no class but one."""


async def describe(reference: object, *, timeout: float | None = None) -> Description:  # noqa: ASYNC109 - in any door
    """What the peer says of its object, where it chose to say it: see `Described`. A view will do, too.

    It is the peer's word: an object may have other methods, or none of these. `timeout` is in seconds.

    Raises:
        NoSuchMethod: the object tells nothing of itself.
        RemoteProtocolError: what it tells is no description.
        TypeError: `reference` is none.
        What a call raises.
    """
    if isinstance(reference, View):
        reference = reference_of(reference)
    if not isinstance(reference, RemoteReference):
        raise TypeError(f"only objects of a peer's can be asked, and a {type(reference).__name__} is none")
    try:
        told = await reference.call_with(timeout=timeout).call(DESCRIBE)
    except (NoSuchMethod, RemoteError) as error:
        if isinstance(error, RemoteError) and error.remote_type != _NO_SUCH_METHOD:
            raise
        raise NoSuchMethod(f"{reference!r} tells nothing of itself: its class does not derive from Described") from None
    return parse_description(told)
