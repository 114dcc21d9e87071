"""Objects on the client's side: the server is given one, and calls it.

Run it with ``python examples/twisted/callbacks/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
import sys

from twisted.internet import reactor
from twisted.python import log

from pellucid.twisted import pb


class One(pb.Root):
    def remote_takeTwo(self, two):
        print("received a Two called", two)
        print("telling it to print(12)")
        two.callRemote("print", 12).addErrback(log.err)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Call the objects that clients bring.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    port = reactor.listenTCP(parser.parse_args().port, pb.PBServerFactory(One()), interface="127.0.0.1")
    print(f"listening at pb://127.0.0.1:{port.getHost().port}", file=sys.stderr)
    reactor.run()
