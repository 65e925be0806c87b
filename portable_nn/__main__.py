"""``python -m portable_nn``: which backends work here, and if not, why."""

from portable_nn.backends import show_backends

if __name__ == "__main__":
    show_backends()
