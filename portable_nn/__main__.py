"""``python -m portable_nn``: which backends work here, and if not, why; ``show FILE``: what it holds."""

import sys

from portable_nn.backends import show_backends
from portable_nn.files.show import show

USAGE = "usage: python -m portable_nn [show FILE]"


def main(arguments: list[str]) -> int:
    """The exit status of the command with these arguments."""
    if not arguments:
        show_backends()
        return 0
    if len(arguments) == 2 and arguments[0] == "show":
        return show(arguments[1])
    print(USAGE, file=sys.stdout if arguments[0] in ("-h", "--help") else sys.stderr)
    return 0 if arguments[0] in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
