from __future__ import annotations

from twisted.spread.banana import Banana  # noqa: TID251 - the table itself

from pellucid.wire.pb.vocabulary import TOKENS, WORDS


def test_the_words_and_their_tokens_are_twisteds() -> None:
    assert Banana.outgoingVocabulary == TOKENS


def test_each_token_stands_for_one_word() -> None:
    assert {token: word for word, token in TOKENS.items()} == WORDS
    assert sorted(WORDS) == list(range(1, 32))
