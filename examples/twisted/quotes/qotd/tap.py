"""The service that ``twistd qotd`` runs, and its options."""

from twisted.application import internet, service
from twisted.python import usage

from pellucid.twisted import pb
from qotd.protocols import QOTDFactory, QuoteReader
from qotd.quoters import FortuneQuoter, StaticQuoter


class Options(usage.Options):
    optParameters = (  # noqa: N815 - usage.Options gives it its name
        ["port", "p", 8007, "Port number to listen on for QOTD protocol.", int],
        ["static", "s", "An apple a day keeps the doctor away.", "A static quote to display."],
        ["file", "f", None, "A fortune-format text file to read quotes from."],
        ["pb", "b", None, "Port to listen with PB server", int],
    )

    def postOptions(self):
        try:
            self.quoter = FortuneQuoter([self["file"]]) if self["file"] else StaticQuoter(self["static"])
        except (OSError, ValueError) as error:
            raise usage.UsageError(str(error)) from error


def makeService(options):
    services = service.MultiService()
    if options["pb"] is not None:
        factory = pb.PBServerFactory(QuoteReader(options.quoter))
        services.addService(internet.TCPServer(options["pb"], factory, interface="127.0.0.1"))
    services.addService(internet.TCPServer(options["port"], QOTDFactory(options.quoter), interface="127.0.0.1"))
    return services
