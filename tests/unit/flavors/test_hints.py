"""Whether two annotations contradict each other; where in doubt, they don't."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, List, Literal, NewType, TypeVar, Union  # noqa: UP035 - these are met, too

import pytest

import pellucid as pb
from pellucid.flavors.hints import UNRESOLVED, contradict, resolve_known, text_of

T = TypeVar("T")
Name = NewType("Name", str)
OPTIONAL: Any = Union[int, None]  # noqa: UP007 - as above


class Copy(pb.Copyable):
    pass


CONTRADICT: list[tuple[Any, Any]] = [
    (str, int),
    (int, str),
    (float, int),
    (str, bytes),
    (int, bool),
    (type(None), str),
    (OPTIONAL, int),
    (int | str, int),
    (str, int | bytes),
    (list[str], list[int]),
    (list[str], tuple[str, ...]),
    (List[int], dict),  # noqa: UP006
    (dict[str, int], dict[str, str]),
    (dict[str, int], Mapping[int, int]),
    (tuple[int, str], tuple[int, int]),
    (tuple[int, ...], tuple[str, ...]),
    (Sequence[int], list[int]),
    (list[list[str]], list[list[int]]),
    (Name, int),
    (Annotated[str, "text"], int),
    (Literal["a"], int),
    (str, Literal[1]),
    (datetime.date, datetime.datetime),
    (str, type(None)),
]

AGREE: list[tuple[Any, Any]] = [
    (int, int),
    (bool, int),
    (int, float),
    (bool, float),
    (int, complex),
    (int, object),
    (object, int),
    (Any, int),
    (int, Any),
    (UNRESOLVED, int),
    (int, UNRESOLVED),
    (T, int),
    (int, T),
    (int, int | None),
    (int, OPTIONAL),
    (list[int], list[float]),
    (list[int], list),
    (list, list[int]),
    (list[int], Sequence[int]),
    (list[Any], Iterable[int]),
    (dict[str, int], Mapping[str, float]),
    (tuple[int, int], tuple[int, ...]),
    (tuple[int, ...], tuple[int, int]),
    (tuple[int, int], tuple[int, int, int]),
    (str, Sequence[str]),
    (Copy, int),
    (int, Copy),
    (Copy, str | int),
    (Name, str),
    (str, Name),
    (str, Literal["a"]),
    (Literal["a"], str),
    (datetime.datetime, datetime.date),
    (pb.RemoteReference, str),
    ([int], str),
    (str, {"a": int}),
    (int | str, bytearray()),
]


@pytest.mark.parametrize(("given", "accepted"), CONTRADICT, ids=str)
def test_types_of_which_one_is_never_the_other_contradict(given: Any, accepted: Any) -> None:
    assert contradict(given, accepted)


@pytest.mark.parametrize(("given", "accepted"), AGREE, ids=str)
def test_types_of_which_one_may_be_the_other_do_not(given: Any, accepted: Any) -> None:
    assert not contradict(given, accepted)


def test_an_annotation_means_what_its_module_says() -> None:
    assert resolve_known("Copy", test_an_annotation_means_what_its_module_says, Copy) is Copy
    assert resolve_known("list['Copy']", test_an_annotation_means_what_its_module_says, Copy) == list[Copy]
    assert resolve_known("None", test_an_annotation_means_what_its_module_says, Copy) is type(None)


@pytest.mark.parametrize("text", ["Missing", "1 / 0", "not python", "Copy.missing", "list[Missing]"])
def test_an_annotation_that_means_nothing_is_unresolved(text: str) -> None:
    assert resolve_known(text, test_an_annotation_that_means_nothing_is_unresolved, Copy) is UNRESOLVED


TEXTS: list[tuple[Any, str]] = [
    (int, "int"),
    ("Shop", "Shop"),
    (None, "None"),
    (type(None), "None"),
    (Copy, "Copy"),
    (list[int], "list[int]"),
    (List["Copy"], "list[Copy]"),  # noqa: UP006
    (dict[str, Copy | None], "dict[str, Copy | None]"),
    (OPTIONAL, "int | None"),
    (tuple[int, ...], "tuple[int, ...]"),
    (Mapping[str, Sequence[datetime.date]], "Mapping[str, Sequence[date]]"),
    (Callable[[int], Copy], "Callable[[int], Copy]"),
    (Annotated[int, "metres"], "int"),
    (Literal["a.b", 5], "Literal['a.b', 5]"),
    (Any, "Any"),
]


@pytest.mark.parametrize(("annotation", "text"), TEXTS, ids=map(str, range(len(TEXTS))))
def test_an_annotation_is_shown_by_the_names_of_its_classes(annotation: Any, text: str) -> None:
    assert text_of(annotation) == text
