"""The native dialect without brokers: values as msgpack and back, by the books of one side."""

from __future__ import annotations

from typing import Any

from pellucid.core.ledger import Books
from pellucid.wire.dialect import Bulk
from pellucid.wire.messages import Answer, CallFailed, Message, MethodCall
from pellucid.wire.native.codes import VERSION, Kind, Mark
from pellucid.wire.native.dialect import NativeDialect
from tests.pair import Desk, Extension, Settings, Side, read, write

__all__ = ["Speech", "call", "mark", "whole"]


class Speech:
    """One side's dialect, greeted, and its books."""

    def __init__(self, settings: Settings | None = None, *, greeted: bool = True) -> None:
        self.side = Side(Desk(), settings or Settings(), listens=True)
        self.dialect = NativeDialect(self.books)
        if greeted:
            self.hear([Kind.HELLO.value, VERSION, []])

    @property
    def books(self) -> Books:
        return self.side.broker.books

    def hear(self, *messages: object) -> list[Message]:
        """What `messages`, as msgpack, mean."""
        self.dialect.receive_data(b"".join(write(message, "pellucid") for message in messages))
        return self.heard()

    def heard(self) -> list[Message]:
        """What has come and was not told of."""
        heard = []
        while (message := self.dialect.next_message()) is not None:
            heard.append(message)
        return heard

    def say(self, message: Message) -> list[Any]:
        """`message` as msgpack; what travels ahead of it comes first."""
        return list(read(whole(self.dialect.encode(message)), "pellucid"))

    def write(self, value: object, perspective: object = None) -> Any:
        """`value` as msgpack."""
        return self.say(Answer(1, value, perspective))[-1][2]

    def read(self, form: object) -> Any:
        """What `form` stands for."""
        (message,) = self.hear([Kind.ANSWER.value, 1, form])
        if isinstance(message, CallFailed):
            assert isinstance(message.error, Exception)
            raise message.error.with_traceback(None)
        assert isinstance(message, Answer)
        return message.value

    def across(self, value: object) -> Any:
        """`value`, written and read."""
        self.dialect.receive_data(whole(self.dialect.encode(Answer(1, value))))
        (message,) = self.heard()
        if isinstance(message, CallFailed):
            raise message.error
        assert isinstance(message, Answer)
        return message.value


def whole(data: bytes | Bulk) -> bytes:
    """All bytes of a message."""
    pieces: list[bytes | memoryview] = [data] if isinstance(data, bytes) else []
    while not isinstance(data, bytes) and data.left:
        pieces += data.next_piece(100_000)
    return b"".join(pieces)


def mark(code: Mark, number: int | None = None) -> Extension:
    """The mark that an array begins with."""
    return Extension(code, b"" if number is None else bytes([number]))


def call(
    number: int = 1, target: Any = b"root", name: str = "echo", args: Any = (), kwargs: Any = None, **options: Any
) -> MethodCall:
    """A call of a method; `options` are its other attributes."""
    message = MethodCall(number, target, name, args, kwargs or {})
    for option, value in options.items():
        setattr(message, option, value)
    return message
