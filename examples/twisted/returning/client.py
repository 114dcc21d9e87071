"""References that come back: give the server the reference that it gave us.

Run it with ``python examples/twisted/returning/client.py`` while server.py runs.
"""

import argparse

from twisted.internet import reactor
from twisted.python import log

from pellucid.twisted import pb


class Steps:
    """What one step leaves for the next is an attribute; each answer leads to the next step."""

    def __init__(self):
        self.one = None

    def ask(self, one):
        print("got one object:", one)
        self.one = one
        print("asking it to getTwo")
        return one.callRemote("getTwo")

    def give_back(self, two):
        print("got two object:", two)
        print("giving it back to one")
        print("one is", self.one)
        return self.one.callRemote("checkTwo", two)


def main(port):
    steps = Steps()
    factory = pb.PBClientFactory()
    reactor.connectTCP("127.0.0.1", port, factory)
    done = factory.getRootObject()
    done.addCallback(steps.ask)
    done.addCallback(steps.give_back)
    done.addErrback(log.err)
    done.addCallback(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get a reference, and give it back.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    main(parser.parse_args().port)
