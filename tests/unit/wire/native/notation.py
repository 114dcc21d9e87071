"""The notation of the test vectors in tests/data/native, whose README.md explains it, for this implementation.

`meaning_of` tells what our decoder made of bytes; `message_of` makes what our encoder is to write. Between the two
stands an `EchoLedger`, whose numbers are those of the wire: what arrives as the sender's number 7 is sent as number 7.
"""

from __future__ import annotations

import collections
import datetime
import decimal
import math
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from pellucid.errors import LimitExceeded, RemoteError
from pellucid.flavors.cacheable import Cacheable, RemoteCache
from pellucid.flavors.copyable import Copyable, RemoteCopy
from pellucid.flavors.failures import report
from pellucid.flavors.policy import Policy
from pellucid.flavors.referenceable import Referenceable
from pellucid.flavors.registry import Registry
from pellucid.flavors.serializable import Held, Unpersistable
from pellucid.limits import Limits
from pellucid.wire import messages
from pellucid.wire.dialect import Bulk, Ledger, Sharing
from pellucid.wire.messages import Promised
from pellucid.wire.names import broker_error, method_error, names_of
from pellucid.wire.native.codes import Kind
from pellucid.wire.native.dialect import NativeDialect

__all__ = [
    "EchoLedger",
    "bytes_of",
    "independent_form",
    "independent_value",
    "meaning_of",
    "message_of",
    "start_dialect",
    "value_of",
    "without_what_is_lost",
]

Json = Any


# What crosses, as this ledger has it.


class Thing(Referenceable):
    """An object of the sender's: REMOTE."""

    def __init__(self, number: int) -> None:
        self.number = number


class Home(Held):
    """An object of the receiver's: LOCAL, or LOCAL_NAME."""

    def __init__(self, number: int | bytes) -> None:
        self.number = number


class Known(Cacheable):
    """A cacheable of the sender's that the receiver has: CACHED."""

    def __init__(self, number: int) -> None:
        self.number = number


class Returned(RemoteCache):
    """The copy of a cacheable of the receiver's: LOCAL_CACHE."""

    number = 0


class Point(Copyable, RemoteCopy):
    """A copyable: COPY."""

    def get_type_to_copy(self) -> str:
        return "geo.Point"


class Score(Cacheable, RemoteCache):
    """A cacheable that the receiver does not have: CACHE."""

    def get_type_to_copy(self) -> str:
        return "game.Score"


class EchoLedger(Ledger):
    """Both sides' books in one: there is nothing in them but numbers."""

    def __init__(self, sharing: Sharing = "tree") -> None:
        self.registry = Registry()
        self.registry.register(Point, "geo.Point")
        self.registry.register(Score, "game.Score")
        self.policy = Policy(named=[collections.OrderedDict])
        self.limits = Limits()
        self.sharing = sharing
        self.cache_ids: dict[int, int] = {}
        self._alive: list[object] = []

    def export(self, obj: Referenceable) -> int:
        assert isinstance(obj, Thing)
        return obj.number

    def unexport(self, export_id: int) -> None:
        """Nothing is counted here."""

    def export_cache(self, obj: Cacheable, perspective: Any) -> tuple[int, Any]:
        if isinstance(obj, Known):
            return obj.number, None
        return self.cache_ids[id(obj)], self

    def cache_sent(self, cache_id: int) -> None:
        """Nothing is counted here."""

    def unexport_cache(self, cache_id: int) -> None:
        """Nothing is counted here."""

    def id_at_home(self, held: Held) -> int | bytes:
        assert isinstance(held, Home | Returned)
        return held.number

    def import_reference(self, export_id: int, cls: Any = None, target: Any = None) -> Any:
        return Thing(export_id)

    def see_through(self, references: Mapping[int, int], target: Any) -> None:
        """Nobody sees anything here."""

    def exported(self, export_id: int | bytes) -> object:
        return Home(export_id)

    def exported_cache(self, cache_id: int) -> Any:
        copy = Returned()
        copy.number = cache_id
        return copy

    def import_cache(self, cache_id: int, make: Callable[[], RemoteCache]) -> RemoteCache:
        copy = make()
        self.enter_cache(copy, cache_id)
        return copy

    def enter_cache(self, copy: RemoteCache, cache_id: int) -> None:
        self._alive.append(copy)
        self.cache_ids[id(copy)] = cache_id

    def cache_filled(self, cache_id: int) -> None:
        """Nothing is kept here."""

    def imported_cache(self, cache_id: int) -> Any:
        return Known(cache_id)

    def disown(self, references: Mapping[int, int], caches: Mapping[int, int]) -> None:
        """Nothing is counted here."""


def start_dialect(ledger: Ledger, *, greeted: bool = True) -> NativeDialect:
    """The dialect of a side that has been greeted, unless it is not."""
    dialect = NativeDialect(ledger)
    if greeted:
        dialect.receive_data(dialect.greeting())
        assert dialect.next_message() is None
    return dialect


def bytes_of(encoded: bytes | Bulk, piece: int = 1 << 30) -> bytes:
    """What travels, large buffers in pieces of that size."""
    if isinstance(encoded, bytes):
        return encoded
    pieces = []
    while encoded.left:
        pieces += encoded.next_piece(piece)
    return b"".join(pieces)


# Notation to objects.


def value_of(notation: Json, ledger: EchoLedger) -> Any:
    """The object that `notation` describes."""
    return _Builder(ledger).build(notation)


class _Builder:
    def __init__(self, ledger: EchoLedger) -> None:
        self._ledger = ledger
        self._shared: dict[int, Any] = {}

    def build(self, notation: Json, number: int | None = None) -> Any:
        if isinstance(notation, list):
            result: list[Any] = []
            self._meet(number, result)
            result += map(self.build, notation)
            return result
        if not isinstance(notation, dict):
            return notation
        ((form, body),) = notation.items()
        match form:
            case "shared":
                value = self._shared[body[0]] = self.build(body[1], body[0])
                return value
            case "again":
                return self._shared[body]
            case "map":
                mapping: dict[Any, Any] = {}
                self._meet(number, mapping)
                for key, value in body:
                    mapping[self.build(key)] = self.build(value)
                return mapping
            case "copy":
                point = Point()
                assert body[0] == "geo.Point"
                self._meet(number, point)
                point.__dict__ = self.build(body[1])
                return point
            case "cache":
                score = Score()
                assert body[1] == "game.Score"
                self._ledger.enter_cache(score, body[0])
                self._meet(number, score)
                score.__dict__ = self.build(body[2])
                return score
            case "tuple" | "set" | "frozenset":
                return _CONTAINERS[form](map(self.build, body))
            case "failure":
                return _error(body)
            case _:
                return _FORMS[form](body)

    def _meet(self, number: int | None, value: Any) -> None:
        if number is not None:
            self._shared[number] = value


def _returned(number: int) -> Returned:
    copy = Returned()
    copy.number = number
    return copy


def _error(told: Json) -> Exception:
    cls = (method_error if told["raised"] else broker_error)(told["name"])
    if cls is None:
        return RemoteError(told["name"], told["text"], told["traceback"], tuple(told["parents"]))
    details = told["details"]
    if details is not None:
        assert issubclass(cls, LimitExceeded)
        return cls(details["limit"], details["value"], details["asked"])
    return cls(told["text"])


def _zoned(cls: type[Any], text: str) -> Any:
    text, _, zone = text.partition("[")
    value = cls.fromisoformat(text)
    if not zone:
        return value
    if zone == "_fold=1]":
        return value.replace(fold=1)
    offset = value.utcoffset()
    value = value.replace(tzinfo=zoneinfo.ZoneInfo(zone.removesuffix("]")))
    return value if value.utcoffset() == offset else value.replace(fold=1)


_CONTAINERS: dict[str, Callable[[Any], Any]] = {"tuple": tuple, "set": set, "frozenset": frozenset}

_FORMS: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "bytes": bytes.fromhex,
    "repeat": lambda body: bytes.fromhex(body[0]) * body[1],
    "decimal": decimal.Decimal,
    "datetime": lambda text: _zoned(datetime.datetime, text),
    "date": datetime.date.fromisoformat,
    "time": lambda text: _zoned(datetime.time, text),
    "timedelta": lambda parts: datetime.timedelta(*parts),
    "uuid": uuid.UUID,
    "named": {"class:collections.OrderedDict": collections.OrderedDict}.__getitem__,
    "placeholder": Unpersistable,
    "remote": Thing,
    "local": Home,
    "local_name": lambda name: Home(name.encode()),
    "cached": Known,
    "local_cache": _returned,
    "promise": Promised,
}


# Objects to notation.

_MEETINGS = (list, dict, tuple, set, frozenset, Point, Score)


class _Teller:
    """Tells what a value is. A container met again gets a number, in the order in which that happens."""

    def __init__(self, ledger: EchoLedger) -> None:
        self._ledger = ledger
        self.numbers: dict[int, int] = {}
        self.met: set[int] = set()
        self.defined: set[int] = set()

    def count(self, value: Any) -> None:
        if not isinstance(value, _MEETINGS):
            return
        key = id(value)
        if key in self.met:
            self.numbers.setdefault(key, len(self.numbers) + 1)
            return
        self.met.add(key)
        for part in _parts(value):
            self.count(part)

    def tell(self, value: Any) -> Json:
        number = self.numbers.get(id(value)) if isinstance(value, _MEETINGS) else None
        if number is None:
            return self._form(value)
        if number in self.defined:
            return {"again": number}
        self.defined.add(number)
        return {"shared": [number, self._form(value)]}

    def _form(self, value: Any) -> Json:  # noqa: C901 - a case for each form
        tell = self.tell
        match value:
            case None | bool() | str():
                return value
            case int():
                return value if -(2**53) <= value <= 2**53 else {"int": str(value)}
            case float():
                return {"float": "nan" if math.isnan(value) else repr(value)}
            case bytes():
                is_long = len(value) > 64 and len(set(value)) == 1
                return {"repeat": [value[:1].hex(), len(value)]} if is_long else {"bytes": value.hex()}
            case list():
                return list(map(tell, value))
            case dict():
                return {"map": [[tell(key), tell(element)] for key, element in value.items()]}
            case tuple():
                return {"tuple": list(map(tell, value))}
            case set():
                return {"set": list(map(tell, value))}
            case frozenset():
                return {"frozenset": list(map(tell, value))}
            case Point():
                return {"copy": ["geo.Point", tell(vars(value))]}
            case Score():
                return {"cache": [self._ledger.cache_ids[id(value)], "game.Score", tell(vars(value))]}
            case decimal.Decimal():
                return {"decimal": str(value)}
            case datetime.datetime():
                return {"datetime": value.isoformat() + _zone(value)}
            case datetime.date():
                return {"date": value.isoformat()}
            case datetime.time():
                return {"time": value.isoformat() + _zone(value)}
            case datetime.timedelta():
                return {"timedelta": [value.days, value.seconds, value.microseconds]}
            case uuid.UUID():
                return {"uuid": str(value)}
            case Thing():
                return {"remote": value.number}
            case Home(number=bytes(name)):
                return {"local_name": name.decode()}
            case Home():
                return {"local": value.number}
            case Known():
                return {"cached": value.number}
            case Returned():
                return {"local_cache": value.number}
            case Promised():
                return {"promise": value.call_id}
            case Unpersistable():
                return {"placeholder": value.reason.removeprefix("Unpersistable data: ")}
            case Exception():
                told = report(value, names_of(type(value)), with_traceback=False)
                return {"failure": {"name": told.name, "text": told.text}}
            case type():
                return {"named": f"class:{value.__module__}.{value.__qualname__}"}
            case _:
                raise AssertionError(f"a {type(value)} has no notation")


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Point | Score):
        return [vars(value)]
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    return list(value)


def _zone(value: datetime.datetime | datetime.time) -> str:
    if isinstance(value.tzinfo, zoneinfo.ZoneInfo):
        return f"[{value.tzinfo.key}]"
    return "[_fold=1]" if value.fold else ""


def without_what_is_lost(notation: Json) -> Json:
    """`notation`, of failures only what every implementation can tell of the exception that it makes of one."""
    if isinstance(notation, list):
        return list(map(without_what_is_lost, notation))
    if not isinstance(notation, dict):
        return notation
    if "failure" in notation:
        return {"failure": {key: notation["failure"][key] for key in ("name", "text")}}
    return {key: without_what_is_lost(value) for key, value in notation.items()}


# Messages.


def message_of(notation: Json, ledger: EchoLedger) -> messages.Message:  # noqa: C901 - a case for each kind
    """The message that `notation` describes."""
    said = dict(notation)
    kind = Kind[said.pop("message")]
    build = _Builder(ledger).build
    match kind:
        case Kind.CALL | Kind.SEND | Kind.UPDATE | Kind.NOTIFY:
            call = _call(said, build, said["number"])
            call.wants_answer = kind in (Kind.CALL, Kind.UPDATE)
            call.to_cache = kind in (Kind.UPDATE, Kind.NOTIFY)
            return call
        case Kind.ANSWER:
            return messages.Answer(said["number"], build(said["value"]))
        case Kind.FAIL:
            return _failed(said["number"], said["value"], build)
        case Kind.BATCH:
            calls = [_call(call, build, place) for place, call in enumerate(said["calls"])]
            return messages.Batch(said["number"], calls, timeout=said.get("options", {}).get("timeout"))
        case Kind.BATCH_ANSWER:
            outcomes = [
                _failed(place, outcome["failed"], build) if _has_failed(outcome) else build(outcome)
                for place, outcome in enumerate(said["outcomes"])
            ]
            return messages.BatchAnswer(said["number"], outcomes, [None] * len(outcomes))
        case Kind.RELEASE:
            return messages.Release([(number, count) for number, count in said["receipts"]])
        case Kind.RELEASE_CACHE:
            return messages.ReleaseCache(said["cache"], said["count"])
        case Kind.DROP_CACHE:
            return messages.DropCache(said["cache"])
        case Kind.CANCEL:
            return messages.Cancel(said["number"])
        case Kind.SEEN:
            return messages.Seen(said["numbers"])
        case Kind.PING:
            return messages.Ping(said["number"])
        case Kind.PONG:
            return messages.Pong(said["number"])
        case Kind.NOT_UNDERSTOOD:
            return messages.NotUnderstood(said["what"])
        case Kind.COMMAND:
            return messages.Command(build(said["expression"]))
        case _:
            raise AssertionError(f"no {kind.name} is sent by itself")


def _call(said: Json, build: Callable[[Json], Any], number: int) -> messages.MethodCall:
    target = said["target"]
    if isinstance(target, str):
        target = target.encode()
    elif isinstance(target, dict):
        target = Promised(target["promise"])
    args = [build(value) for value in said["args"]]
    kwargs = {name: build(value) for name, value in said.get("kwargs", {}).items()}
    call = messages.MethodCall(number, target, said["name"], args, kwargs)
    call.timeout = said.get("options", {}).get("timeout")
    return call


def _has_failed(outcome: Json) -> bool:
    return isinstance(outcome, dict) and "failed" in outcome


def _failed(number: int, value: Json, build: Callable[[Json], Any]) -> messages.CallFailed:
    return messages.CallFailed(number, build(value), raised=value.get("failure", {}).get("raised", True))


def meaning_of(message: messages.Message, ledger: EchoLedger) -> Json:  # noqa: C901 - a case for each kind
    """What `message`, which was decoded, says. Of failures, what `without_what_is_lost` leaves of them."""
    teller = _Teller(ledger)
    match message:
        case messages.MethodCall():
            kinds = ("UPDATE", "NOTIFY") if message.to_cache else ("CALL", "SEND")
            said = {"message": kinds[not message.wants_answer], "number": message.call_id}
            return said | _told_call(message, teller)
        case messages.Answer():
            teller.count(message.value)
            return {"message": "ANSWER", "number": message.call_id, "value": teller.tell(message.value)}
        case messages.CallFailed():
            return {"message": "FAIL", "number": message.call_id, "value": teller.tell(message.error)}
        case messages.Batch():
            calls = [_told_call(call, teller) for call in message.calls]
            told: Json = {"message": "BATCH", "number": message.call_id, "calls": calls}
            return told if message.timeout is None else {**told, "options": {"timeout": message.timeout}}
        case messages.BatchAnswer():
            outcomes = [
                {"failed": teller.tell(each.error)} if isinstance(each, messages.CallFailed) else teller.tell(each)
                for each in message.outcomes
            ]
            return {"message": "BATCH_ANSWER", "number": message.call_id, "outcomes": outcomes}
        case messages.Release():
            return {"message": "RELEASE", "receipts": [list(receipt) for receipt in message.receipts]}
        case messages.ReleaseCache():
            return {"message": "RELEASE_CACHE", "cache": message.cache_id, "count": message.count}
        case messages.DropCache():
            return {"message": "DROP_CACHE", "cache": message.cache_id}
        case messages.Cancel():
            return {"message": "CANCEL", "number": message.call_id}
        case messages.Seen():
            return {"message": "SEEN", "numbers": message.call_ids}
        case messages.Ping():
            return {"message": "PING", "number": message.number}
        case messages.Pong():
            return {"message": "PONG", "number": message.number}
        case messages.NotUnderstood():
            return {"message": "NOT_UNDERSTOOD", "what": message.name}
        case messages.Unknown():
            return {"message": message.name}
        case messages.Command():
            raise AssertionError("what is read of a command is its name")


def _told_call(call: messages.MethodCall, teller: _Teller) -> dict[str, Json]:
    assert call.error is None, call.error
    target: Json = call.target
    if isinstance(target, bytes):
        target = target.decode()
    elif isinstance(target, Promised):
        target = {"promise": target.call_id}
    values = [*call.args, *call.kwargs.values()]
    for value in values:
        teller.count(value)
    told: dict[str, Json] = {"target": target, "name": call.name, "args": list(map(teller.tell, call.args))}
    if call.kwargs:
        told["kwargs"] = {name: teller.tell(value) for name, value in call.kwargs.items()}
    if call.timeout is not None:
        told["options"] = {"timeout": call.timeout}
    return told


# Structure of msgpack, by an implementation that is not ours.


def independent_form(body: bytes) -> Json:
    """The structure of `body` in notation, as the `msgpack` package reads it."""
    unpacked = msgpack.unpackb(body, ext_hook=msgpack.ExtType, strict_map_key=True, use_list=True)
    return _structure(unpacked)


def independent_value(notation: Json) -> bytes:
    """The bytes of a structure in notation, as the `msgpack` package writes it."""
    return msgpack.packb(_unstructured(notation))


def _structure(value: Any) -> Json:
    match value:
        case msgpack.ExtType():
            return {"ext": [value.code, value.data.hex()]}
        case list():
            return list(map(_structure, value))
        case dict():
            return {"map": [[key, _structure(element)] for key, element in value.items()]}
        case bytes():
            return {"bytes": value.hex()}
        case float():
            return {"float": "nan" if math.isnan(value) else repr(value)}
        case int() if not isinstance(value, bool) and abs(value) > 2**53:
            return {"int": str(value)}
        case _:
            return value


def _unstructured(notation: Json) -> Any:
    if isinstance(notation, list):
        return list(map(_unstructured, notation))
    if not isinstance(notation, dict):
        return notation
    ((form, body),) = notation.items()
    match form:
        case "ext":
            return msgpack.ExtType(body[0], bytes.fromhex(body[1]))
        case "map":
            return {key: _unstructured(element) for key, element in body}
        case _:
            return _FORMS[form](body)
