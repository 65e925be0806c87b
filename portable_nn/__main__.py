"""``python -m portable_nn``: which backends work here, and if not, why; ``show FILE``: what it holds."""

import sys

from portable_nn.files.command import main

if __name__ == "__main__" and (status := main(sys.argv[1:])):
    sys.exit(status)
