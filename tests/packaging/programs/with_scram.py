"""What the extra scram is for: logins by passwords, of which the server keeps a file that opens nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pellucid as pb


class Member(pb.Avatar):
    def __init__(self, name: str) -> None:
        self.name = name

    def perspective_name(self) -> str:
        return self.name


class Club:
    def request_avatar(self, avatar_id: str, mind: object) -> Member:
        return Member(avatar_id)


async def main(users: Path) -> None:
    portal = pb.Portal(Club(), [pb.PasswordFile(users)])
    async with pb.serve(portal, "pb://127.0.0.1:0") as server, pb.connect(*server.urls) as connection:
        alice = await connection.login(pb.credentials.Password("alice", "sesame"))
        assert await alice.call("name") == "alice"
        try:
            await connection.login(pb.credentials.Password("alice", "opensesame"))
        except pb.UnauthorizedLogin:
            print("lets in who knows the password")
        else:
            raise AssertionError("a wrong password was let in")


with tempfile.TemporaryDirectory() as folder:
    users = Path(folder) / "users"
    command = [sys.executable, "-I", "-m", "pellucid.passwords", str(users)]
    add = [*command, "add", "alice", "--stdin", "--iterations", "4096"]
    subprocess.run(add, input="sesame\n", text=True, timeout=60, check=True)
    pb.run(main(users))
