"""Passing references: ask the first object for the second, and call that.

Run it with ``python examples/references/client.py`` while server.py runs.
"""

import argparse

import pellucid as pb


async def main(port: int) -> None:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        one = connection.root
        print("got first object:", one)
        print("asking it to getTwo")
        two = await one.call("getTwo")
        print("got second object:", two)
        print("telling it to do three(12)")
        await two.call("three", 12)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get a reference, and call what it refers to.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    pb.run(main(parser.parse_args().port))
