"""Whatever calls are made of whatever results, and however messages cross: they come to what they would one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.core.calls import Call
from pellucid.errors import Error, NotAReference
from pellucid.flavors.referenceable import Referenceable, Root
from tests.dialects import each_dialect
from tests.pair import Pair
from tests.unit.core.native import Later

pytestmark = each_dialect

ROOT = -1


class Broken(Error):
    """On purpose."""


@dataclass(frozen=True)
class Step:
    """A call: of an earlier call's result or of the root, with the results of others."""

    on: int
    kind: str
    args: tuple[int, ...]


@dataclass
class Oracle:
    """What calls come to one by one, in the order made."""

    results: list[Any] = field(default_factory=list)
    """A list, "box", or the classes of which one is raised: of several errors, the one that comes first."""

    def make(self, step: Step) -> None:
        on = "box" if step.on == ROOT else self.results[step.on]
        errors = set[type]()
        for value in (on, *(self.results[arg] for arg in step.args)):
            if isinstance(value, frozenset):
                errors |= value
        if isinstance(on, list):
            errors.add(NotAReference)
        if errors:
            self.results.append(frozenset(errors))
        elif step.kind in ("box", "box_later"):
            self.results.append("box")
        elif step.kind == "fail":
            self.results.append(frozenset({Broken}))
        else:
            self.results.append([self.results[arg] for arg in step.args])


class Box(Referenceable):
    """Notes the numbers of the calls that it runs."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.ran: list[int] = []
        table.boxes.append(self)

    def remote_box(self, number: int, *args: Any) -> Box:
        self.ran.append(number)
        return Box(self.table)

    async def remote_box_later(self, number: int, *args: Any) -> Box:
        self.ran.append(number)
        self.table.gates[number] = gate = Later()
        await gate
        return Box(self.table)

    def remote_fail(self, number: int, *args: Any) -> None:
        self.ran.append(number)
        raise Broken(str(number))

    def remote_list(self, number: int, *args: Any) -> Any:
        self.ran.append(number)
        return ["box" if isinstance(arg, Box) else arg for arg in args]

    async def remote_list_later(self, number: int, *args: Any) -> Any:
        self.ran.append(number)
        self.table.gates[number] = gate = Later()
        await gate
        return ["box" if isinstance(arg, Box) else arg for arg in args]


class Table(Box, Root):
    def __init__(self) -> None:
        self.boxes: list[Box] = []
        self.gates: dict[int, Later] = {}
        super().__init__(self)


steps = st.tuples(
    st.integers(0, 3),
    st.sampled_from(["box", "box", "box_later", "list", "list_later", "fail"]),
    st.lists(st.integers(0, 5), max_size=2),
)
events = st.one_of(
    steps,
    steps,
    st.sampled_from(["there", "back", "go on"]),
    st.integers(0, 5),  # open that gate
)


@settings(max_examples=150)
@given(plan=st.lists(events, max_size=40))
def test_calls_of_results_come_to_what_they_would_one_by_one(plan: list[Any]) -> None:
    table, oracle = Table(), Oracle()
    pair = Pair(table)
    pair.to_server.held = pair.to_client.held = True
    calls: list[Call] = []
    targets: dict[int, list[int]] = {}
    for event in plan:
        match event:
            case (on, kind, args):
                # Near the end of what there is, and often the root.
                on = ROOT if on >= len(calls) or on == 3 else len(calls) - 1 - on
                args = tuple(len(calls) - 1 - arg for arg in args if arg < len(calls))
                step = Step(on, kind, args)
                target = pair.root if on == ROOT else calls[on]
                targets.setdefault(on, []).append(len(calls))
                calls.append(target.call(kind, len(calls), *(calls[arg] for arg in args)))
                oracle.make(step)
            case "there":
                pair.flush()
                pair.to_server.deliver()
            case "back":
                pair.flush()
                pair.to_client.deliver()
            case "go on":
                pair.server.go_on()
            case number:
                closed = [gate for gate in table.gates.values() if not gate.is_there]
                if closed:
                    closed[number % len(closed)].is_there = True
    pair.to_server.held = pair.to_client.held = False
    for _ in range(len(calls) + 1):
        pair.pump()
        for gate in table.gates.values():
            gate.is_there = True
    pair.pump()
    for number, (call, wanted) in enumerate(zip(calls, oracle.results, strict=True)):
        assert call.done, number
        if isinstance(wanted, frozenset):
            assert type(call.error) in wanted
            assert type(call.error) is NotAReference or str(call.error).isdigit()
        else:
            assert call.error is None, call.error
            result = call.outcome()
            assert result == wanted or wanted == "box"
    # Each object runs its calls in the order made, and each ran once.
    assert all(box.ran == sorted(box.ran) for box in table.boxes)
    ran = [number for box in table.boxes for number in box.ran]
    assert len(ran) == len(set(ran))
