"""What a wire language is, what it needs of the broker, and how two sides agree on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol

from pellucid.flavors.cacheable import Cacheable, Observer, RemoteCache
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Held
from pellucid.limits import Limits
from pellucid.wire.messages import ExportId, Message, Promised, SharedUpdate

__all__ = ["Bulk", "Dialect", "DialectClass", "Ledger", "Sharing"]

Sharing = Literal["tree", "graph"]
"""Whether what is met twice in one message arrives as two copies, or as one object that is met twice there, too."""


class Bulk(Protocol):
    """A message with large buffers, which leaves in pieces: other messages may leave in between."""

    is_barrier: bool
    """Whether what follows may depend on it, and so must not overtake it."""
    inline_bytes: int
    """Bytes that it takes, buffers aside."""
    left: int
    """Bytes of its buffers that have not been taken."""

    def next_piece(self, size: int) -> list[bytes | memoryview]:
        """What to send next, about so many bytes of its buffers; with the last of those comes the message itself."""
        ...


class Ledger(Protocol):
    """The broker's books, as a dialect uses them while it turns objects into bytes and bytes into objects.

    What a dialect enters while it encodes a message that then fails, it takes back: nothing was sent.
    """

    __slots__ = ()

    registry: Registry
    policy: Policy
    limits: Limits
    sharing: Sharing
    """For dialects that leave it open."""

    def export(self, obj: Referenceable) -> int:
        """Count one more receipt of `obj` by the peer, and return its id. Raises TooManyReferences."""
        ...

    def unexport(self, export_id: int) -> None:
        """Take one `export` back."""
        ...

    def export_cache(self, obj: Cacheable, perspective: Any) -> tuple[int, Observer | None]:
        """Count one more receipt of `obj`; with it comes the observer where the peer has no copy yet."""
        ...

    def cache_sent(self, cache_id: int) -> None:
        """The message with the state of that cacheable is written: its observer may be called from now on."""
        ...

    def unexport_cache(self, cache_id: int) -> None:
        """Take one `export_cache` back."""
        ...

    def id_at_home(self, held: Held) -> ExportId:
        """The id by which the peer knows its own object. Raises ForeignReference, DeadReferenceError."""
        ...

    def import_reference(self, export_id: int, cls: type[Held] | None = None, target: ExportId | None = None) -> Held:
        """The one reference to that object of the peer's, with one more receipt.

        Where there is none yet it is made, as a `cls` where one is given. It came with a call of our `target`: calls
        through it go out as seen by the perspective that has the peer. Raises TooManyReferences.
        """
        ...

    def see_through(self, references: Mapping[int, int], target: ExportId) -> None:
        """Receipts, counted by id, came with a call of our `target`: as `import_reference`, where that was not said."""
        ...

    def exported(self, export_id: ExportId) -> object:
        """The original of an object that comes home. Raises Error where the peer never had it."""
        ...

    def exported_cache(self, cache_id: int) -> Cacheable:
        """The original of a cacheable that comes home. Raises Error where the peer never had it."""
        ...

    def import_cache(self, cache_id: int, make: Callable[[], RemoteCache]) -> RemoteCache:
        """Enter the copy of a cacheable that arrives for the first time. Raises TooManyReferences."""
        ...

    def cache_filled(self, cache_id: int) -> None:
        """The copy entered by `import_cache` has its state now."""
        ...

    def imported_cache(self, cache_id: int) -> RemoteCache:
        """The copy of a cacheable that has arrived before, with one more receipt. Raises Error."""
        ...

    def disown(self, references: Mapping[int, int], caches: Mapping[int, int]) -> None:
        """Release receipts, counted by id, that arrived in a message which could not be decoded as a whole."""
        ...


class Dialect(Protocol):
    """One wire language, on one connection: it turns messages into bytes and bytes into messages."""

    name: ClassVar[str]
    """By which it is offered and chosen in the negotiation."""
    chains: ClassVar[bool]
    """Whether it has words for what a call results in before that is known, for batches, and for calls given up."""
    answers_first: ClassVar[bool]
    """Whether the answer that brings a referenced object home always comes before its release."""
    counts_receipts: ClassVar[bool]
    """Whether one message gives back many receipts of an object; otherwise each takes its own."""

    def bound(self, limits: Limits) -> None:
        """Let these limits count from now on."""
        ...

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the peer; then call `next_message` until it returns None."""
        ...

    @property
    def missing(self) -> int:
        """How many bytes have to come before there can be another message, as far as that is known; else 0."""
        ...

    def next_message(self) -> Message | None:
        """The next message that is complete, decoded now: settle it before you ask for another.

        Raises:
            RemoteProtocolError: the stream makes no sense from here on.
        """
        ...

    def greeting(self, log_number: str | None = None) -> bytes:
        """What to send as soon as the dialect is chosen.

        `log_number` is what this side's log calls the connection. It is told where the dialect has room for that.
        """
        ...

    @property
    def greeted(self) -> bool:
        """Whether the peer's greeting has arrived."""
        ...

    @property
    def peer_log_number(self) -> str | None:
        """What the peer's log calls the connection, where it has said so."""
        ...

    def encode(self, message: Message) -> bytes | Bulk:
        """The bytes of `message`, or more of them than should travel in one piece.

        Raises:
            InsecureJelly: something in it may not cross.
            LimitExceeded: it is larger than the peer would take.
        """
        ...

    def encode_plain_call(
        self, call_id: int, target: ExportId | Promised, name: str, args: tuple[Any, ...]
    ) -> bytes | None:
        """The bytes of a call that wants an answer and has nothing but numbers and short texts for arguments.

        It is `encode` for most calls, in fewer steps. None where it has to be asked after all.
        """
        ...

    def encode_plain_answer(self, call_id: int, value: Any) -> bytes | None:
        """The bytes of an answer that is a number or a short text; None where `encode` has to be asked."""
        ...

    def encode_plain_batch(self, call_id: int, calls: Sequence[Any]) -> bytes | None:
        """The bytes of a `Batch` of calls with nothing but numbers and texts; None where `encode` has to be asked.

        Each of the `calls` has a `target`, a `name`, `args` and `kwargs`.
        """
        ...

    def encode_shared(self, cache_id: int, update: SharedUpdate) -> bytes | None:
        """The bytes that tell that copy of `update`; None where it can't be encoded once for many."""
        ...


class DialectClass(Protocol):
    """A dialect that can be offered: its name, and how to start it on a connection whose books are given."""

    name: str

    def __call__(self, ledger: Ledger, /) -> Dialect:
        """Start it."""
        ...
