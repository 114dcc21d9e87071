"""An echo server: whatever a client says comes back.

Run it with ``python examples/twisted/echo/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
import sys

from twisted.internet import reactor

from pellucid.twisted import pb


class Echoer(pb.Root):
    def remote_echo(self, text):
        # A peer on Python 2 sends its strings as bytes, here and in the programs beside this one.
        print("echoing:", text.decode() if isinstance(text, bytes) else text)
        return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Say back what clients say.")
    parser.add_argument("-p", "--port", type=int, default=8789, help="where to listen; 0 for any free port")
    port = reactor.listenTCP(parser.parse_args().port, pb.PBServerFactory(Echoer()), interface="127.0.0.1")
    print(f"listening at pb://127.0.0.1:{port.getHost().port}", file=sys.stderr)
    reactor.run()
