"""The door: what a user hands in is checked here, before anything is computed or changed."""

from portable_nn.checks.arrays import *  # noqa: F403
