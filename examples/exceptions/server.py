"""Remote exceptions, expected and unexpected ones.

Run it with ``python examples/exceptions/server.py``, then run client.py beside it. Ctrl-C ends it. The server keeps
quiet about the expected exception; of the other it logs a traceback.
"""

import argparse
from contextlib import suppress

import pellucid as pb


class MyError(pb.Error):
    """Expected: something bad happened, and the caller is the one to know."""


class MyError2(Exception):
    """Unexpected: something is wrong with this program."""


class One(pb.Root):
    def remote_broken(self) -> None:
        message = "fall down go boom"
        print(f"raising a MyError exception with data {message!r}")
        raise MyError(message)

    def remote_broken2(self) -> None:
        message = "hadda owie"
        print(f"raising a MyError2 exception with data {message!r}")
        raise MyError2(message)


async def main(port: int) -> None:
    async with pb.serve(One(), f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Raise exceptions.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
