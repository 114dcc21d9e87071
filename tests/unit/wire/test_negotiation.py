from __future__ import annotations

import pytest

from pellucid.errors import LimitBroken, NoCommonDialect, RemoteProtocolError
from pellucid.limits import Limits
from pellucid.wire.negotiation import Negotiation
from tests.pair import write

BOTH = ["pb", "none"]


def negotiation(names: list[str] = BOTH, *, listens: bool) -> Negotiation:
    return Negotiation(names, Limits(), listens=listens)


def told(data: bytes, names: list[str] = BOTH, *, listens: bool) -> tuple[str, bytes] | None:
    """What is chosen when a peer says `data`."""
    side = negotiation(names, listens=listens)
    side.receive_data(data)
    return side.choose()


def test_the_listening_side_offers_its_dialects_as_a_stock_server_does() -> None:
    assert negotiation(listens=True).greeting().hex(" ") == "02 80 02 82 70 62 04 82 6e 6f 6e 65"


def test_the_connecting_side_waits() -> None:
    side = negotiation(listens=False)
    assert side.greeting() == b""
    assert side.choose() is None


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        (BOTH, BOTH, "pb"),
        (["none", "pb"], BOTH, "none"),
        (BOTH, ["none"], "none"),
        (["pellucid 1", "pb", "none"], BOTH, "pb"),
        (["pb", "pb"], BOTH, "pb"),
    ],
)
def test_the_first_of_the_listening_sides_order_that_both_know_is_chosen(
    offered: list[str], spoken: list[str], chosen: str
) -> None:
    offer = write([name.encode() for name in offered], None)
    assert told(offer, spoken, listens=False) == (chosen, write(chosen.encode(), None))
    assert told(write(chosen.encode(), None), offered, listens=True) == (chosen, b"")


def test_what_is_no_name_in_an_offer_is_skipped() -> None:
    assert told(write([5, 1.5, b"", b"pb"], None), listens=False) == ("pb", write(b"pb", None))


def test_without_a_common_dialect_the_connecting_side_says_what_it_speaks() -> None:
    with pytest.raises(NoCommonDialect, match="the peer offers none of the dialects pb, none"):
        told(write([b"foolscap"], None), listens=False)
    with pytest.raises(NoCommonDialect):
        told(write([], None), listens=False)


def test_a_dialect_that_was_not_offered_can_not_be_chosen() -> None:
    with pytest.raises(NoCommonDialect, match="the peer chose the dialect b'none', which was not offered"):
        told(write(b"none", None), ["pb"], listens=True)


@pytest.mark.parametrize("said", [[b"pb"], 1, 1.5])
def test_a_choice_that_is_no_name_is_no_pb(said: object) -> None:
    with pytest.raises(RemoteProtocolError, match="did not answer with the name of a dialect"):
        told(write(said, None), listens=True)


@pytest.mark.parametrize("said", [b"pb", 1, 1.5])
def test_an_offer_that_is_no_list_is_no_pb(said: object) -> None:
    with pytest.raises(RemoteProtocolError, match="did not offer a list of dialects"):
        told(write(said, None), listens=False)


@pytest.mark.parametrize("listens", [True, False])
@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x08\x87"]
)
def test_another_protocol_is_an_error(data: bytes, listens: bool) -> None:
    with pytest.raises(RemoteProtocolError):
        told(data + b"\xff" * 100, listens=listens)


@pytest.mark.parametrize(
    "said",
    [write([b"x"] * 5_000, None), write(b"x" * 5_000, None)],
    ids=["long offer", "long name"],
)
def test_a_stranger_can_not_make_us_hold_much(said: bytes) -> None:
    with pytest.raises(LimitBroken):
        told(said, listens=False)


def test_what_a_stranger_may_say_can_be_changed_before_it_speaks() -> None:
    said = write([b"pb"] * 20, None)
    for most in len(said), len(said) - 1:
        side = negotiation(listens=False)
        side.bound(Limits(negotiation_bytes=most))
        side.receive_data(said)
        if most == len(said):
            assert side.choose() is not None
        else:
            with pytest.raises(LimitBroken) as caught:
                side.choose()
            assert (caught.value.limit, caught.value.value) == ("negotiation_bytes", most)


@pytest.mark.parametrize("listens", [True, False])
def test_what_follows_the_choice_is_left_for_the_dialect_however_it_is_cut(listens: bool) -> None:
    said = write(b"pb" if listens else [b"pb"], None)
    rest = bytes(range(128, 140))
    for cut in range(len(said) + len(rest) + 1):
        side = negotiation(listens=listens)
        data = said + rest
        side.receive_data(data[:cut])
        chosen = side.choose()
        assert (chosen is None) is (cut < len(said))
        if chosen is None:
            side.receive_data(data[cut:])
            chosen = side.choose()
            cut = len(data)
        assert chosen == ("pb", b"" if listens else write(b"pb", None))
        assert side.take_rest() == data[len(said) : cut]


def test_a_client_that_speaks_tls_is_told_apart_from_noise() -> None:
    client_hello = bytes.fromhex("16 03 01 02 00 01 00 01 fc 03 03")
    with pytest.raises(RemoteProtocolError, match="the peer speaks TLS, which is not spoken here"):
        told(client_hello, listens=True)
