"""Source text of interfaces, made from what classes and peers tell of themselves.

What a peer tells may be made to harm whoever runs or reads the text. So of it nothing is written as it came: names are
plain names, annotations are read and written anew where they are of a small grammar of well-known types, docstrings and
comments are escaped, and defaults are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import replace
from keyword import iskeyword

from pellucid.flavors.describing import (
    MOST_IN_A_DOC,
    MOST_IN_A_NAME,
    MOST_IN_A_TEXT,
    Description,
    MethodDescription,
    ParameterDescription,
    clean,
    description_of,
    signature_of,
)
from pellucid.flavors.serializable import Held
from pellucid.flavors.signatures import signature_text

__all__ = ["interface_source"]

Known = tuple[str, str]
"""A module, and the name of something in it."""

_NAMES: dict[str, Known] = {
    **{each: ("builtins", each) for each in "bool int float complex str bytes bytearray memoryview object".split()},
    **{each: ("builtins", each) for each in "list tuple dict set frozenset".split()},
    **{each: ("builtins", each.lower()) for each in "List Tuple Dict Set FrozenSet".split()},
    **{each: ("typing", each) for each in "Any Optional Union Literal Annotated".split()},
    **{each: ("collections.abc", each) for each in "Collection Iterable Mapping Sequence".split()},
    **{each: ("datetime", each) for each in "datetime date time timedelta".split()},
    "Decimal": ("decimal", "Decimal"),
    "UUID": ("uuid", "UUID"),
    **dict.fromkeys("RemoteReference Referenceable Root Viewable".split(), ("pellucid", "RemoteReference")),
}

_MODULES = ("typing", "collections.abc", "datetime", "decimal", "uuid", "pellucid", "pb")
"""Those that such a name may stand behind."""

_ARGUMENTS: dict[str, int | None] = {
    **dict.fromkeys("list set frozenset Collection Iterable Sequence".split(), 1),
    **dict.fromkeys(("dict", "Mapping"), 2),
    "tuple": None,
}
"""How many types each of these is subscripted with; None for any number."""


class _Unwritable(Exception):
    """An annotation is not of the grammar."""


def interface_source(*sources: Description | type) -> str:
    """The source text of a module with an interface for each of `sources`.

    They are what `describe` gives, classes that a peer may call, or interfaces. The text does nothing when it is run
    but declare them, whoever described them. An annotation that is no well-known type is written as `object`, with
    what it was in a comment; what can't be a method of an interface is left out, and a comment says so.

    Raises:
        ValueError: two have one name.
    """
    described = [each if isinstance(each, Description) else description_of(each) for each in sources]
    names = [_class_name(each.name) for each in described]
    if len(set(names)) < len(names):
        raise ValueError(f"two interfaces of one name in one module: {', '.join(names)}")
    taken = {*names, *(method.name for each in described for method in each.methods)}
    writer = _Writer(taken)
    classes = [writer.write_class(name, each) for name, each in zip(names, described, strict=True)]
    head = f'"""Interfaces, as they were described: {", ".join(names)}."""\n\nfrom __future__ import annotations\n'
    ours = {line for line in writer.imports if line.startswith("import pellucid")}
    imports = ("".join(f"{line}\n" for line in sorted(group)) for group in (writer.imports - ours, ours) if group)
    return "\n".join([head, *imports]) + "".join(f"\n\n{text}" for text in classes)


class _Writer:
    """Writes a module in which the names `taken` mean something of its own."""

    def __init__(self, taken: set[str]) -> None:
        self.imports: set[str] = set()
        self._taken = taken

    def write_class(self, name: str, described: Description) -> str:
        """The class of that name."""
        lines = [f"class {name}({self._spelled('pellucid', 'Interface')}):", f"    {_docstring(described.doc)}"]
        for method in described.methods:
            lines += ["", *(f"    {line}" for line in self._method(method))]
        return "\n".join(lines) + "\n"

    def _method(self, method: MethodDescription) -> Iterable[str]:
        names = [method.name, *(parameter.name for parameter in method.parameters)]
        reserved = method.name.startswith("remote_") or hasattr(Held, method.name) or "self" in names[1:]
        if reserved or not all(map(_is_writable, names)) or any(name.startswith("_") for name in names[:1]):
            name = clean(method.name, MOST_IN_A_NAME)
            yield f"# Left out, as it can't be written as a method of an interface: {name!a}"
            return
        receiver = ParameterDescription("self", "positional_or_keyword", None, None)
        parameters = [receiver]
        for parameter in method.parameters:
            annotation, told = self._annotation(parameter.annotation)
            if told is not None:
                yield f"# {parameter.name}: {told}"
            default = None if parameter.default is None else "..."
            parameters.append(replace(parameter, annotation=annotation, default=default))
            if parameter.kind == "positional_only":
                parameters[0] = replace(receiver, kind="positional_only")
        returns, told = self._annotation(method.returns)
        if told is not None:
            yield f"# returns {told}"
        yield f"async def {method.name}{signature_text(signature_of(parameters, returns))}:"
        if method.doc:
            yield f"    {_docstring(method.doc)}"
        yield "    ..."

    def _annotation(self, text: str | None) -> tuple[str, str | None]:
        """What is written for an annotation, and what it was, for a comment, where that is something else."""
        if text is None:
            return self._spelled("typing", "Any"), None
        imports = self.imports.copy()
        try:
            return self._parsed(text), None
        except (_Unwritable, SyntaxError, ValueError, RecursionError, MemoryError):
            self.imports = imports
            return self._spelled("builtins", "object"), ascii(clean(text, MOST_IN_A_TEXT))

    def _parsed(self, text: str) -> str:
        if len(text) > MOST_IN_A_TEXT:
            raise _Unwritable
        return self._written(ast.parse(text.strip(), mode="eval").body)

    def _written(self, node: ast.expr) -> str:
        match node:
            case ast.Name() | ast.Attribute():
                module, name = _known(node)
                if module == "typing" and name != "Any":
                    raise _Unwritable
                return self._spelled(module, name)
            case ast.Constant(None):
                return "None"
            case ast.Constant(str(text)):
                return self._parsed(text)
            case ast.BinOp(left, ast.BitOr(), right):
                return f"{self._written(left)} | {self._written(right)}"
            case ast.Subscript(head, argument):
                arguments = argument.elts if isinstance(argument, ast.Tuple) else [argument]
                return self._subscripted(_known(head), arguments)
            case _:
                raise _Unwritable

    def _subscripted(self, head: Known, arguments: Sequence[ast.expr]) -> str:
        match head, arguments:
            case ("typing", "Optional"), [inner]:
                return f"{self._written(inner)} | None"
            case ("typing", "Union"), [_, *_]:
                return " | ".join(map(self._written, arguments))
            case ("typing", "Annotated"), [inner, _, *_]:
                return self._written(inner)
            case ("typing", "Literal"), [_, *_]:
                return f"{self._spelled('typing', 'Literal')}[{', '.join(map(_literal, arguments))}]"
            case ("builtins", "tuple"), [inner, ast.Constant(value)] if value is ...:
                return f"{self._spelled(*head)}[{self._written(inner)}, ...]"
            case (_, name), [_, *_] if name in _ARGUMENTS and _ARGUMENTS[name] in (None, len(arguments)):
                return f"{self._spelled(*head)}[{', '.join(map(self._written, arguments))}]"
            case _:
                raise _Unwritable

    def _spelled(self, module: str, name: str) -> str:
        """The name of something, imported so that nothing else in the module has its name."""
        match module:
            case "builtins":
                spelled, line = name, None
            case "typing" | "collections.abc":
                spelled, line = name, f"from {module} import {name}"
            case "pellucid":
                spelled, line = f"pb.{name}", "import pellucid as pb"
            case _:
                spelled, line = f"{module}.{name}", f"import {module}"
        if spelled.partition(".")[0] in self._taken:
            alias = f"_{module.replace('.', '_')}"  # no method and no interface has such a name
            spelled, line = f"{alias}.{name}", f"import {module} as {alias}"
        if line is not None:
            self.imports.add(line)
        return spelled


def _known(node: ast.expr) -> Known:
    match node:
        case ast.Name(name):
            module = None
        case ast.Attribute(value, name):
            module = ".".join(_path(value))
        case _:
            raise _Unwritable
    known = _NAMES.get(name)
    if known is None or (module is not None and module not in _MODULES):
        raise _Unwritable
    return known


def _path(node: ast.expr) -> list[str]:
    match node:
        case ast.Name(name):
            return [name]
        case ast.Attribute(ast.Name(first), name):
            return [first, name]
        case _:
            raise _Unwritable


def _literal(node: ast.expr) -> str:
    match node:
        case ast.Constant(None | bool() | int() | str() as value):
            return ascii(value)
        case ast.UnaryOp(ast.USub(), ast.Constant(int(value))):
            return f"-{value}"
        case _:
            raise _Unwritable


def _is_writable(name: str) -> bool:
    return name.isascii() and name.isidentifier() and not iskeyword(name) and not name.startswith("__")


def _class_name(name: str) -> str:
    name = name.lstrip("_")
    return name if _is_writable(name) else "Unnamed"


def _docstring(text: str) -> str:
    text = clean(" ".join(text.split()), MOST_IN_A_DOC).replace("\\", "\\\\").replace('"', '\\"')
    return f'"""{text or "Nothing is told of it."}"""'
