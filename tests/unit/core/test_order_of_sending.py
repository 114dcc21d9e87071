"""What may overtake a message with a large buffer, and what must not, between two brokers."""

from __future__ import annotations

from pellucid.flavors.referenceable import Referenceable, Root
from tests.pair import Pair, Promise

LARGE = bytes(1024 * 1024)
MORE_ANSWERS_THAN_ARE_REPORTED_TOGETHER = 40


class Thing(Referenceable):
    pass


class Store(Root):
    def remote_thing(self) -> Thing:
        return Thing()

    def remote_take(self, thing: object, data: bytes) -> tuple[bool, int]:
        return isinstance(thing, Thing), len(data)

    def remote_ping(self) -> None:
        """It answers."""


def test_word_of_answers_that_are_seen_does_not_overtake_a_call_that_names_one() -> None:
    pair = Pair(Store())
    client, server = pair.client, pair.server

    def carry() -> None:
        server.receive(client.broker.data_to_send())
        client.receive(server.broker.data_to_send())

    thing = client.root.call("thing")
    named = client.root.call("take", thing, LARGE)  # it leaves piece by piece, below
    assert isinstance(named, Promise)
    for _ in range(MORE_ANSWERS_THAN_ARE_REPORTED_TOGETHER):
        client.root.call("ping")
        carry()
    assert thing.done
    while pieces := client.broker.next_piece(len(LARGE)):
        server.receive(b"".join(pieces))
    carry()

    assert named.result() == (True, len(LARGE))
