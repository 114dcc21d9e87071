"""What the extra validate is for: bounds in the annotations of methods."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

import pellucid as pb


class Scale(pb.Root, validate=True):
    def remote_weigh(self, grams: Annotated[int, Meta(ge=0)]) -> int:
        return grams


async def main() -> None:
    async with pb.serve(Scale(), "pb://127.0.0.1:0") as server, pb.connect(*server.urls) as connection:
        assert await connection.root.call("weigh", 5) == 5
        try:
            await connection.root.call("weigh", -5)
        except pb.InvalidArgument as error:
            print("refuses:", error)
        else:
            raise AssertionError("a negative weight was not refused")


pb.run(main())
