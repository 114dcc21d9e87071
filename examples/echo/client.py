"""A client of the echo server.

Run it with ``python examples/echo/client.py`` while server.py runs.
"""

import argparse
import sys

import pellucid as pb


async def main(port: int) -> int:
    try:
        async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
            echo = await connection.root.call("echo", "hello network")
    except Exception as error:
        print("error:", error)
        return 1
    print("server echoed:", echo)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Say something to the echo server.")
    parser.add_argument("-p", "--port", type=int, default=8789, help="where the server listens")
    sys.exit(pb.run(main(parser.parse_args().port)))
