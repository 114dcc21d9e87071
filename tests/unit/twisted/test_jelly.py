"""jelly() and unjelly(), without a connection."""

from __future__ import annotations

import datetime
import types
import warnings
from typing import Any

import pytest

from pellucid.errors import InsecureJelly, LimitExceeded, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.twisted import banana, flavors, jelly
from pellucid.twisted._references import RemoteReference
from pellucid.twisted.interfaces import IJellyable, IUnjellyable
from tests.pair import Jelly

HERE = __name__


class Plain:
    x: Any
    shared: Any

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def method(self) -> Plain:
        return self


class Other(Plain):
    pass


class Slotted:
    __slots__ = ("x",)

    def __init__(self, x: int) -> None:
        self.x = x

    def __getstate__(self) -> Any:
        return {"x": self.x}

    def __setstate__(self, state: Any) -> None:
        self.x = state["x"]


class Delegating:
    """Asks another object for whatever it has not got."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


class Box(flavors.Copyable, flavors.RemoteCopy):
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    me: Any

    def getStateToCopy(self) -> Any:
        raise AssertionError("that is for connections")

    def setCopyableState(self, state: Any) -> None:
        raise AssertionError("that is for connections")


def function() -> None: ...


def options_for(*classes: type) -> jelly.SecurityOptions:
    options = jelly.SecurityOptions()
    options.allowInstancesOf(*classes)
    return options


def again(value: Any, **options: Any) -> Any:
    """`value`, to bytes and back."""
    return jelly.unjelly(banana.decode(banana.encode(jelly.jelly(value))), **options)


def message(reason: str) -> list[Any]:
    return [b"unpersistable", reason.encode()]


# Plain instances.


def test_an_instance_is_its_class_and_its_state() -> None:
    assert jelly.jelly(Plain(x=1)) == [f"{HERE}.Plain".encode(), [b"dictionary", [[b"unicode", b"x"], 1]]]


def test_an_instance_comes_back_without_its_init() -> None:
    one = Plain(x=1)
    one.shared = [one, one]
    copy = again(one)
    assert type(copy) is Plain
    assert copy.x == 1
    assert copy.shared[0] is copy.shared[1] is copy


def test_an_instance_of_slots_says_itself_what_its_state_is() -> None:
    assert again(Slotted(3)).x == 3


def test_an_instance_without_attributes_comes_back_too() -> None:
    assert vars(again(Plain())) == {}


def test_no_instance_is_asked_for_a_method_that_its_class_may_lack() -> None:
    assert again(Delegating(Plain(x=1))).x == 1


def test_the_old_form_of_an_instance_is_read_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="instance atom is deprecated"):
        copy = jelly.unjelly(["instance", ["class", f"{HERE}.Plain"], ["dictionary", ["x", 1]]])
    assert (type(copy), copy.x) == (Plain, 1)


@pytest.mark.parametrize(
    "expression", [[b"instance", 1, [b"dictionary"]], [b"method", b"method", 1, 2], [b"method", b"x", 1, [b"None"]]]
)
def test_an_instance_and_a_method_belong_to_a_class(expression: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InsecureJelly, match="no class"):
            jelly.unjelly(expression)


# Things by name, and methods.


@pytest.mark.parametrize("thing", [Plain, str, function, Plain.method, types])
def test_classes_functions_and_modules_come_back_as_themselves(thing: Any) -> None:
    assert again(thing) is thing


def test_a_bound_method_comes_back_bound_to_the_copy() -> None:
    method = again(Plain(x=1).method)
    assert method().x == 1


def test_an_inherited_method_comes_back_too() -> None:
    assert type(again(Other().method)()) is Other


def test_a_method_that_its_class_has_no_more_is_missed() -> None:
    expression = jelly.jelly(Plain().method)
    expression[1] = b"gone"
    with pytest.raises(TypeError, match="no method"):
        jelly.unjelly(expression)


# Placeholders.


def test_j14_what_the_options_do_not_allow_becomes_a_placeholder() -> None:
    expression = jelly.jelly([Plain(), 1], options_for(Other))
    assert expression == [b"list", message(f"instance of class {HERE}.Plain deemed insecure"), 1]
    (placeholder, one) = jelly.unjelly(expression, options_for(Other))
    assert isinstance(placeholder, jelly.Unpersistable)
    assert (placeholder.reason, one) == (f"Unpersistable data: instance of class {HERE}.Plain deemed insecure", 1)


def test_a_placeholder_is_shared_as_its_object_was() -> None:
    one = Plain()
    first, second = jelly.unjelly(jelly.jelly([one, one], options_for(Other)))
    assert first is second


@pytest.mark.parametrize(
    ("value", "match"),
    [
        ([Plain()], "Module .* not allowed"),
        ([function], "function may not cross"),
        ([types], "types"),
        (Plain().method, "method may not cross"),
    ],
)
def test_j13_the_reader_refuses_what_its_options_do_not_allow(value: Any, match: str) -> None:
    options = jelly.SecurityOptions()
    options.allowBasicTypes()
    options.allowTypes("class", "module")
    with pytest.raises(InsecureJelly, match=match):
        again(value, taster=options)


def test_an_allowed_class_opens_no_other_of_its_module() -> None:
    with pytest.raises(InsecureJelly, match="Other not allowed"):
        again([Plain(), Other()], taster=options_for(Plain))


@pytest.mark.parametrize(
    ("value", "tag"), [({1}, b"set"), ("a", b"unicode"), (None, b"None"), ([1], b"list"), ({}, b"dictionary")]
)
def test_a_type_that_is_no_more_allowed_is_refused_from_the_next_use_on(value: Any, tag: bytes) -> None:
    options = options_for()
    assert again(value, taster=options) == value
    del options.allowedTypes[tag]
    with pytest.raises(InsecureJelly, match=f"{tag.decode()} may not cross"):
        again(value, taster=options)


class NoLists:
    """Options of a program's own."""

    def isModuleAllowed(self, moduleName: Any) -> bool:
        return True

    def isClassAllowed(self, klass: Any) -> bool:
        return True

    def isTypeAllowed(self, typeName: Any) -> bool:
        return b"list" not in typeName and b"Other" not in typeName


@pytest.mark.parametrize("value", [{1: [2]}, Plain(x=[]), Other()])
def test_options_of_a_programs_own_are_asked_for_each_type(value: Any) -> None:
    with pytest.raises(InsecureJelly):
        jelly.jelly(value, NoLists())
    with pytest.raises(InsecureJelly, match="may not cross"):
        again(value, taster=NoLists())
    assert again({1: (2,)}, taster=NoLists()) == {1: (2,)}


def test_what_has_no_form_at_all_is_an_error_and_no_placeholder() -> None:
    with pytest.raises(InsecureJelly, match="time zone"):
        jelly.jelly(datetime.datetime.now(datetime.UTC))


# Objects kept elsewhere.


def test_j9_an_object_that_is_kept_elsewhere_is_written_as_its_id() -> None:
    kept = Plain(x=1)
    value = [kept, Other(inside=kept), kept]
    expression = jelly.jelly(value, persistentStore=lambda obj, jellier: "7" if obj is kept else None)
    assert expression[1] == [b"reference", 1, [b"persistent", "7"]]
    first, other, last = jelly.unjelly(expression, persistentLoad=lambda number, unjellier: {"7": kept}[number])
    assert first is other.inside is last is kept


def test_j9_without_a_way_to_load_it_there_is_a_placeholder() -> None:
    placeholder = jelly.unjelly([b"persistent", b"7"])
    assert placeholder.reason == "Persistent callback not found"


# Objects that write and read themselves.


class Selfish(jelly.Jellyable):
    def __init__(self, secret: Any) -> None:
        self.secret = secret

    def getStateFor(self, jellier: Any) -> Any:
        return {"told": self.secret}


class Reader(jelly.Unjellyable):
    state: Any

    def setStateFor(self, unjellier: Any, state: Any) -> None:
        self.state = state


class Own(jelly.Jellyable):
    """Writes its name and what it holds, in PB's way."""

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def jellyFor(self, jellier: Any) -> Any:
        expression = jellier.prepare(self)
        expression += [b"own", jellier.jelly(self.inside)]
        return jellier.preserve(self, expression)


class OwnReader(jelly.Unjellyable):
    inside: Any

    def unjellyFor(self, unjellier: Any, jellyList: Any) -> Any:
        self.inside = unjellier.unjelly(jellyList[1])
        return self


def test_a_jellyable_says_what_its_state_is_and_an_unjellyable_takes_it() -> None:
    jelly.setUnjellyableForClass(Selfish, Reader)
    assert again(Selfish(1)).state == {"told": 1}


def test_without_more_a_jellyable_is_its_attributes() -> None:
    class Simple(jelly.Jellyable):
        x = 0

    jelly.setUnjellyableForClass(Simple, jelly.Unjellyable)
    simple = Simple()
    simple.x = 5
    assert again(simple).x == 5


def test_a_jellyable_needs_no_leave_of_the_options() -> None:
    assert jelly.jelly(Selfish(1), jelly.SecurityOptions())[0] == f"{HERE}.Selfish".encode()


def test_objects_that_write_themselves_may_be_shared_and_part_of_themselves() -> None:
    jelly.setUnjellyableForClass("own", OwnReader)
    own = Own([])
    own.inside.append(own)
    first, second = again([own, own])
    assert first is second is first.inside[0]


def test_one_that_does_not_prepare_for_it_is_written_each_time() -> None:
    class Pair(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            return b"pair", 1

    pair = Pair()
    assert jelly.jelly([pair, pair]) == [b"list", [b"pair", 1], [b"pair", 1]]


def test_an_override_can_go_on_with_what_it_overrides() -> None:
    class Louder(Selfish):
        def jellyFor(self, jellier: Any) -> Any:
            return [b"louder", super().jellyFor(jellier)]

    state = [b"dictionary", [[b"unicode", b"told"], 1]]
    assert jelly.jelly(Louder(1)) == [b"louder", [f"{HERE}.Louder".encode(), state]]


def test_an_override_of_reading_can_go_on_with_what_it_overrides() -> None:
    class Counted(Reader):
        def unjellyFor(self, unjellier: Any, jellyList: Any) -> Any:
            return [super().unjellyFor(unjellier, jellyList).state]

    jelly.setUnjellyableForClass(Selfish, Counted)
    assert again(Selfish(1)) == [{"told": 1}]


def test_what_is_registered_may_be_anything_to_call() -> None:
    jelly.setUnjellyableForClass("pair", lambda unjellier, expression: unjellier.unjelly(expression[2]))
    assert jelly.unjelly([b"pair", 1, [b"list", 2]]) == [2]


def test_a_class_that_cannot_read_itself_is_called_too() -> None:
    class Taken:
        def __init__(self, unjellier: Any, expression: Any) -> None:
            self.expression = expression

    jelly.setUnjellyableForClass("taken", Taken)
    assert jelly.unjelly([b"taken", 1]).expression == [b"taken", 1]


def test_a_factory_is_called_with_the_state() -> None:
    jelly.setUnjellyableFactoryForClass("pairs", lambda state: sorted(state.items()))
    assert jelly.unjelly([b"pairs", [b"dictionary", [2, 1], [1, 2]]]) == [(1, 2), (2, 1)]


def test_j15_whatever_a_copy_is_made_by_is_told_when_all_is_there() -> None:
    told: list[Any] = []

    class Told(Plain):
        def postUnjelly(self) -> None:
            told.append(self.x)

    jelly.setUnjellyableFactoryForClass("made", lambda state: Told(x=state))
    jelly.setUnjellyableForClass("called", lambda unjellier, expression: Told(x=expression[1]))
    jelly.unjelly([b"list", [b"made", 1], [b"called", 2]])
    assert told == [1, 2]


def test_the_interfaces_are_provided() -> None:
    assert IJellyable.providedBy(flavors.Referenceable())
    assert IUnjellyable.providedBy(flavors.RemoteCopy())


# Flavors without a connection.


def test_f5_without_a_connection_a_copyable_is_a_plain_instance() -> None:
    jelly.setUnjellyableForClass(Box, Box)
    box = Box(x=1)
    box.me = box
    assert jelly.jelly(Box(x=1)) == [f"{HERE}.Box".encode(), [b"dictionary", [[b"unicode", b"x"], 1]]]
    copy = again(box)
    assert (type(copy), copy.x, copy.me) == (Box, 1, copy)


def test_a_copy_of_a_class_with_setstate_is_given_its_state_by_that() -> None:
    class Stateful(Box):
        def __setstate__(self, state: Any) -> None:
            self.state = state

    jelly.setUnjellyableForClass(Stateful, Stateful)
    assert again(Stateful(x=1)).state == {"x": 1}


def test_the_state_of_a_copy_is_a_dictionary() -> None:
    jelly.setUnjellyableForClass(Box, Box)
    with pytest.raises(RemoteProtocolError, match="not a dictionary"):
        jelly.unjelly([f"{HERE}.Box".encode(), [b"list", 1]])


def test_a_cacheable_and_its_copy_are_plain_instances_too() -> None:
    class Kept(flavors.Cacheable, flavors.RemoteCache):
        x = 0

    jelly.setUnjellyableForClass(Kept, Kept)
    kept = Kept()
    kept.x = 4
    assert again(kept).x == 4

    class Copy(flavors.RemoteCache):
        x = 0

    jelly.setUnjellyableForClass(Copy, Copy)
    copy = Copy()
    copy.x = 4
    assert again(copy).x == 4


def test_r3_a_reference_becomes_a_placeholder() -> None:
    reference = RemoteReference.made(Jelly().books, 1)
    assert jelly.jelly([reference]) == [b"list", message("References cannot be serialized")]


@pytest.mark.parametrize("thing", [flavors.Referenceable(), flavors.Viewable()])
def test_an_object_to_be_called_takes_a_connection(thing: Any) -> None:
    with pytest.raises(InsecureJelly, match=r"pb\.Broker"):
        jelly.jelly(thing)


@pytest.mark.parametrize("expression", [[b"remote", 1], [b"local", 1], [b"cached", 1], [b"lcache", 1]])
def test_what_stands_for_an_object_takes_a_connection_to_be_read(expression: Any) -> None:
    with pytest.raises(InsecureJelly, match=r"pb\.Broker"):
        jelly.unjelly(expression)


class Invoker:
    """An invoker that is no broker, such as tests of programs have."""

    serializingPerspective = "the perspective"

    def registerReference(self, obj: Any) -> int:
        return 5


def test_an_invoker_of_another_kind_says_what_stands_for_an_object() -> None:
    assert jelly.jelly(flavors.Referenceable(), invoker=Invoker()) == [b"remote", 5]


def test_it_says_who_sees_a_copyable() -> None:
    class Seen(flavors.Copyable):
        def getStateToCopyFor(self, perspective: Any) -> Any:
            return perspective

        def getTypeToCopyFor(self, perspective: Any) -> Any:
            return b"seen"

    assert jelly.jelly(Seen(), invoker=Invoker()) == [b"seen", [b"unicode", b"the perspective"]]


def test_what_it_was_told_of_is_forgotten_where_the_rest_cannot_be_written() -> None:
    with pytest.raises(InsecureJelly):
        jelly.jelly([flavors.Referenceable(), "\ud800"], invoker=Invoker())


@pytest.mark.parametrize("thing", [flavors.Cacheable(), RemoteReference.made(Jelly().books, 1)])
def test_such_an_invoker_knows_nothing_of_caches_and_references(thing: Any) -> None:
    with pytest.raises(InsecureJelly, match=r"pb\.Broker"):
        jelly.jelly(thing, invoker=Invoker())


# The state of instances, for hooks.


def test_the_state_of_an_instance_can_be_had_and_set_by_hooks() -> None:
    class Odd(jelly.Jellyable, jelly.Unjellyable):
        x = 0

        def jellyFor(self, jellier: Any) -> Any:
            return jelly.getInstanceState(self, jellier)

        def unjellyFor(self, unjellier: Any, jellyList: Any) -> Any:
            return jelly.setInstanceState(self, unjellier, jellyList)

    jelly.setUnjellyableForClass(Odd, Odd)
    odd = Odd()
    odd.x = 3
    odd.me = odd  # type: ignore[attr-defined]
    copy = again(odd)
    assert (type(copy), copy.x, copy.me) == (Odd, 3, copy)


def test_a_hook_can_write_a_placeholder() -> None:
    class Shy(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            return jellier.unpersistable("shy", [])

    assert jelly.jelly(Shy()) == message("shy")


def test_a_hook_is_told_of_the_options_and_the_invoker() -> None:
    seen: list[Any] = []

    class Curious(jelly.Jellyable):
        def jellyFor(self, jellier: Any) -> Any:
            seen.extend([jellier.taster, jellier.invoker, jellier.persistentStore])
            return [b"curious"]

    options, invoker = options_for(), Invoker()
    options.allowTypes("curious")
    jelly.setUnjellyableForClass("curious", lambda unjellier, _: seen.extend([unjellier.taster, unjellier.invoker]))
    jelly.unjelly(jelly.jelly(Curious(), options, None, invoker), options, None, invoker)
    assert seen == [options, invoker, None, options, invoker]


# Limits and names.


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(LimitExceeded):
        jelly.jelly(deep)


def test_shared_structure_is_bounded_unless_anything_is_allowed() -> None:
    inner = [0] * 1000
    expression = jelly.jelly([inner] * (Limits().expanded_elements // 1000 + 1))
    with pytest.raises(LimitExceeded):
        jelly.unjelly(expression, options_for())
    assert len(jelly.unjelly(expression)) * 1000 > Limits().expanded_elements


def test_tags_may_be_text_where_they_come_from_no_wire() -> None:
    assert jelly.unjelly(["list", ["tuple", 1]]) == [(1,)]


def test_what_is_no_expression_stands_for_itself() -> None:
    assert jelly.unjelly(Plain) is Plain


def test_the_atoms_are_the_tags() -> None:
    assert jelly.jelly([])[0] == jelly.list_atom
    assert jelly.jelly(None) == [jelly.None_atom]


def test_the_atom_of_old_instances_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match=r"jelly\.instance_atom was deprecated in Twisted 15\.0\.0"):
        assert jelly.instance_atom == b"instance"


def test_there_is_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        jelly.nothing  # noqa: B018 - asking is the point
