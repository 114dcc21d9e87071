"""What the peers need to run on Python 2.7 as well. Their literals are text, by `unicode_literals`; names are not."""

from __future__ import unicode_literals

import json
import sys


def native(words):
    """`words` as what this Python calls `str`: on Python 2 bytes, in which its programs keep names and messages."""
    if isinstance(words, str):
        return words
    return words.decode("utf-8") if isinstance(words, bytes) else words.encode("utf-8")


def text(value):
    """`value` as text: bytes are decoded, anything else is what it says of itself."""
    return value.decode("utf-8") if isinstance(value, bytes) else type("")(value)


def say(value):
    """One line of JSON to whoever started this program."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
