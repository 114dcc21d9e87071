"""What waits to be sent, in which order it leaves, and how much of it there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pellucid.core.outgoing import Outgoing
from pellucid.wire.native.frames import CHUNK, HEADER, BufferedMessage

SIZE = 100


def bulk(body: bytes = b"bulk", *, size: int = 3 * SIZE, is_barrier: bool = False) -> BufferedMessage:
    return BufferedMessage(body, [bytes(size)], is_barrier=is_barrier)


def left(outgoing: Outgoing) -> list[bytes]:
    """What leaves turn by turn until nothing is left; chunks as `chunk`."""
    result: list[bytes] = []
    for _ in range(1_000):
        data = outgoing.take()
        pieces = outgoing.next_piece(SIZE)
        if not data and not pieces:
            return result
        result += [data] * bool(data)
        result += [b"chunk"] * bool(pieces)
        if len(pieces) > 2:
            result.append(bytes(pieces[-1])[HEADER:])
    raise AssertionError("there is no end to it")


def test_messages_leave_in_the_order_made() -> None:
    outgoing = Outgoing()
    for data in (b"a", b"b", b"c"):
        outgoing.add(data)
    assert outgoing.take() == b"abc"
    assert outgoing.take() == b""


def test_what_was_there_before_a_large_buffer_leaves_before_it_and_what_comes_later_may_pass() -> None:
    outgoing = Outgoing()
    outgoing.add(b"before")
    outgoing.add(bulk())
    outgoing.add(b"after")
    assert left(outgoing) == [b"beforeafter", b"chunk", b"chunk", b"chunk", b"bulk"]


def test_other_messages_leave_between_the_pieces_of_a_buffer() -> None:
    outgoing = Outgoing()
    outgoing.add(bulk())
    assert len(outgoing.next_piece(SIZE)) == 2
    outgoing.add(b"between")
    assert outgoing.take() == b"between"
    assert left(outgoing) == [b"chunk", b"chunk", b"bulk"]


def test_what_must_not_pass_leaves_behind_every_buffer_that_was_there() -> None:
    outgoing = Outgoing()
    outgoing.add(bulk(b"first", size=SIZE))
    outgoing.add(bulk(b"second", size=SIZE))
    outgoing.add(b"behind", may_pass=False)
    outgoing.add(bulk(b"third", size=SIZE))
    outgoing.add(b"passes")
    assert left(outgoing) == [b"passes", b"chunk", b"first", b"chunk", b"second", b"behind", b"chunk", b"third"]


def test_nothing_passes_what_others_may_depend_on() -> None:
    outgoing = Outgoing()
    outgoing.add(bulk(b"first", size=SIZE))
    outgoing.add(b"passes")
    outgoing.add(bulk(b"barrier", size=SIZE, is_barrier=True))
    outgoing.add(b"behind")
    assert left(outgoing) == [b"passes", b"chunk", b"first", b"chunk", b"barrier", b"behind"]
    outgoing.add(bulk(b"last", size=SIZE))
    outgoing.add(b"passes again")
    assert left(outgoing) == [b"passes again", b"chunk", b"last"]


def test_a_message_with_several_buffers_leaves_behind_the_last_of_them() -> None:
    outgoing = Outgoing()
    outgoing.add(BufferedMessage(b"both", [b"x" * SIZE, b"y" * SIZE]))
    first, second = outgoing.next_piece(SIZE), outgoing.next_piece(SIZE)
    assert [bytes(piece) for piece in (first[1], second[1])] == [b"x" * SIZE, b"y" * SIZE]
    assert [len(first), len(second)] == [2, 3]


def test_a_call_is_held_until_all_of_it_has_left() -> None:
    outgoing = Outgoing()
    outgoing.add(b"small", call_id=1)
    outgoing.add(bulk(size=2 * SIZE), call_id=2)
    outgoing.add(b"behind", may_pass=False, call_id=3)
    assert [outgoing.holds(number) for number in (1, 2, 3, 4)] == [False, True, True, False]
    outgoing.take()
    outgoing.next_piece(SIZE)
    assert [outgoing.holds(number) for number in (2, 3)] == [True, True]
    outgoing.next_piece(SIZE)
    assert [outgoing.holds(number) for number in (2, 3)] == [False, True]
    outgoing.take()
    assert not outgoing.holds(3)


def test_nothing_is_left_at_the_end() -> None:
    outgoing = Outgoing()
    outgoing.add(b"small")
    outgoing.add(bulk(is_barrier=True), call_id=1)
    outgoing.clear()
    assert left(outgoing) == []
    assert (outgoing.queued_bytes, outgoing.bulk_bytes, outgoing.holds(1)) == (0, 0, False)
    outgoing.add(bulk(size=SIZE))
    outgoing.add(b"passes")
    assert left(outgoing) == [b"passes", b"chunk", b"bulk"]


moves = st.one_of(
    st.tuples(st.just("small"), st.integers(1, 50), st.booleans()),
    st.tuples(st.just("bulk"), st.integers(1, 500), st.booleans()),
    st.tuples(st.just("take"), st.none(), st.none()),
    st.tuples(st.just("piece"), st.integers(1, 100), st.none()),
)


@given(st.lists(moves, max_size=40))
def test_all_that_waits_is_counted_and_leaves_once(plan: list[tuple[str, int, bool]]) -> None:
    outgoing, sent, added = Outgoing(), bytearray(), 0
    for kind, size, flag in plan:
        match kind:
            case "small":
                outgoing.add(b"s" * size, may_pass=flag)
                added += size
            case "bulk":
                outgoing.add(BufferedMessage(b"m", [b"b" * size], is_barrier=flag))
                added += size + HEADER + 1
            case "take":
                sent += outgoing.take()
            case _:
                sent += outgoing.take()
                sent += b"".join(outgoing.next_piece(size))
        waiting = sum(entry.left for entry, *_ in outgoing.lane or () if not isinstance(entry, bytes))
        assert outgoing.bulk_bytes == waiting
    while outgoing.queued_bytes or outgoing.bulk_bytes:
        sent += outgoing.take() + b"".join(outgoing.next_piece(SIZE))
    chunks = sent.count(CHUNK.to_bytes(4, "big")[:1]) + sent.count((CHUNK | CHUNK >> 1).to_bytes(4, "big")[:1])
    assert len(sent) == added + HEADER * chunks
