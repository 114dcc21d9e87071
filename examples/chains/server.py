"""Chains of calls: a shop whose objects lead from one to the next.

Run it with ``python examples/chains/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
import asyncio
from contextlib import suppress

import pellucid as pb


class SoldOut(pb.Error):
    pass


class Order(pb.Referenceable):
    def __init__(self, items: list[str]) -> None:
        self.items = items

    async def remote_pack(self) -> str:
        print("packing", *self.items)
        return f"a parcel with {' and '.join(self.items)}"


class Basket(pb.Referenceable):
    def __init__(self) -> None:
        self.items: list[str] = []

    async def remote_add(self, item: str) -> "Basket":
        await asyncio.sleep(0)  # as if it looked into a store
        if item == "moon":
            raise SoldOut(item)
        self.items.append(item)
        return self

    def remote_order(self) -> Order:
        return Order(self.items)


class Shop(pb.Root):
    async def remote_basket(self) -> Basket:
        return Basket()

    async def remote_send(self, parcel: str, address: str) -> str:
        return f"{parcel}, sent to {address}"


async def main(port: int) -> None:
    async with pb.serve(Shop(), f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Keep a shop.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
