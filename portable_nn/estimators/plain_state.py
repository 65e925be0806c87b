"""The state of a pickle in plain values: of ours it names the estimators' classes, and nothing else.

So a pickle outlives a function of ours that is moved, and tools that ask which types a file has, such as
skops, find no other one.
"""

from __future__ import annotations

from typing import Any

from portable_nn.estimators.optimization import Optimization
from portable_nn.optimizers import OptimizerState
from portable_nn.storage.known_objects import describe
from portable_nn.storage.plain_values import Decoder, Encoder

MARK = "portable_nn"  # the one key of what stands for an object of ours
OPTIMIZER = ("solver", "learning_rate", "rule")


def as_plain(state: dict[str, Any]) -> dict[str, Any]:
    """The state with our objects as plain values; user-defined functions stay what they are."""
    found = {name: plain_value(value) for name, value in state.items()}
    optimization = state.get("_optimizer")
    if isinstance(optimization, Optimization):
        t, slots = optimization.state
        plain = {name: getattr(optimization, name) for name in OPTIMIZER}
        found["_optimizer"] = plain | {"t": t, "slots": slots}
    return found


def from_plain(state: dict[str, Any]) -> dict[str, Any]:
    """What `as_plain` has made plain, as it was; and the states of older pickles, which hold objects."""
    found = {name: value_of(value) for name, value in state.items()}
    given = state.get("_optimizer")
    if isinstance(given, dict):
        optimization = Optimization.__new__(Optimization)
        optimization.__dict__.update({name: given[name] for name in OPTIMIZER})
        optimization.state = OptimizerState(given["t"], given["slots"])
        found["_optimizer"] = optimization
    return found


def plain_value(value: Any) -> Any:
    """An object of ours, or a list or tuple with some, as plain values; anything else as it is."""
    parts = value if isinstance(value, (list, tuple)) else [value]
    if all(describe(part) is None for part in parts):
        return value
    try:
        return {MARK: Encoder({}).encode(value)}
    except TypeError:  # there is a user-defined one among them
        return value


def value_of(value: Any) -> Any:
    """What `plain_value` has made plain, as it was."""
    if isinstance(value, dict) and value.keys() == {MARK}:
        return Decoder({}, {}, keep_layout=False).decode(value[MARK])
    return value
