"""The words that the dialect `pb` sends as one-byte tokens.

The table is part of the protocol and cannot grow: a peer that meets an unknown token drops the connection. It is the
`outgoingVocabulary` of twisted.spread.banana (26.10), unchanged since version 6 of the broker. Several words (`copy`,
`cache`, `login`, `password`, `challenge`, `logged_in`, `not_logged_in`) name messages that no longer exist. `set`,
`frozenset`, `unicode`, `boolean` and the other later jelly types are not in it and travel as strings.
"""

from __future__ import annotations

from typing import Final

__all__ = ["TOKENS", "WORDS"]

WORDS: Final[dict[int, bytes]] = {
    # jelly's types
    1: b"None",
    2: b"class",
    3: b"dereference",
    4: b"reference",
    5: b"dictionary",
    6: b"function",
    7: b"instance",
    8: b"list",
    9: b"module",
    10: b"persistent",
    11: b"tuple",
    12: b"unpersistable",
    # the broker's types
    13: b"copy",
    14: b"cache",
    15: b"cached",
    16: b"remote",
    17: b"local",
    18: b"lcache",
    # the broker's messages
    19: b"version",
    20: b"login",
    21: b"password",
    22: b"challenge",
    23: b"logged_in",
    24: b"not_logged_in",
    25: b"cachemessage",
    26: b"message",
    27: b"answer",
    28: b"error",
    29: b"decref",
    30: b"decache",
    31: b"uncache",
}
"""The word that each token stands for, by token id: what a decoder needs."""

TOKENS: Final[dict[bytes, int]] = {word: token for token, word in WORDS.items()}
"""The token id of each word: what an encoder needs. Every byte string equal to a word is sent as its token, data of the
user's included; the decoder gives back identical bytes."""
