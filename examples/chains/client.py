"""Chains of calls: each uses what the one before results in, and none waits for it here.

Run it with ``python examples/chains/client.py`` while server.py runs.
"""

import argparse

import pellucid as pb


async def main(port: int) -> None:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        shop = connection.root

        # Six calls leave together. The last has the result of the one before as its argument.
        basket = shop.call("basket").call("add", "tea").call("add", "milk")
        parcel = basket.call("order").call("pack")
        print(await shop.call("send", parcel, "Alice"))

        # Many calls in one message, with their results in one.
        baskets = await pb.gather(*(shop.prepare("basket") for _ in range(3)))
        print(len(baskets), "baskets")

        # An error reaches whoever depends on the call that failed.
        try:
            await shop.call("send", shop.call("basket").call("add", "moon"), "Bob")
        except pb.RemoteError as error:
            print("not sent:", error)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Buy something in few round trips.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    pb.run(main(parser.parse_args().port))
