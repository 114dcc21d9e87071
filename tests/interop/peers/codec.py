"""Says what stock banana and jelly make of bytes: reads lines of JSON from stdin, and prints one for each.

A request is ``{"dialect": "pb", "inputs": ["0281", ...]}``, the inputs in hex. Of each input the answer has the list of
its expressions, each as ``["value", description]`` or ``["error", class]``, and the class of the error that ends it, or
null.
"""

from __future__ import unicode_literals

import gc
import json
import sys
from binascii import unhexlify

import samples
from compat import say
from twisted.internet.testing import StringTransport
from twisted.spread import banana, pb

# The placeholders and deferred parts that stock jelly leaves in what it can't build are no values.
UNFINISHED = ("_Dereference", "NotKnown", "_Tuple", "_DictKeyAndValue", "_Defer", "_Container", "_TupleIntoValue")


class Copy(pb.RemoteCopy):
    described = True


class Cache(pb.RemoteCache):
    described = True
    not_described = ("broker", "luid")


pb.setUnjellyableForClass("copy", Copy)
pb.setUnjellyableForClass("cache", Cache)


def expressions(dialect, data):
    """The expressions in `data`, and the name of the error that ends them."""
    codec = banana.Banana()
    codec.connectionMade()
    codec.currentDialect = dialect.encode()
    found = []
    codec.expressionReceived = found.append
    try:
        codec.dataReceived(data)
    except Exception as error:
        return found, type(error).__name__
    return found, None


def holds_unfinished(value):
    """Whether something that stock jelly has not finished is part of `value`."""
    met, waiting = set(), [value]
    for part in waiting:
        if id(part) in met:
            continue
        met.add(id(part))
        if type(part).__name__ in UNFINISHED:
            return True
        if isinstance(part, dict):
            waiting += list(part.keys()) + list(part.values())
        elif isinstance(part, (list, tuple, set, frozenset)):
            waiting += part
        elif samples.has_state(part):
            waiting += vars(part).values()
    return False


def look_at(expression):
    broker = pb.Broker(True)
    broker.makeConnection(StringTransport())
    try:
        value = broker.unserialize(expression)
        if holds_unfinished(value):
            return ["error", "unfinished"]
        return ["value", samples.describe(value)]
    except RecursionError:
        return ["error", "RecursionError"]
    except Exception as error:
        return ["error", type(error).__name__]


def main():
    for number, line in enumerate(iter(sys.stdin.readline, "")):
        request = json.loads(line)
        answers = []
        for data in request["inputs"]:
            found, ended = expressions(request["dialect"], unhexlify(data))
            answers.append([[look_at(expression) for expression in found], ended])
        say(answers)
        if number % 100 == 99:
            gc.collect()


main()
