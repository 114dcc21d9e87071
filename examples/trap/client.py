"""Telling failures apart: what ``try`` and ``except`` are for, also when the method runs elsewhere.

Run it with ``python examples/trap/client.py`` while server.py runs; it shuts the server down.
"""

import argparse
from contextlib import suppress

import pellucid as pb


class MyException(pb.Error):
    pass


class MyOtherException(pb.Error):
    pass


class ScaryObject:
    """Has no flavor, so it may not cross."""


async def do_call(remote: pb.RemoteReference, explanation: str, arg: object) -> None:
    print(explanation)
    try:
        response = await remote.call("fooMethod", arg)
    except pb.DeadReferenceError:
        print(" stale reference: the client disconnected or crashed")
    except pb.InsecureJelly:
        print(" InsecureJelly: you tried to send something unsafe to them")
    except MyException:
        print(" remote raised a MyException")
    except MyOtherException:
        print(" remote raised a MyOtherException")
    except Exception as error:
        print(" something else happened:", repr(error))
    else:
        print(" method successful, response:", response)


async def main(port: int) -> None:
    async with pb.connect(f"pb://127.0.0.1:{port}") as connection:
        remote = connection.root
        await do_call(remote, "callOne: call with safe object", "safe string")
        await do_call(remote, "callTwo: call with dangerous object", ScaryObject())
        await do_call(remote, "callThree: call that raises remote exception", "panic!")
        print("telling them to shut down")
        with suppress(pb.PBConnectionLost):  # a server that stops at once may not get to answer
            await remote.call("shutdown")
        await connection.wait_closed()
        await do_call(remote, "callFour: call on stale reference", "dummy")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Fail in each way there is.")
    parser.add_argument("-p", "--port", type=int, default=8800, help="where the server listens")
    pb.run(main(parser.parse_args().port))
