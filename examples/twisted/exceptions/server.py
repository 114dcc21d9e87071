"""Remote exceptions, expected and unexpected ones.

Run it with ``python examples/twisted/exceptions/server.py``, then run client.py beside it. Ctrl-C ends it. The server
keeps quiet about the expected exception; of the other it logs a traceback.
"""

import argparse
import sys

from twisted.internet import reactor

from pellucid.twisted import pb


class MyError(pb.Error):
    """Expected: something bad happened, and the caller is the one to know."""


class MyError2(Exception):
    """Unexpected: something is wrong with this program."""


class One(pb.Root):
    def remote_broken(self):
        message = "fall down go boom"
        print(f"raising a MyError exception with data '{message}'")
        raise MyError(message)

    def remote_broken2(self):
        message = "hadda owie"
        print(f"raising a MyError2 exception with data '{message}'")
        raise MyError2(message)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Raise exceptions.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    port = reactor.listenTCP(parser.parse_args().port, pb.PBServerFactory(One()), interface="127.0.0.1")
    print(f"listening at pb://127.0.0.1:{port.getHost().port}", file=sys.stderr)
    reactor.run()
