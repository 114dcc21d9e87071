"""How methods are called by a peer, and how that is written."""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature

from pellucid.flavors.hints import text_of

__all__ = ["POSITIONAL", "Verbatim", "method_signature", "signature_text", "without_first"]

POSITIONAL = Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD
"""The kinds of parameters that have a place."""


def method_signature(cls: type, name: str, *, follow_wrapped: bool = True) -> Signature:
    """How the method `name` of a `cls` is called: without `self`. What it wraps may be called in another way.

    Raises:
        TypeError, ValueError: that can't be told.
    """
    signature = inspect.signature(getattr(cls, name), follow_wrapped=follow_wrapped)
    is_bound = isinstance(inspect.getattr_static(cls, name), staticmethod | classmethod)
    return signature if is_bound else without_first(signature)


def without_first(signature: Signature) -> Signature:
    """`signature` without its first parameter, where that has a place."""
    parameters = [*signature.parameters.values()]
    if parameters and parameters[0].kind in POSITIONAL:
        parameters = parameters[1:]
    return signature.replace(parameters=parameters)


def signature_text(signature: Signature) -> str:
    """`signature` as it would be written."""
    parameters = [
        each if each.annotation is Parameter.empty else each.replace(annotation=Verbatim(text_of(each.annotation)))
        for each in signature.parameters.values()
    ]
    returned = signature.return_annotation
    if returned is not Signature.empty:
        returned = Verbatim(text_of(returned))
    return str(signature.replace(parameters=parameters, return_annotation=returned))


class Verbatim:
    """An annotation or a default that is written as a text, without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
