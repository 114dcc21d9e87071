"""Named sample values, and a text that describes any value exactly: what both ends of an interop test agree on.

It imports neither Twisted nor pellucid, so that either side can say what it got without the other's help, and runs on
Python 2.7 as well, where text is `unicode` and bytes are `str`. Its types are in samples.pyi.
"""

from __future__ import unicode_literals

from binascii import hexlify
from datetime import date, datetime, time, timedelta
from decimal import Decimal

USERS = {name: name + "'s password" for name in ["alice", "bob"] + ["user%d" % number for number in range(200)]}
"""Who may log in, at either server. Tests that count logins take a user of their own."""

WORDS = (
    b"None class dereference reference dictionary function instance list module persistent tuple unpersistable copy "
    b"cache cached remote local lcache version login password challenge logged_in not_logged_in cachemessage message "
    b"answer error decref decache uncache"
).split()
"""The words that dialect pb sends as tokens (twisted.spread.banana.Banana.outgoingVocabulary, 26.10)."""


def shared_list():
    inner = [1]
    return [inner, inner, inner]


def shared_everything():
    shared = [["list"], {"a": 1}, {7}, (1, 2, 3), frozenset([8])]
    return [shared, list(shared), list(reversed(shared))]


def two_groups_shared():
    first, second = [1], [2]
    return [first, second, second, first]


def equal_but_apart():
    return [[1], [1], (5,), tuple([5])]  # noqa: C409  # a literal (5,) twice would be one object


def cyclic_list():
    cycle = [1]
    cycle.append(cycle)
    return cycle


def cyclic_dict():
    cycle = {"n": 1}
    cycle["self"] = cycle
    return cycle


def cyclic_tuple():
    inside = []
    cycle = (inside, "tail")
    inside.append(cycle)
    return cycle


def mutual_cycle():
    left = ["left"]
    right = {"left": left}
    left.append(right)
    return [left, right]


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


SAMPLES = {
    "none": lambda: None,
    "true": lambda: True,
    "false": lambda: False,
    "int zero": lambda: 0,
    "int one": lambda: 1,
    "int minus one": lambda: -1,
    "int one digit": lambda: 127,
    "int two digits": lambda: 128,
    "int largest INT": lambda: 2**31 - 1,
    "int smallest LONGINT": lambda: 2**31,
    "int lowest NEG": lambda: -(2**31),
    "int highest LONGNEG": lambda: -(2**31) - 1,
    "int 64 bits": lambda: 2**64 - 1,
    "int largest": lambda: 2**448 - 1,
    "int smallest": lambda: -(2**448) + 1,
    "float": lambda: 1.5,
    "float zero": lambda: 0.0,
    "float minus zero": lambda: -0.0,
    "float tiny": lambda: 5e-324,
    "float huge": lambda: -1.7976931348623157e308,
    "float infinity": lambda: float("inf"),
    "float minus infinity": lambda: float("-inf"),
    "float not a number": lambda: float("nan"),
    "str": lambda: "hello network",
    "str empty": lambda: "",
    "str of a word": lambda: "list",
    "str unicode": lambda: "na\u00efve \u4f60\u597d \U0001f600 e\u0301 \ufeff\u202e\x00\n\uffff\U0010ffff",
    "bytes": lambda: b"hello network",
    "bytes empty": lambda: b"",
    "bytes of every value": lambda: bytes(bytearray(range(256))),
    "bytes of a word": lambda: b"list",
    "bytes of every word": lambda: list(WORDS),
    "bytes near a word": lambda: [b"lis", b"lists", b"LIST", b"unicode", b"set", b"boolean"],
    "list": lambda: [1, "two", b"three", 4.0, None, True],
    "list empty": list,
    "list nested": lambda: [[], [[]], [[[1]]]],
    "list deep": lambda: nested(60),
    "tuple": lambda: (1, "two", (3,)),
    "tuple empty": tuple,
    "dict": lambda: {"a": 1, "b": [2], "c": {"d": 3}},
    "dict empty": dict,
    "dict with any key": lambda: {
        None: 1,
        True: 2,
        -5: 3,
        2.5: 4,
        b"bytes": 5,
        "str": 6,
        (1, "x"): 7,
        frozenset([9]): 8,
        date(2024, 2, 29): 9,
        Decimal("1.25"): 10,
        2**100: 11,
    },
    "dict in order": lambda: {"z": 1, "a": 2, "m": 3},
    "set": lambda: {1, 2, 3},
    "set empty": set,
    "set of mixed": lambda: {"a", 1, b"b", (2, 3), None},
    "frozenset": lambda: frozenset([4, 5]),
    "frozenset empty": frozenset,
    "frozenset in a set": lambda: {frozenset([frozenset([1])])},
    "datetime": lambda: datetime(2024, 2, 29, 23, 59, 58, 999999),
    "datetime earliest": lambda: datetime.min,
    "datetime latest": lambda: datetime.max,
    "date": lambda: date(1999, 12, 31),
    "time": lambda: time(1, 2, 3, 4),
    "time zero": time,
    "timedelta": lambda: timedelta(days=3, seconds=4, microseconds=5),
    "timedelta negative": lambda: timedelta(microseconds=-1),
    "timedelta largest": lambda: timedelta.max,
    "decimal": lambda: Decimal("3.14159"),
    "decimal negative": lambda: Decimal("-1.50"),
    "decimal whole": lambda: Decimal(7),
    "decimal with positive exponent": lambda: Decimal("12E+5"),
    "decimal zero with places": lambda: Decimal("0.00"),
    "shared list": shared_list,
    "shared everything": shared_everything,
    "shared in two groups": two_groups_shared,
    "equal but apart": equal_but_apart,
    "cycle of a list": cyclic_list,
    "cycle of a dict": cyclic_dict,
    "cycle through a tuple": cyclic_tuple,
    "cycle of two": mutual_cycle,
}
"""Values that either side must be able to send, and the other to get exactly. Each call builds a fresh one."""

UNORDERED = {"set of mixed"}
"""Samples whose bytes depend on the order in which a set happens to be walked."""


def pages_of(size):
    """What is paged out in tests: bytes that tell if any is missing or out of place."""
    return bytes(bytearray(place % 251 for place in range(size)))


def pages_are_whole(pages):
    whole = b"".join(pages)
    return whole == pages_of(len(whole))


CONTAINERS = (list, tuple, dict, set, frozenset)

KINDS = {type(""): "str", bytes: "bytes", int: "int", type(2**64): "int"}
"""What Python 3 calls the types that have other names on Python 2."""


def describe(value):
    """A text that two values share only if they have the same types, contents and sharing all the way down.

    A container met more than once is written ``#1=[...]`` the first time and ``#1`` after that. Instances are written
    by the name of their class and their public attributes, so the two sides' classes must be named alike.
    """
    return Description(value).text(value)


class Description:
    def __init__(self, value):
        self.met = {}
        self.numbers = {}
        self.kept = []  # so that no id is used twice
        self.count(value)

    def count(self, value):
        if not self.can_be_shared(value):
            return
        self.kept.append(value)
        self.met[id(value)] = self.met.get(id(value), 0) + 1
        if self.met[id(value)] == 1:
            for part in self.parts(value):
                self.count(part)

    def can_be_shared(self, value):
        if isinstance(value, (tuple, frozenset)) and not value:
            return False  # there is one empty tuple and one empty frozenset in a process, so sharing says nothing
        return isinstance(value, CONTAINERS) or has_state(value)

    def parts(self, value):
        if isinstance(value, dict):
            return [part for pair in self.pairs(value) for part in pair]
        if isinstance(value, (set, frozenset)):
            # In an order that both sides share: that of what each element would be alone.
            return sorted(value, key=describe)
        if has_state(value):
            return [part for _, part in public_state(value)]
        return list(value)

    def pairs(self, value):
        # As with sets: Python 2's dicts have no order, so a test asks for it by itself.
        return sorted(value.items(), key=lambda pair: describe(pair[0]))

    def text(self, value):
        if id(value) in self.numbers:
            return "#%d" % self.numbers[id(value)]
        mark = ""
        if self.met.get(id(value), 0) > 1:
            self.numbers[id(value)] = len(self.numbers) + 1
            mark = "#%d=" % self.numbers[id(value)]
        return mark + self.plain_text(value)

    def plain_text(self, value):
        kind = KINDS.get(type(value), value.__class__.__name__)
        if value is None:
            return "None"
        if isinstance(value, (list, tuple, set, frozenset)):
            return "%s[%s]" % (kind, ", ".join(self.text(part) for part in self.parts(value)))
        if isinstance(value, dict):
            pairs = ["%s: %s" % (self.text(key), self.text(part)) for key, part in self.pairs(value)]
            return "%s{%s}" % (kind, ", ".join(pairs))
        if isinstance(value, type("")):
            return "%s %s" % (kind, value.encode("unicode_escape").decode("ascii"))
        if isinstance(value, bytes):
            return "%s %s" % (kind, hexlify(value).decode("ascii"))
        if isinstance(value, (bool, int, type(2**64))):
            return "%s %s" % (kind, value)
        if isinstance(value, (float, Decimal, datetime, date, time)):
            return "%s %r" % (kind, value)
        if isinstance(value, timedelta):
            return "%s %d days %d s %d us" % (kind, value.days, value.seconds, value.microseconds)
        if isinstance(value, type):
            return "class %s.%s" % (value.__module__, value.__name__)
        if has_state(value):
            return "%s(%s)" % (kind, ", ".join("%s=%s" % (name, self.text(part)) for name, part in public_state(value)))
        return kind


def has_state(value):
    return getattr(value.__class__, "described", False) is True


def public_state(value):
    hidden = getattr(value, "not_described", ())
    return sorted((name, part) for name, part in vars(value).items() if name[0] != "_" and name not in hidden)
