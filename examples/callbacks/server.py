"""Objects on the client's side: the server is given one, and calls it.

Run it with ``python examples/callbacks/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
from contextlib import suppress

import pellucid as pb


class One(pb.Root):
    async def remote_takeTwo(self, two: pb.RemoteReference) -> None:
        print("received a Two called", two)
        print("telling it to print(12)")
        await two.call("print", 12)


async def main(port: int) -> None:
    async with pb.serve(One(), f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Call the objects that clients bring.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
