"""Objects on the client's side: give the server one of ours to call.

Run it with ``python examples/callbacks/client.py`` while server.py runs.
"""

import argparse

import pellucid as pb


class Two(pb.Referenceable):
    def remote_print(self, number: int) -> None:
        print("Two.print() called with", number)


async def main(port: int) -> None:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        one = connection.root
        print("got One:", one)
        print("giving it our two")
        await one.call("takeTwo", Two())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Have the server call an object of ours.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    pb.run(main(parser.parse_args().port))
