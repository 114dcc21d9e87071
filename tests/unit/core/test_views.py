"""Views: what is called through them, what comes back as one, and what is sent for one."""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Generic, NewType, TypeVar, overload

import pytest

import pellucid as pb
from pellucid.core.views import Seeable, View, Viewed, bare, view_of
from pellucid.errors import DeadReferenceError, ForeignReference, InsecureJelly, NotAReference
from tests.dialects import each_dialect, over
from tests.pair import Desk, Pair, Promise

if TYPE_CHECKING:
    from decimal import Decimal  # as a program does that needs a name for its annotations alone

pytestmark = each_dialect

T = TypeVar("T", covariant=True)


class Account(pb.Interface):
    async def balance(self) -> int: ...

    async def self(self) -> Account: ...  # an interface may name itself


class Bank(pb.Interface):
    """What a bank does."""

    async def open(self, owner: str, *, amount: int = ...) -> Account:
        """Open an account."""
        ...

    async def echo(self, thing: Any) -> Any: ...

    async def find(self, owner: str) -> Account | None: ...

    async def all(self) -> dict[str, Account]: ...

    async def ranked(self) -> list[tuple[int, Account]]: ...

    async def by_age(self) -> Annotated[Mapping[str, tuple[Account, ...]], "by owner"]: ...

    async def transfer(self, amount: int, source: Account, target: Account | None = None) -> int: ...

    async def price(self) -> Decimal: ...

    async def card(self) -> Missing: ...  # type: ignore[name-defined]  # noqa: F821

    @overload
    async def get(self, what: int) -> int: ...

    @overload
    async def get(self, what: str) -> Account: ...


class ServedAccount(pb.Referenceable):
    def __init__(self, amount: int) -> None:
        self.amount = amount

    def remote_balance(self) -> int:
        return self.amount

    def remote_self(self) -> ServedAccount:
        return self


class ServedBank(Desk):
    def __init__(self) -> None:
        super().__init__()
        self.account = ServedAccount(100)

    def remote_open(self, owner: str, **kwargs: int) -> ServedAccount:
        self.kept.append((owner, kwargs))
        return self.account

    def remote_find(self, owner: str) -> ServedAccount | None:
        return self.account if owner == "alice" else None

    def remote_all(self) -> dict[str, ServedAccount]:
        return {"alice": self.account}

    def remote_ranked(self) -> list[tuple[int, ServedAccount]]:
        return [(1, self.account)]

    def remote_by_age(self) -> dict[str, tuple[ServedAccount, ...]]:
        return {"alice": (self.account, self.account)}

    def remote_transfer(self, *accounts: Any, **named: Any) -> int:
        self.kept += [*accounts, *named.values()]
        return 5

    def remote_price(self) -> int:
        return 7

    def remote_card(self) -> ServedAccount:
        return self.account

    def remote_get(self, what: Any) -> Any:
        return what if isinstance(what, int) else self.account


INTERFACES: dict[Any, Any] = {Account: Account, Bank: Bank}
"""Themselves; to type checkers they are protocols, of which nothing is an instance."""


class Scene:
    """A bank, and a view of it."""

    def __init__(self) -> None:
        self.served = ServedBank()
        self.pair = Pair(self.served)
        self.root = self.pair.root
        self.bank = self.root.as_(Bank)

    def result(self, call: Any) -> Any:
        """What a call through a view comes to."""
        self.pair.pump()
        if not isinstance(call, Viewed):
            return call.result()
        assert isinstance(call.promise, Promise)
        return call._convert(call.promise.result())


def test_a_method_of_a_view_is_a_call_of_that_name() -> None:
    scene = Scene()
    assert scene.result(scene.bank.echo([1, "two"])) == [1, "two"]
    assert scene.pair.server.calls == ["echo"]


def test_a_call_through_a_view_is_a_call_like_any_other() -> None:
    scene = Scene()
    call: Any = scene.bank.echo("hi")
    assert isinstance(call, pb.Call)


def test_what_is_left_out_is_not_sent() -> None:
    scene = Scene()
    scene.result(scene.bank.open("alice"))
    scene.result(scene.bank.open("bob", amount=5))
    assert scene.served.kept == [("alice", {}), ("bob", {"amount": 5})]


def test_a_view_of_a_dead_reference_raises_at_once() -> None:
    scene = Scene()
    scene.pair.cut()
    with pytest.raises(DeadReferenceError):
        scene.result(scene.bank.echo("hi"))


def test_a_view_is_an_instance_of_its_interface_and_has_its_docstrings() -> None:
    bank: Any = Scene().bank
    assert issubclass(type(bank), INTERFACES[Bank])
    assert type(bank).__doc__ == "What a bank does."
    assert type(bank).open.__doc__ == "Open an account."
    assert type(bank).open.__qualname__ == "Bank.open"


def test_all_views_of_an_interface_have_one_class() -> None:
    scene = Scene()
    account: Any = scene.root.as_(Account)
    assert type(scene.bank) is type(Scene().bank)
    assert type(scene.bank) is not type(account)


def test_views_are_equal_where_their_references_are() -> None:
    scene = Scene()
    account, other, root = scene.result(scene.bank.open("alice")), scene.root.as_(Account), scene.root
    views: list[Any] = [scene.bank, scene.root.as_(Bank), other]
    assert views[0] == views[1] == views[2]
    assert account != scene.bank
    assert len({scene.bank, scene.root.as_(Bank), account}) == 2
    assert views[0] != root


def test_a_view_says_what_it_is_of() -> None:
    assert repr(Scene().bank) == "<Bank view of <RemoteReference root alive>>"


def test_a_view_gives_its_reference_back() -> None:
    scene = Scene()
    assert pb.reference_of(scene.bank) is scene.root
    assert pb.reference_of(scene.root.call_with(timeout=5).as_(Bank)) is scene.root


@pytest.mark.parametrize("thing", ["text", ServedBank(), Bank], ids=["text", "object", "interface"])
def test_what_is_no_view_has_no_reference(thing: object) -> None:
    with pytest.raises(TypeError, match="is no view of a reference"):
        pb.reference_of(thing)


@pytest.mark.parametrize("thing", [int, ServedBank, pb.Interface, "Bank", None, list[int]])
def test_nothing_but_an_interface_is_what_a_reference_can_be_seen_as(thing: Any) -> None:
    with pytest.raises(TypeError, match=r"is no interface: give as_ a class that derives from pellucid\.Interface"):
        Scene().root.as_(thing)


def test_a_view_keeps_its_object_as_a_reference_does() -> None:
    scene = Scene()
    account = scene.result(scene.bank.open("alice"))
    scene.pair.settle()
    assert len(scene.pair.server.broker.books.exports) == 1
    assert scene.result(account.balance()) == 100
    del account
    gc.collect()
    scene.pair.settle()
    assert len(scene.pair.server.broker.books.exports) == 0


# Options.


def test_options_hold_for_each_call_through_a_view() -> None:
    scene = Scene()
    call: Any = scene.root.call_with(timeout=5.0).as_(Bank).echo("hi")
    assert call.deadline == 5.0


def test_a_view_is_of_its_reference_even_where_that_is_falsy() -> None:
    class Empty(Seeable):
        def __len__(self) -> int:
            return 0

    reference: Any = Empty()
    assert pb.reference_of(view_of("options", Account, reference)) is reference


def test_a_view_of_one_way_calls_would_promise_results_that_never_come() -> None:
    with pytest.raises(TypeError, match="one-way calls have none"):
        Scene().root.call_with(one_way=True).as_(Bank)


# Results.


def test_a_result_that_is_annotated_as_an_interface_is_a_view_of_it() -> None:
    scene = Scene()
    account = scene.result(scene.bank.open("alice"))
    assert isinstance(account, INTERFACES[Account])
    assert scene.result(account.balance()) == 100
    assert scene.result(account.self()) == account


def test_none_of_an_optional_interface_is_none() -> None:
    scene = Scene()
    assert isinstance(scene.result(scene.bank.find("alice")), View)
    assert scene.result(scene.bank.find("bob")) is None


def test_interfaces_inside_containers_are_views() -> None:
    scene = Scene()
    account = scene.root.call("open", "alice")
    scene.pair.pump()
    assert isinstance(account, Promise)
    view = account.result().as_(Account)
    assert scene.result(scene.bank.all()) == {"alice": view}
    assert scene.result(scene.bank.ranked()) == [(1, view)]
    assert scene.result(scene.bank.by_age()) == {"alice": (view, view)}


def test_a_result_that_is_no_reference_is_left_as_it_came() -> None:
    scene = Scene()
    assert scene.result(scene.bank.get(5)) == 5
    assert isinstance(scene.result(scene.bank.get("card")), View)


def test_an_annotation_that_only_a_type_checker_knows_does_no_harm_where_no_reference_comes() -> None:
    scene = Scene()
    assert scene.result(scene.bank.price()) == 7


def test_a_reference_whose_interface_is_not_known_is_an_error_that_says_why() -> None:
    scene = Scene()
    with pytest.raises(TypeError, match=r"Bank\.card returned a reference, and its annotation 'Missing' names nothing"):
        scene.result(scene.bank.card())


def test_a_result_that_may_be_one_of_two_interfaces_is_refused_before_any_call() -> None:
    class Torn(pb.Interface):
        async def find(self) -> Account | Bank: ...

    with pytest.raises(TypeError, match=r"Torn\.find may return one of several interfaces"):
        Scene().root.as_(Torn)


class Box(pb.Interface, Generic[T]):
    async def open(self, owner: str) -> T: ...


class AccountBox(Box[Account], pb.Interface):
    async def echo(self, thing: Any) -> Any: ...


def test_what_a_type_variable_stands_for_decides() -> None:
    scene = Scene()
    assert isinstance(scene.result(scene.root.as_(Box[Account]).open("alice")), View)
    assert isinstance(scene.result(scene.root.as_(AccountBox).open("alice")), View)
    assert isinstance(scene.result(scene.root.as_(Box[Any]).open("alice")), pb.RemoteReference)
    assert isinstance(scene.result(scene.root.as_(Box).open("alice")), pb.RemoteReference)


def made_of(program: str) -> Any:
    """The interface Named of a program."""
    names: dict[str, Any] = {"pb": pb, "Account": Account, "Bank": Bank, "NewType": NewType, "__name__": "named"}
    exec(compile(program, "named.py", "exec", dont_inherit=True), names)
    return names["Named"]


NAMED = {
    "as another": "Name = Account",
    "as an optional one": "Name = Account | None",
    "new type": "Name = NewType('Name', Account)",
    "new type of a new type": "Name = NewType('Name', NewType('Inner', Account))",
}
NAMED_SINCE_312 = {
    "statement": "type Name = Account | None",
    "statement of a statement": "type Inner = Account\ntype Name = Inner",
    "generic": "type Maybe[T] = T | None\nName = Maybe[Account]",
    "generic that is what it is given": "type Same[T] = T\nName = Same[Account]",
    "some of its parameters": "type Second[A, B] = B | None\nName = Second[Bank, Account]",
    "generic in itself": "type Maybe[T] = T | None\nName = Maybe[Maybe[Account]]",
}
since_312 = pytest.mark.skipif(sys.version_info < (3, 12), reason="the statement is new in Python 3.12")


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, id=said) for said, name in NAMED.items()),
        *(pytest.param(name, id=said, marks=since_312) for said, name in NAMED_SINCE_312.items()),
    ],
)
def test_a_name_for_an_interface_is_as_good_as_the_interface(name: str) -> None:
    scene = Scene()
    scene.bank = scene.root.as_(
        made_of(f"""{name}
class Named(pb.Interface):
    async def open(self, owner: str) -> Name: ...
    async def ranked(self) -> list[tuple[int, Name]]: ...
    async def transfer(self, amount: int, source: Name) -> int: ...
""")
    )
    account = scene.result(scene.bank.open("alice"))
    assert isinstance(account, INTERFACES[Account])
    assert scene.result(scene.bank.ranked()) == [(1, account)]
    scene.result(scene.bank.transfer(5, pb.promised(scene.bank.open("alice"))))
    assert scene.served.kept[-1] is scene.served.account


@since_312
def test_a_name_that_is_part_of_itself_is_no_matter_where_no_interface_is_in_it() -> None:
    scene = Scene()
    scene.bank = scene.root.as_(
        made_of("""
type Json = None | int | list[Json]
class Named(pb.Interface):
    async def echo(self, thing: Json) -> Json: ...
    async def ranked(self) -> list[tuple[Json, Account]]: ...
""")
    )
    assert scene.result(scene.bank.echo([1, [None]])) == [1, [None]]
    [(number, account)] = scene.result(scene.bank.ranked())
    assert number == 1
    assert isinstance(account, View)


@since_312
def test_a_name_that_is_part_of_itself_and_has_an_interface_in_it_is_refused_before_any_call() -> None:
    interface = made_of("""
type Tree = Account | list[Tree]
class Named(pb.Interface):
    async def open(self) -> Tree: ...
""")
    with pytest.raises(TypeError, match=r"Named\.open returns Tree, which is part of itself"):
        Scene().root.as_(interface)


@since_312
def test_a_name_for_what_only_a_type_checker_knows_is_an_error_where_a_reference_comes() -> None:
    scene = Scene()
    scene.bank = scene.root.as_(
        made_of("""
type Name = Missing | None
class Named(pb.Interface):
    async def price(self) -> Name: ...
    async def card(self) -> Name: ...
""")
    )
    assert scene.result(scene.bank.price()) == 7
    with pytest.raises(TypeError, match=r"Named\.card returned a reference, and its annotation Name names nothing"):
        scene.result(scene.bank.card())


def test_a_tuple_of_no_places_beside_an_interface_does_no_harm() -> None:
    class Empty(pb.Interface):
        async def echo(self, thing: Any) -> tuple[tuple[()], Account]: ...

        async def all(self) -> tuple[()]: ...

    scene = Scene()
    empty = scene.root.as_(Empty)
    account = scene.result(scene.bank.open("alice"))
    assert scene.result(empty.echo(((), pb.reference_of(account)))) == ((), account)
    assert not isinstance(empty.all(), Viewed)


# Arguments.


def test_a_view_arrives_at_its_owner_as_the_object() -> None:
    scene = Scene()
    account = scene.result(scene.bank.open("alice"))
    scene.served.kept.clear()
    scene.result(scene.bank.transfer(1, account, target=account))
    scene.result(scene.root.call("keep", account, [account, {"it": account}]))
    home = scene.served.account
    assert scene.served.kept == [1, home, home, home, [home, {"it": home}]]


def test_a_view_cannot_be_given_to_a_third_party() -> None:
    scene, other = Scene(), Scene()
    with pytest.raises(ForeignReference):
        scene.result(scene.bank.echo(other.bank))


def test_a_result_is_a_view_where_a_method_gives_one_back() -> None:
    class Keeper(pb.Root):
        def remote_keep(self, bank: pb.RemoteReference) -> None:
            self.bank = bank.as_(Bank)

        def remote_give(self) -> Bank:
            return self.bank

        def remote_take(self, thing: object) -> bool:
            return isinstance(thing, pb.RemoteReference)

    pair, desk = Pair(Keeper()), Desk()
    pair.call(pair.root, "keep", desk)
    assert pair.call(pair.root, "give") is desk
    given = pair.root.call("take", pair.root.call("give"))
    pair.pump()
    assert isinstance(given, Promise)
    assert given.result() is True


# Promises.


def test_what_a_call_will_result_in_can_be_called_before_it_has() -> None:
    scene = Scene()
    assert scene.result(pb.promised(scene.bank.open("alice")).balance()) == 100


@over("pellucid")
def test_a_chain_through_views_is_one_round_trip() -> None:
    scene = Scene()
    scene.pair.to_client.held = True
    call: Any = pb.promised(pb.promised(scene.bank.open("alice")).self()).balance()
    scene.pair.pump()
    assert scene.pair.server.calls == ["open", "self", "balance"]
    scene.pair.to_client.held = False
    assert scene.result(call) == 100


def test_a_promise_stands_for_its_result_where_an_interface_is_expected() -> None:
    scene = Scene()
    account = pb.promised(scene.bank.open("alice"))
    assert scene.result(scene.bank.transfer(1, account, target=account)) == 5
    assert scene.served.kept[1:] == [1, scene.served.account, scene.served.account]


def test_a_call_of_a_view_is_an_argument_of_a_call_through_a_view() -> None:
    scene = Scene()
    opened: Any = scene.bank.open("alice")
    assert scene.result(scene.bank.transfer(1, opened)) == 5
    assert scene.served.kept[-1] is scene.served.account


def test_a_promise_elsewhere_is_refused_and_nothing_sent() -> None:
    scene = Scene()
    account = pb.promised(scene.bank.open("alice"))
    with pytest.raises(InsecureJelly, match="is a promise: await its call first"):
        scene.result(scene.bank.echo([account]))
    assert "echo" not in scene.pair.server.calls


def test_a_promise_of_nothing_is_found_out_when_it_is_called() -> None:
    scene = Scene()
    found: Any = pb.promised(scene.bank.find("bob"))
    with pytest.raises(NotAReference):
        scene.result(found.balance())


def test_a_promise_has_no_reference_yet() -> None:
    scene = Scene()
    account = pb.promised(scene.bank.open("alice"))
    with pytest.raises(TypeError, match="the reference is not known yet: await the call of 'open' first"):
        pb.reference_of(account)


def test_what_results_in_no_interface_promises_none() -> None:
    scene = Scene()
    echoed, several = scene.bank.echo("hi"), scene.bank.all()
    with pytest.raises(TypeError, match="the call of 'echo' is not a call of a view's method"):
        pb.promised(echoed)
    with pytest.raises(TypeError, match="'all' results in more than one object: await it first"):
        pb.promised(several)
    with pytest.raises(TypeError, match="a str is not a call"):
        pb.promised("hi")  # type: ignore[arg-type]


def test_a_call_for_a_view_can_be_given_up_and_asked_whether_it_is_done() -> None:
    scene = Scene()
    call: Any = scene.bank.open("alice")
    assert not call.done
    call.cancel()
    assert call.done
    assert call.promise.given_up


def test_a_call_for_a_view_has_its_result_called_by_name_too() -> None:
    scene = Scene()
    call: Any = scene.bank.open("alice")
    assert scene.result(call.call("balance")) == 100
    assert repr(call) == f"<Viewed {call.promise!r}>"


def test_what_is_no_view_is_sent_as_it_is() -> None:
    root = Scene().root
    assert bare(root) is root
