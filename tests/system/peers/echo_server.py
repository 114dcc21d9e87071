"""The echo server, on stock Twisted."""

from twisted.internet import reactor
from twisted.spread import pb


class Echoer(pb.Root):
    def remote_echo(self, text):
        print("echoing:", text, flush=True)
        return text


port = reactor.listenTCP(0, pb.PBServerFactory(Echoer()), interface="127.0.0.1")
print(f"listening at pb://127.0.0.1:{port.getHost().port}", flush=True)
reactor.run()
