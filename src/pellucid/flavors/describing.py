"""What a class tells a peer about its methods, where it chose to; and what another peer told, taken apart.

What is told is plain data, under a name that is reserved: no message of its own is needed, in any dialect. Whoever
reads it trusts nothing in it: names are names, signatures are what Python allows, and all else is text to be shown.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from pellucid.errors import RemoteProtocolError
from pellucid.flavors.dispatch import prefix_of
from pellucid.flavors.hints import text_of
from pellucid.flavors.interfaces import declared_by, interfaces_of, is_interface
from pellucid.flavors.signatures import Verbatim, method_signature, signature_text, without_first

__all__ = [
    "DESCRIBE",
    "MOST_IN_A_DOC",
    "MOST_IN_A_NAME",
    "MOST_IN_A_TEXT",
    "Described",
    "Description",
    "MethodDescription",
    "ParameterDescription",
    "class_told",
    "clean",
    "description_of",
    "parse_description",
    "signature_of",
]

DESCRIBE = "__describe__"
"""The name that is called for a description. No interface can have a method of that name."""

_MOST_METHODS = 1000
_MOST_PARAMETERS = 100
MOST_IN_A_NAME = 100
MOST_IN_A_TEXT = 200
"""Characters of an annotation or a default; a longer one is cut."""
MOST_IN_A_DOC = 2000

_KINDS = {kind.name.lower(): kind for kind in map(type(Parameter.KEYWORD_ONLY), range(5))}

_TOLD_DEFAULTS: tuple[type, ...] = (type(None), bool, int, float)


class Described:
    """Mix-in: an object of such a class tells a peer what it can be asked; `pellucid.describe` asks it.

    ``class Shop(pb.Described, pb.Root, implements=ShopInterface)``. Where a class says what it implements, it tells of
    those methods alone, as the interfaces declare them; otherwise of all that a peer may call but for names with a
    leading underscore. What is told of a method is its name, its signature and the first paragraph of its docstring.
    Defaults other than None and numbers are not told.
    """

    __slots__ = ()

    def remote___describe__(self) -> dict[str, Any]:
        """What a peer is told, as plain data."""
        return class_told(type(self), "remote_")

    def perspective___describe__(self) -> dict[str, Any]:
        """As an avatar."""
        return class_told(type(self), "perspective_")

    def view___describe__(self, perspective: Any) -> dict[str, Any]:
        """As a viewable."""
        return class_told(type(self), "view_")


@dataclass(frozen=True, slots=True)
class ParameterDescription:
    """A parameter of a method, as a peer described it."""

    name: str
    kind: str
    """In Python's words: "positional_only", "positional_or_keyword", "var_positional", "keyword_only" or
    "var_keyword"."""
    annotation: str | None
    """Text to be shown; it can be anything. None where there is none."""
    default: str | None
    """Text to be shown; "..." where it is not told. None where the parameter is required."""


@dataclass(frozen=True, slots=True)
class MethodDescription:
    """A method, as a peer described it."""

    name: str
    """The name to call."""
    doc: str
    """What it is for; may be empty."""
    parameters: tuple[ParameterDescription, ...]
    returns: str | None
    """The annotation of the result, text to be shown; None where there is none."""

    @property
    def signature(self) -> str:
        """Its parameters and its result, as Python writes them: text to be shown."""
        return signature_text(signature_of(self.parameters, self.returns))


@dataclass(frozen=True, slots=True)
class Description:
    """What a peer says of an object: its word, and nothing more."""

    name: str
    """The name of the object's class."""
    doc: str
    """What it is for; may be empty."""
    methods: tuple[MethodDescription, ...]
    """What it can be asked, in order of names."""


# What is told.


def class_told(cls: type, prefix: str) -> dict[str, Any]:
    """What a `cls` tells of the methods that begin with `prefix`, as plain data."""
    known: dict[str, dict[str, Any]] = vars(cls).get("_told", {})
    if prefix not in known:
        known[prefix] = {
            "name": cls.__name__[:MOST_IN_A_NAME],
            "doc": _first_paragraph(vars(cls).get("__doc__")),
            "methods": [
                _told_method(name, signature, doc)
                for name, (signature, doc) in sorted(_methods(cls, prefix).items())
                if _is_tellable(name, signature)
            ][:_MOST_METHODS],
        }
        cls._told = known  # type: ignore[attr-defined]  # found once for each class
    return known[prefix]


def description_of(cls: type) -> Description:
    """What a class would tell of itself; of an interface, what it declares."""
    prefix = prefix_of(cls)
    return parse_description(class_told(cls, prefix if _methods(cls, prefix) else "view_"))


def _methods(cls: type, prefix: str) -> dict[str, tuple[Signature, str | None]]:
    """The methods that `cls` tells of, by name: how each is called, and its docstring."""
    interfaces = (cls,) if is_interface(cls) else interfaces_of(cls)
    if interfaces:
        return {
            name: (
                without_first(inspect.signature(declared.functions[0])),
                declared.functions[0].__doc__ or _doc(getattr(cls, prefix + name, None)),
            )
            for interface in reversed(interfaces)
            for name, declared in declared_by(interface).items()
        }
    names = [name.removeprefix(prefix) for name in dir(cls) if name.startswith(prefix)]
    return {
        name: (_signature(cls, prefix + name), _doc(getattr(cls, prefix + name)))
        for name in names
        if name and not name.startswith("_") and callable(getattr(cls, prefix + name))
    }


def _doc(method: object) -> str | None:
    return None if method is None else inspect.getdoc(method)


def _signature(cls: type, name: str) -> Signature:
    try:
        signature = method_signature(cls, name)
    except (TypeError, ValueError):
        return Signature([Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)])
    return without_first(signature) if name.startswith("view_") else signature  # the perspective is no caller's


def _is_tellable(name: str, signature: Signature) -> bool:
    """Whether readers take it: one such method, and they would refuse the whole description."""
    parameters = signature.parameters
    return len(parameters) <= _MOST_PARAMETERS and all(map(_is_name, (name, *parameters)))


def _told_method(name: str, signature: Signature, doc: str | None) -> dict[str, Any]:
    parameters = [_told_parameter(each) for each in signature.parameters.values()]
    returned = signature.return_annotation
    returns = None if returned is Signature.empty else text_of(returned)[:MOST_IN_A_TEXT]
    return {"name": name, "doc": _first_paragraph(doc), "parameters": parameters, "returns": returns}


def _told_parameter(parameter: Parameter) -> dict[str, Any]:
    annotation: str | None = None
    if parameter.annotation is not Parameter.empty:
        annotation = text_of(parameter.annotation)[:MOST_IN_A_TEXT]
    default: str | None = None
    if parameter.default is not Parameter.empty:
        # What stands there may be nobody's business.
        may_be_told = type(parameter.default) in _TOLD_DEFAULTS
        default = repr(parameter.default)[:MOST_IN_A_TEXT] if may_be_told else "..."
    kind = parameter.kind.name.lower()
    return {"name": parameter.name, "kind": kind, "annotation": annotation, "default": default}


def _first_paragraph(doc: str | None) -> str:
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())[:MOST_IN_A_DOC]


# What was told.


def parse_description(told: object) -> Description:
    """What a peer told, taken apart. Its texts have no characters in them that do anything when they are shown.

    Raises:
        RemoteProtocolError: it is no description.
    """
    match told:
        case {"name": str(name), "doc": str(doc), "methods": list(methods)} if _is_name(name):
            if len(methods) > _MOST_METHODS:
                raise RemoteProtocolError(f"a description of {len(methods)} methods, and there may be {_MOST_METHODS}")
            parsed = sorted(map(_parsed_method, methods), key=lambda method: method.name)
            if len({method.name for method in parsed}) < len(parsed):
                raise RemoteProtocolError("a description has two methods of one name")
            return Description(name, clean(doc, MOST_IN_A_DOC), tuple(parsed))
        case _:
            raise RemoteProtocolError(f"no description, but {clean(type(told).__name__, MOST_IN_A_NAME)}")


def _parsed_method(told: object) -> MethodDescription:
    match told:
        case {
            "name": str(name),
            "doc": str(doc),
            "parameters": list(parameters),
            "returns": str() | None as returns,
        } if _is_name(name) and not name.startswith("_") and len(parameters) <= _MOST_PARAMETERS:
            parsed = tuple(map(_parsed_parameter, parameters))
            returned = None if returns is None else clean(returns, MOST_IN_A_TEXT)
            try:
                signature_of(parsed, returned)
            except ValueError:
                raise RemoteProtocolError(
                    f"in a description {name!r} has parameters that Python doesn't allow"
                ) from None
            return MethodDescription(name, clean(doc, MOST_IN_A_DOC), parsed, returned)
        case _:
            raise RemoteProtocolError("a description has a method that is none")


def _parsed_parameter(told: object) -> ParameterDescription:
    match told:
        case {
            "name": str(name),
            "kind": str(kind),
            "annotation": str() | None as annotation,
            "default": str() | None as default,
        } if _is_name(name) and kind in _KINDS:
            annotation, default = (
                None if text is None else clean(text, MOST_IN_A_TEXT) for text in (annotation, default)
            )
            return ParameterDescription(name, kind, annotation, default)
        case _:
            raise RemoteProtocolError("a description has a parameter that is none")


def signature_of(parameters: Iterable[ParameterDescription], returns: str | None) -> Signature:
    """Those parameters and that result as Python sees them. Raises ValueError where it allows no such parameters."""
    empty = Parameter.empty
    made = [
        Parameter(
            each.name,
            _KINDS[each.kind],
            annotation=empty if each.annotation is None else each.annotation,
            default=empty if each.default is None else Verbatim(each.default),
        )
        for each in parameters
    ]
    kinds = [each.kind for each in made]
    if kinds.count(Parameter.VAR_POSITIONAL) > 1 or kinds.count(Parameter.VAR_KEYWORD) > 1:
        raise ValueError("more than one parameter takes the rest")  # which Signature lets pass
    return Signature(made, return_annotation=empty if returns is None else returns)


def _is_name(text: str) -> bool:
    return len(text) <= MOST_IN_A_NAME and text.isidentifier()


def clean(text: str, most: int) -> str:
    """`text`, cut to that many characters, without those that do something rather than show something."""
    text = text[:most]
    if text.isprintable():  # as nearly all is: that is found out in a twentieth of the time
        return text
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
