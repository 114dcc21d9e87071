"""Two ways to tell quotes: Perspective Broker, and plain text for whoever connects (RFC 865)."""

from twisted.internet import protocol

from pellucid.twisted import pb


class QuoteReader(pb.Root):
    def __init__(self, quoter):
        self.quoter = quoter

    def remote_nextQuote(self):
        return self.quoter.getQuote()


class QOTD(protocol.Protocol):
    def connectionMade(self):
        self.transport.write(f"{self.factory.quoter.getQuote()}\r\n".encode())
        self.transport.loseConnection()


class QOTDFactory(protocol.ServerFactory):
    protocol = QOTD

    def __init__(self, quoter):
        self.quoter = quoter
