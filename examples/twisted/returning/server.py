"""References that come back: what a client returns to its owner is the very object that the owner gave out.

Run it with ``python examples/twisted/returning/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
import sys

from twisted.internet import reactor

from pellucid.twisted import pb


class Two(pb.Referenceable):
    def remote_print(self, number):
        print("two.print was given", number)


class One(pb.Root):
    def __init__(self, two):
        self.two = two

    def remote_getTwo(self):
        print("One.getTwo(), returning my two called", self.two)
        return self.two

    def remote_checkTwo(self, two):
        print("One.checkTwo(): comparing my two", self.two)
        print("One.checkTwo(): against your two", two)
        same = two is self.two
        if same:
            print("One.checkTwo(): our twos are the same")
        return same


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Give out a reference, and recognise it when it comes back.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    port = reactor.listenTCP(parser.parse_args().port, pb.PBServerFactory(One(Two())), interface="127.0.0.1")
    print(f"listening at pb://127.0.0.1:{port.getHost().port}", file=sys.stderr)
    reactor.run()
