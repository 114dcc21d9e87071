"""``python -m pellucid.passwords``: manage a file of users and the keys of their passwords.

A password is asked for at the terminal, or read from standard input with ``--stdin``; it is never an argument, as those
can be seen by everybody on the machine.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pellucid.auth.files import SECRET_BYTES, User, Users, make_user, read_users, written
from pellucid.auth.keys import ITERATIONS, SALT_BYTES

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what `arguments` say, or those of the process.

    Returns the exit status: 1 where that failed, 130 where Ctrl-C ended it, and nothing was changed.
    """
    asked = _parser().parse_args(arguments)
    try:
        return _run(asked)
    except EOFError:
        print("no password was typed; --stdin reads one from a pipe or a file", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(file=sys.stderr)  # the line of the prompt ends
        return 130
    except (OSError, ValueError, ImportError) as error:
        print(error, file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pellucid.passwords", description=__doc__)
    parser.add_argument("file", type=Path, help="the file; add makes it where there is none")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the usernames, and which have an md5 digest")
    for name, text in (
        ("add", "add a user, or give one another password"),
        ("check", "say whether a password is that user's"),
        ("remove", "remove a user"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("user")
        if name != "remove":
            command.add_argument("--stdin", action="store_true", help="read the password from the first line of input")
        if name == "add":
            command.add_argument("--iterations", type=int, default=ITERATIONS, help="of hashing (default %(default)s)")
            command.add_argument(
                "--with-md5",
                action="store_true",
                help="keep the md5 digest too, for old peers: it opens as much as the password, to whoever reads it",
            )
    return parser


def _run(asked: argparse.Namespace) -> int:
    path: Path = asked.file
    match asked.command:
        case "list":
            for name, user in sorted(read_users(path).by_name.items()):
                print(f"{name}\tmd5" if user.md5 is not None else name)
        case "check":
            return _check(read_users(path).by_name.get(asked.user), _password(asked))
        case "add":
            salt, password = secrets.token_bytes(SALT_BYTES), _password(asked, again=True)
            user = make_user(asked.user, password, salt, asked.iterations, with_md5=asked.with_md5)
            with _replaced(path, create=True) as users:
                users[asked.user] = user
        case _:
            with _replaced(path) as users:
                if users.pop(asked.user, None) is None:
                    raise ValueError(f"{path} has no user {asked.user!r}")
    return 0


@contextmanager
def _replaced(path: Path, *, create: bool = False) -> Generator[dict[str, User]]:
    """The users of a file, by name. In the end it is replaced, in one step, by one that has them as they are then.

    Whoever reads it meanwhile sees all of the old file, or of the new one.
    """
    path = path.resolve()  # a link stays one
    new = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ValueError(f"{new} exists: somebody else changes {path} now, or was stopped; then remove it") from None
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123  # it is no path
            exists = path.exists() or not create
            users = read_users(path) if exists else Users(secrets.token_bytes(SECRET_BYTES), {})
            by_name = dict(users.by_name)
            yield by_name
            file.write(written(Users(users.secret, by_name)))
            file.flush()
            os.fsync(descriptor)
        if exists:
            _take_after(path, new)
        new.replace(path)
    except BaseException:
        new.unlink()
        raise


def _take_after(old: Path, new: Path) -> None:
    """Have the new file belong to whom the old one does, who may not be the one who runs this."""
    seen, made = old.stat(), new.stat()
    new.chmod(seen.st_mode & 0o777)
    if (seen.st_uid, seen.st_gid) != (made.st_uid, made.st_gid):
        os.chown(new, seen.st_uid, seen.st_gid)


def _check(user: User | None, password: str) -> int:
    is_right = user is not None and user.keys.match(password)
    print("right" if is_right else "wrong")
    return 0 if is_right else 1


def _password(asked: argparse.Namespace, *, again: bool = False) -> str:
    if asked.stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = getpass.getpass(f"password of {asked.user}: ")
        if again and getpass.getpass("again: ") != password:
            raise ValueError("the two are not the same; nothing was changed")
    if again and not password:
        raise ValueError("the password is empty; nothing was changed")
    return password


if __name__ == "__main__":
    sys.exit(main())
