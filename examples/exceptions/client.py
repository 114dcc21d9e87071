"""Remote exceptions: what becomes of one whose class is not known here.

Run it with ``python examples/exceptions/client.py``, or with ``broken2`` at the end for the unexpected exception, while
server.py runs. (Classes that both sides know arrive as themselves: see ../trap.)
"""

import argparse

import pellucid as pb


async def main(method: str, port: int) -> None:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        try:
            await connection.root.call(method)
        except pb.RemoteError as error:
            print("got remote Exception")
            print(" .__class__ =", type(error).__name__)
            print(" .text =", error.text)
            print(" .remote_type =", error.remote_type)
        else:
            print("erm, it wasn't *supposed* to work..")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Call a method that fails.")
    parser.add_argument("method", nargs="?", choices=["broken", "broken2"], default="broken", help="what to call")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    options = parser.parse_args()
    pb.run(main(options.method, options.port))
