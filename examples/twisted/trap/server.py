"""A server to fail with, in each of the ways that client.py knows to tell apart.

Run it with ``python examples/twisted/trap/server.py``, then run client.py beside it, which also shuts it down.
"""

import argparse
import sys

from twisted.internet import reactor

from pellucid.twisted import pb


class MyException(pb.Error):
    pass


class One(pb.Root):
    def remote_fooMethod(self, arg):
        if arg in ("panic!", b"panic!"):  # the latter is what a client on Python 2 sends
            raise MyException
        return "response"

    def remote_shutdown(self):
        reactor.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fail on request.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    port = reactor.listenTCP(parser.parse_args().port, pb.PBServerFactory(One()), interface="127.0.0.1")
    print(f"listening at pb://127.0.0.1:{port.getHost().port}", file=sys.stderr)
    reactor.run()
