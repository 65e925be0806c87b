"""NumPy's older generator as plain values, checked before its compiled code is given them."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_nn.storage.refusal import Unreadable

GENERATOR = "MT19937"
WORDS = 624  # of its state; Matsumoto and Nishimura, 1998


def random_state_as_values(random: np.random.RandomState) -> dict[str, Any]:
    """The state of the generator; TypeError unless it is NumPy's default one."""
    state: Any = random.get_state(legacy=False)
    if state["bit_generator"] != GENERATOR:
        raise TypeError(
            f"`random_state` has the generator {state['bit_generator']}; accepted in a file: "
            f"{GENERATOR}, as in numpy.random.RandomState(seed)"
        )
    return {
        "generator": GENERATOR,
        "key": state["state"]["key"],
        "position": int(state["state"]["pos"]),
        "has_gauss": int(state["has_gauss"]),
        "gauss": float(state["gauss"]),
    }


def random_state_from_values(given: dict[str, Any]) -> np.random.RandomState:
    """A generator in that state; Unreadable for what is none.

    NumPy does not check the position, which is an index into the state.
    """
    names = ("generator", "key", "position", "has_gauss", "gauss")
    if tuple(given) != names:
        raise Unreadable("its `random_state` is no state of a generator")
    generator, key, position, has_gauss, gauss = given.values()
    if not (
        generator == GENERATOR
        and isinstance(key, np.ndarray)
        and (key.dtype, key.shape) == (np.uint32, (WORDS,))
        and type(position) is int
        and 0 <= position <= WORDS
        and has_gauss in (0, 1)
        and type(gauss) is float
    ):
        raise Unreadable("its `random_state` is no state of a generator")
    random = np.random.RandomState()
    random.set_state((generator, key, position, int(has_gauss), gauss))
    return random
