"""Passing references: a root object that gives out a second object, which can be called too.

Run it with ``python examples/twisted/references/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
import sys

from twisted.internet import reactor

from pellucid.twisted import pb


class Two(pb.Referenceable):
    def remote_three(self, number):
        print("Two.three was given", number)


class One(pb.Root):
    def remote_getTwo(self):
        two = Two()
        print("returning a Two called", two)
        return two


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Give out references.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    port = reactor.listenTCP(parser.parse_args().port, pb.PBServerFactory(One()), interface="127.0.0.1")
    print(f"listening at pb://127.0.0.1:{port.getHost().port}", file=sys.stderr)
    reactor.run()
