"""Get a quote.

Run it with ``python examples/quotes/client.py`` while server.py runs.
"""

import argparse
import sys

import pellucid as pb


async def main(port: int) -> int:
    try:
        async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
            print(await connection.root.call("nextQuote"))
    except Exception:
        print("Failed to obtain quote.")
        return 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Get a quote from the quote server.")
    parser.add_argument("-p", "--port", type=int, default=8787, help="where the server listens")
    sys.exit(pb.run(main(parser.parse_args().port)))
