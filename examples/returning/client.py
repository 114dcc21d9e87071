"""References that come back: give the server the reference that it gave us.

Run it with ``python examples/returning/client.py`` while server.py runs.
"""

import argparse

import pellucid as pb


async def main(port: int) -> None:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        one = connection.root
        print("got one object:", one)
        print("asking it to getTwo")
        two = await one.call("getTwo")
        print("got two object:", two)
        print("giving it back to one")
        same = await one.call("checkTwo", two)
        print("one says it is", "the same" if same else "another")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get a reference, and give it back.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    pb.run(main(parser.parse_args().port))
