"""Passing references: a root object that gives out a second object, which can be called too.

Run it with ``python examples/references/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
from contextlib import suppress

import pellucid as pb


class Two(pb.Referenceable):
    def remote_three(self, number: int) -> None:
        print("Two.three was given", number)


class One(pb.Root):
    def remote_getTwo(self) -> Two:
        two = Two()
        print("returning a Two called", two)
        return two


async def main(port: int) -> None:
    async with pb.serve(One(), f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Give out references.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
