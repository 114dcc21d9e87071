"""References that come back: what a client returns to its owner is the very object that the owner gave out.

Run it with ``python examples/returning/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
from contextlib import suppress

import pellucid as pb


class Two(pb.Referenceable):
    def remote_print(self, number: int) -> None:
        print("two.print was given", number)


class One(pb.Root):
    def __init__(self, two: Two) -> None:
        self.two = two

    def remote_getTwo(self) -> Two:
        print("One.getTwo(), returning my two called", self.two)
        return self.two

    def remote_checkTwo(self, two: Two) -> bool:
        print("One.checkTwo(): comparing my two", self.two)
        print("One.checkTwo(): against your two", two)
        same = two is self.two
        if same:
            print("One.checkTwo(): our twos are the same")
        return same


async def main(port: int) -> None:
    async with pb.serve(One(Two()), f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Give out a reference, and recognise it when it comes back.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
