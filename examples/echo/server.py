"""An echo server: whatever a client says comes back.

Run it with ``python examples/echo/server.py``, then run client.py beside it. Ctrl-C ends it.
"""

import argparse
from contextlib import suppress

import pellucid as pb


class Echoer(pb.Root):
    def remote_echo(self, text: str) -> str:
        print("echoing:", text)
        return text


async def main(port: int) -> None:
    async with pb.serve(Echoer(), f"pb://127.0.0.1:{port}") as server:
        print("listening at", *server.urls, flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Say back what clients say.")
    parser.add_argument("-p", "--port", type=int, default=8789, help="where to listen; 0 for any free port")
    with suppress(KeyboardInterrupt):
        pb.run(main(parser.parse_args().port))
