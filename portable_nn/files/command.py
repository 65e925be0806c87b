"""The command ``python -m portable_nn``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from portable_nn.backends import show_backends
from portable_nn.files.show import show

USAGE = "usage: python -m portable_nn [show FILE]"
HELP = f"""{USAGE}

Without arguments: which backends work on this machine, with their versions and devices, and what the
others lack.

show FILE   what is in a file of portable_nn.save, or in a checkpoint: its network, labels, size and
            version. It is checked for damage; nothing in it is executed, and scikit-learn is not needed.
"""


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit status."""
    if not arguments:
        show_backends()
        return 0
    if len(arguments) == 2 and arguments[0] == "show":
        return show(arguments[1])
    is_help = arguments[0] in ("-h", "--help")
    print(HELP if is_help else USAGE, file=sys.stdout if is_help else sys.stderr)
    return 0 if is_help else 2
