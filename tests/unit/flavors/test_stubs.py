"""Source text of interfaces: what it says, and that nothing a peer can tell makes it do anything."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pellucid as pb
from pellucid.flavors.describing import Description, MethodDescription, ParameterDescription, parse_description


class Shop(pb.Interface):
    """Sells things."""

    async def order(self, item: str, /, count: int = 1, *rest: bytes, fast: bool = False) -> float:
        """Order something."""
        ...

    async def look(self, at: Mapping[str, Sequence[int]] | None = None) -> list[tuple[int, ...]]: ...

    async def open(self, way: Literal["door", "window"]) -> pb.RemoteReference: ...


def test_an_interface_is_written_as_one_would_write_it() -> None:
    assert pb.interface_source(Shop) == (
        '"""Interfaces, as they were described: Shop."""\n'
        "\n"
        "from __future__ import annotations\n"
        "\n"
        "from collections.abc import Mapping\n"
        "from collections.abc import Sequence\n"
        "from typing import Literal\n"
        "\n"
        "import pellucid as pb\n"
        "\n"
        "\n"
        "class Shop(pb.Interface):\n"
        '    """Sells things."""\n'
        "\n"
        "    async def look(self, at: Mapping[str, Sequence[int]] | None = ...) -> list[tuple[int, ...]]:\n"
        "        ...\n"
        "\n"
        "    async def open(self, way: Literal['door', 'window']) -> pb.RemoteReference:\n"
        "        ...\n"
        "\n"
        "    async def order(self, item: str, /, count: int = ..., *rest: bytes, fast: bool = ...) -> float:\n"
        '        """Order something."""\n'
        "        ...\n"
    )


def test_what_is_written_is_an_interface_that_implements_what_it_was_made_from() -> None:
    made = run(pb.interface_source(Shop))["Shop"]

    class Served(pb.Root, implements=made):
        def remote_order(self, item: str, /, count: int = 1, *rest: bytes, fast: bool = False) -> float:
            return 0.5

        def remote_look(self, at: Any = None) -> Any: ...

        def remote_open(self, way: str) -> Any: ...

    pb.check_implements(Served)


def test_several_go_into_one_module_and_must_have_names_of_their_own() -> None:
    class Other(pb.Root):
        def remote_order(self) -> None: ...

    assert {"Shop", "Other"} <= run(pb.interface_source(Shop, Other)).keys()
    with pytest.raises(ValueError, match="two interfaces of one name in one module: Shop, Shop"):
        pb.interface_source(Shop, Shop)


def described(*methods: MethodDescription, name: str = "Shop", doc: str = "") -> Description:
    return Description(name, doc, methods)


def method(name: str = "order", annotation: str | None = None, **changes: Any) -> MethodDescription:
    fields: dict[str, Any] = {"name": "item", "kind": "positional_or_keyword", "default": None}
    parameter = ParameterDescription(annotation=annotation, **fields | changes.pop("parameter", {}))
    whole: dict[str, Any] = {"name": name, "doc": "", "parameters": (parameter,), "returns": None}
    return MethodDescription(**whole | changes)


def run(source: str) -> dict[str, Any]:
    """What a module of that text holds, after it was found to do nothing."""
    check_is_inert(source)
    module: dict[str, Any] = {"__name__": "made"}
    exec(compile(source, "made.py", "exec", dont_inherit=True), module)
    return module


IMPORTED = ("__future__", "builtins", "collections.abc", "datetime", "decimal", "pellucid", "typing", "uuid")
HARMLESS = (ast.Name, ast.Attribute, ast.Subscript, ast.Tuple, ast.BinOp, ast.BitOr, ast.Constant, ast.UnaryOp)
CONTEXT = (ast.USub, ast.Load)


def check_is_inert(source: str) -> None:
    """Nothing but imports that were foreseen, and classes of `async def` without anything to run."""
    module = ast.parse(source)
    assert ast.get_docstring(module, clean=False)
    for statement in module.body[1:]:
        match statement:
            case ast.Import(names=names):
                assert all(name.name in IMPORTED for name in names)
            case ast.ImportFrom(module=name):
                assert name in IMPORTED
            case ast.ClassDef(bases=[ast.Attribute(ast.Name("pb" | "_pellucid"), "Interface")]):
                assert not statement.keywords
                assert not statement.decorator_list
                check_body(statement.body)
            case _:
                raise AssertionError(ast.dump(statement))


def check_body(body: list[ast.stmt]) -> None:
    for statement in body:
        match statement:
            case ast.Expr(ast.Constant()):
                pass
            case ast.AsyncFunctionDef(args=args, decorator_list=[], body=inner, returns=returns):
                check_body(inner)
                assert not any(isinstance(each, ast.AsyncFunctionDef) for each in inner)
                assert all(isinstance(each, ast.Constant) and each.value is ... for each in args.defaults)
                assert all(isinstance(each, ast.Constant) and each.value is ... for each in args.kw_defaults if each)
                everything = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
                for annotation in [returns, *(each.annotation for each in everything if each)]:
                    assert all(
                        isinstance(each, HARMLESS + CONTEXT) for each in ast.walk(annotation or ast.Constant(None))
                    )
            case _:
                raise AssertionError(ast.dump(statement))


WRITTEN = {
    "int": "int",
    " int ": "int",
    "int # \n": "int",
    "list": "list",
    "None": "None",
    "'int'": "int",
    "Optional[int]": "int | None",
    "typing.Optional[int]": "int | None",
    "Union[int, str]": "int | str",
    "List[int]": "list[int]",
    "Annotated[int, 'metres']": "int",
    "dict[str, Any]": "dict[str, Any]",
    "tuple[int, str]": "tuple[int, str]",
    "collections.abc.Sequence[int]": "Sequence[int]",
    "datetime.datetime": "datetime.datetime",
    "datetime": "datetime.datetime",
    "Decimal": "decimal.Decimal",
    "uuid.UUID": "uuid.UUID",
    "pb.Referenceable": "pb.RemoteReference",
    "Literal[-1, 'a', None, True]": "Literal[-1, 'a', None, True]",
}


@pytest.mark.parametrize(("told", "written"), WRITTEN.items(), ids=WRITTEN.keys())
def test_well_known_types_are_written_anew(told: str, written: str) -> None:
    source = pb.interface_source(described(method(annotation=told)))
    assert f"(self, item: {written}) -> Any:" in source
    run(source)


EVIL = [
    "__import__('os').system('true')",
    "int); __import__('os'); (",
    "int\n    import os",
    "int = __import__('os')",
    "int, other: str",
    "(lambda: 1)()",
    "[x for x in ()]",
    "f'{1}'",
    "int if 1 else str",
    "Literal[__import__('os')]",
    "Literal[f'{1}']",
    "Literal[b'x', 1.5]",
    "list[__import__('os')]",
    "Annotated[__import__('os'), 5]",
    "os.system",
    "builtins.int.__class__",
    "a.b.c.int",
    "int.int.int.int",
    "list[int, str]",
    "dict[int]",
    "tuple[()]",
    "tuple[...]",
    "Optional",
    "Optional[int, str]",
    "Union[()]",
    "Shop",
    "int[str]",
    "-1",
    "(" * 199,
    "[" * 100 + "]" * 100,
    "int | " * 30 + "x" * 30,
    "'" + "\\'" * 50 + "'",
    "\x00",
    "\ud800",
    "# type: ignore",
    "'''",
    "x" * 100_000,
    "",
    "\\",
    "0" * 190,
    "await x",
    "yield",
    "x := 1",
    "*args",
]


@pytest.mark.parametrize("text", EVIL, ids=lambda text: ascii(text[:40]))
def test_an_annotation_of_any_other_kind_is_object_and_its_text_inert(text: str) -> None:
    source = pb.interface_source(
        described(method(annotation=text, returns=text, doc=text, parameter={"default": text}), doc=text)
    )
    assert "(self, item: object = ...) -> object:" in source
    assert f"# item: {clean_as_told(text)!a}" in source
    made = run(source)
    assert set(made) - {"__builtins__", "__name__", "__doc__", "annotations", "pb"} == {"Shop"}


def clean_as_told(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:200])


QUOTES = ['"""', '\\"""', 'x"', '"""\nimport os\n"""', '\\\\"""', "{0}", "%s"]


@pytest.mark.parametrize("text", [*EVIL, *QUOTES], ids=lambda text: ascii(text[:40]))
def test_a_docstring_is_nothing_but_a_docstring(text: str) -> None:
    made = run(pb.interface_source(described(method(doc=text), doc=text)))["Shop"]
    wanted = " ".join("".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split())[:2000]).split())
    for written in (made.__doc__, made.order.__doc__):
        assert written in (wanted, None, "Nothing is told of it.") or written.split() == wanted.split()


@pytest.mark.parametrize(
    "changed",
    [
        method("import"),
        method("order\n    x = 1"),
        method("__init__"),
        method("_private"),
        method("remote_order"),
        method("jellyFor"),
        method("größe"),
        method(""),
        method("x(self): pass\n    async def y"),
        method(parameter={"name": "self"}),
        method(parameter={"name": "__debug__"}),
        method(parameter={"name": "größe"}),
        method(parameter={"name": "a=1, *, b"}),
        method(parameter={"name": "lambda"}),
    ],
    ids=lambda each: ascii(f"{each.name} {each.parameters[0].name}"),
)
def test_what_can_be_no_method_of_an_interface_is_left_out(changed: MethodDescription) -> None:
    source = pb.interface_source(described(changed, method("look")))
    made = run(source)["Shop"]
    assert "# Left out" in source
    assert [name for name in vars(made) if not name.startswith("_")] == ["look"]


@pytest.mark.parametrize("name", ["class", "größe", "X:\n  pass\nclass Y", "1", "", "__", "__debug__", "(x)"])
def test_a_class_that_has_no_name_to_write_is_unnamed(name: str) -> None:
    made = run(pb.interface_source(described(method(), name=name)))
    assert "Unnamed" in made or "debug__" in made


def test_private_classes_are_written_with_a_public_name() -> None:
    assert "Shop" in run(pb.interface_source(described(method(), name="_Shop")))


def test_a_method_named_as_a_type_hides_it_from_no_annotation() -> None:
    methods = [method(name, "dict[str, list[int]]", returns="Any") for name in ("list", "str", "Any", "pb")]
    methods.append(method("look", "datetime.date"))
    methods.append(method("datetime"))
    source = pb.interface_source(described(*methods))
    assert "item: dict[_builtins.str, _builtins.list[int]]) -> _typing.Any:" in source
    assert "item: _datetime.date" in source
    assert "class Shop(_pellucid.Interface):" in source
    run(source)


texts = st.text() | st.sampled_from(EVIL) | st.from_regex(r"[\w\[\], |.'\"()]{0,40}")
kinds = ["positional_only", "positional_or_keyword", "var_positional", "keyword_only", "var_keyword"]
parameters = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "self", "int", "__x", "é"]) | texts,
        "kind": st.sampled_from(kinds),
        "annotation": st.none() | texts,
        "default": st.none() | texts,
    }
)
methods = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["order", "list", "pb", "int", "async", "__x__"]) | texts,
        "doc": texts,
        "parameters": st.lists(parameters, max_size=3),
        "returns": st.none() | texts,
    }
)


@given(st.fixed_dictionaries({"name": st.sampled_from(["Shop", "pb", "Any"]) | texts, "doc": texts}), methods)
def test_whatever_a_peer_tells_the_text_does_nothing(whole: dict[str, Any], told: dict[str, Any]) -> None:
    try:
        parsed = parse_description({**whole, "methods": [told]})
    except pb.RemoteProtocolError:
        return
    run(pb.interface_source(parsed))


def test_a_module_made_from_lies_opens_and_starts_nothing(tmp_path: Path) -> None:
    attacks = [method(f"m{n}", text, doc=text, returns=text) for n, text in enumerate(EVIL)]
    file = tmp_path / "made.py"
    file.write_text(pb.interface_source(described(*attacks, doc='"""\nimport os')), encoding="utf-8")
    program = (
        "import pellucid as pb, sys; pb.Interface; import typing, datetime, decimal, uuid, collections.abc\n"
        f"source = compile(open({str(file)!r}).read(), 'made.py', 'exec')\n"
        "sys.addaudithook(lambda event, args: print(event, args) if event.split('.')[0] not in ('import', 'object', "
        "'sys', 'exec') and event != 'builtins.id' else None)\n"
        "exec(source)\n"
    )
    # Where coverage measures processes it opens files of its own.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True, env=unmeasured
    )
    assert ended.stdout == ""
