"""Values on a command line: arguments as they are typed, results as JSON."""

from __future__ import annotations

import ast
import base64
import dataclasses
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from pellucid.core.references import RemoteReference

__all__ = ["parse_arguments", "to_json"]


# Arguments.


def parse_arguments(texts: Iterable[str]) -> tuple[list[Any], dict[str, Any]]:
    """What ``ARGS`` on a command line stand for: arguments by position, and by name.

    Raises:
        click.UsageError: one stands for nothing, or a name is given twice, or looks like an option.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        name, equals, rest = text.partition("=")
        if equals and name.isidentifier():
            if name in kwargs:
                raise click.UsageError(f"the argument {name}= is given twice")
            kwargs[name] = _parse(rest)
        elif kwargs:
            raise click.UsageError(f"{text!r} has no name, and stands behind {[*kwargs][-1]}=, which has one")
        else:
            args.append(_parse(text))
    return args, kwargs


def _parse(text: str) -> Any:
    if text.startswith(("@", "b@")):
        kind, _, path = text.partition("@")
        content = _read(text, path)
        return content if kind else _decoded(content, path)
    for parse in _json, _literal:
        try:
            return parse(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    if text.startswith("-") and len(text) > 1:
        raise click.UsageError(f"No such option: {text} (text that begins with - is written in quotes: '\"{text}\"')")
    return text


def _literal(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is odd in a literal is said of programs
        value = ast.literal_eval(text)
    if value is ...:
        raise ValueError(text)
    return value


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # a text such as NaN is no JSON, whatever Python thinks of it


def _read(text: str, path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        begins = text.removesuffix(path)
        why = f"{error.strerror} (text that begins with {begins} is written in quotes)"
        raise click.UsageError(f"{text}: {why}") from None


def _decoded(content: bytes, path: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise click.UsageError(f"@{path}: it is no UTF-8 text; write b@{path} to send bytes") from None


# Results.


def to_json(value: Any) -> Any:
    """`value` as JSON can have it: what that lacks is an object with one key that begins with ``$``."""
    return _to_json(value, ())


def _to_json(value: Any, around: tuple[int, ...]) -> Any:
    """As `to_json`; `around` are the ids of what `value` is in, from without to within."""
    match value:
        case Enum():
            return {"$enum": type(value).__qualname__, "name": value.name}
        case None | bool() | str():
            return value
        case int():
            return value if _has_digits(value) else {"$int": hex(value)}
        case RemoteReference():
            name = value.export_id
            return {"$reference": name.decode(errors="backslashreplace") if isinstance(name, bytes) else str(name)}
        case _ if id(value) in around:
            return {"$within": len(around) - around.index(id(value))}
        case _:
            return _parts_to_json(value, partial(_to_json, around=(*around, id(value))))


def _parts_to_json(value: Any, inner: Callable[[Any], Any]) -> Any:
    match value:
        case list():
            return [*map(inner, value)]
        case tuple():
            return {"$tuple": [*map(inner, value)]}
        case set() | frozenset():
            return {f"${type(value).__name__}": sorted(map(inner, value), key=json.dumps)}
        case dict():
            if all(isinstance(key, str) and not key.startswith("$") for key in value):
                return {key: inner(each) for key, each in value.items()}
            return {"$dict": [[inner(key), inner(each)] for key, each in value.items()]}
        case _:
            return _leaf_to_json(value, inner)


def _has_digits(number: int) -> bool:
    """Whether Python writes `number` in decimal: past some thousand digits that takes too long."""
    try:
        str(number)
    except ValueError:
        return False
    return True


def _leaf_to_json(value: Any, inner: Callable[[Any], Any]) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else {"$float": repr(value)}
        case bytes() | bytearray() | memoryview():
            return {"$bytes": base64.b64encode(value).decode()}
        case datetime() | date() | time():
            return {f"${type(value).__name__}": value.isoformat()}
        case timedelta():
            return {"$timedelta": value.total_seconds()}
        case Decimal() | UUID():
            return {f"${type(value).__name__.lower()}": str(value)}
        case BaseException():
            return {"$exception": type(value).__qualname__, "text": str(value)}
        case _:
            fields = {name: inner(each) for name, each in _fields_of(value).items()}
            return {"$object": type(value).__qualname__, "fields": fields}


def _fields_of(value: Any) -> Mapping[str, Any]:
    """The fields of a copy of a peer's object."""
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return getattr(value, "__dict__", {})
