"""How bash has commands completed.

What click does by itself reads the words as bash has split them, which is at colons too: it never sees a URL.
"""

from __future__ import annotations

import os

from click.shell_completion import BashComplete, split_arg_string

__all__ = ["WholeWords"]

_SOURCE = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(env COMP_LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class WholeWords(BashComplete):
    """Completes the last word of the line up to the cursor, which it splits at blanks alone."""

    source_template = _SOURCE

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is completed, the command's name left out, and that one as far as it goes."""
        line = os.environ["COMP_LINE"]
        words = split_arg_string(line)
        begun = "" if line[-1:].isspace() else words.pop()
        return words[1:], begun
