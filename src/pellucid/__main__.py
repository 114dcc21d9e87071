"""The command `pellucid`, also as ``python -m pellucid``; without its libraries it says how to get them."""

from __future__ import annotations

import sys

__all__ = ["main"]

_LIBRARIES = ("click", "prompt_toolkit", "rich", "watchfiles")

NOT_INSTALLED = 6
"""The exit code where the libraries of the command are missing: `pellucid.cli.exits` has the others."""


def main() -> int:
    """Run the command; return its exit code."""
    try:
        from pellucid.cli import app
    except ModuleNotFoundError as error:
        if error.name not in _LIBRARIES:
            raise
        sys.stderr.write(
            f"pellucid: the command needs {error.name}, which is not installed: pip install 'pellucid[cli]'\n"
        )
        return NOT_INSTALLED
    return app.main()


if __name__ == "__main__":
    sys.exit(main())
