"""Our objects that a file can name, as plain values and back: by tables, never by an import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from portable_nn import schedules
from portable_nn.equations import (
    ACTIVATIONS,
    LOSSES,
    Activation,
    Bound,
    Loss,
    huber,
    leaky_relu,
    pinball,
    relu,
)
from portable_nn.equations.scikit_losses import BINARY_LOG_LOSS, LOG_LOSS, SQUARED_ERROR
from portable_nn.layers import Layer
from portable_nn.network import Network
from portable_nn.optimizers import SGD, Adam, AdamW, RMSprop
from portable_nn.storage.known_layers import LAYERS, network_of_layers
from portable_nn.storage.refusal import Unreadable

Fields = dict[str, Any]

# functions with constants: what makes them, and what their constants are called there
ACTIVATIONS_WITH_CONSTANTS: dict[str, tuple[Callable[..., Activation], tuple[str, ...]]] = {
    "relu": (relu, ("at_zero",)),
    "leaky_relu": (leaky_relu, ("slope", "at_zero")),
}
LOSSES_WITH_CONSTANTS: dict[str, tuple[Callable[..., Loss], tuple[str, ...]]] = {
    "huber": (huber, ("delta",)),
    "pinball": (pinball, ("quantile",)),
}
ALL_LOSSES = LOSSES | {  # two of these three have one name
    "binary_log_loss": BINARY_LOG_LOSS,
    "multinomial_log_loss": LOG_LOSS,
    "mean_squared_error": SQUARED_ERROR,
}
SCHEDULES: dict[str, Any] = {name: getattr(schedules, name) for name in schedules.__all__[1:]}
# what a user-defined object can be, where one of ours holds it
WANTED: dict[tuple[str, str], tuple[Callable[[Any], bool], str]] = {
    ("network", "activations"): (lambda one: isinstance(one, Activation), "a portable_nn.Activation"),
    ("network", "loss"): (lambda one: isinstance(one, Loss), "a portable_nn.Loss"),
    ("network", "layers"): (
        lambda one: isinstance(one, (Layer, Activation)),
        "a portable_nn.Layer, or a portable_nn.Activation",
    ),
    ("layer", "g"): (lambda one: isinstance(one, Activation), "a portable_nn.Activation"),
    ("optimizer", "learning_rate"): (callable, "a schedule: a function of the number of updates"),
    ("optimizer", "weight_decay"): (callable, "a schedule: a function of the number of updates"),
}
OPTIMIZERS: dict[str, Any] = {kind.__name__: kind for kind in (SGD, RMSprop, Adam, AdamW)}
TABLES = {"schedule": SCHEDULES, "optimizer": OPTIMIZERS, "layer": LAYERS}


def describe(value: Any) -> tuple[str, Fields] | None:
    """The kind of one of our objects, and what makes it; None for what is none of ours."""
    kind = type(value)
    if kind is Network and value.listed:
        return "network", {"inputs": value.sizes[0], "layers": value.listed, "loss": value.loss}
    if kind is Network:
        return "network", {"sizes": value.sizes, "activations": value.g, "loss": value.loss}
    if kind is Activation:
        return _described("activation", value, value.g_prime, ACTIVATIONS_WITH_CONSTANTS, ACTIVATIONS)
    if kind is Loss:
        return _described("loss", value, value.value, LOSSES_WITH_CONSTANTS, ALL_LOSSES)
    for tag, table in TABLES.items():
        if table.get(kind.__name__) is kind:
            named = {each.name: getattr(value, each.name) for each in fields(kind)}
            groups = named.pop("groups", None)
            if groups:  # else as before there were groups: older versions can read it
                named["groups"] = {key: dict(settings) for key, settings in groups.items()}
            return tag, {"name": kind.__name__} | named
    return None


def _described(
    tag: str, value: Any, function: Any, with_constants: dict[str, Any], others: dict[str, Any]
) -> tuple[str, Fields] | None:
    """A function by its name and constants, if it is what these make."""
    make, names = with_constants.get(value.name, (None, ()))
    if make is not None and type(function) is Bound and len(function.constants) == len(names):
        constants = dict(zip(names, function.constants, strict=True))
        try:
            is_ours = make(**constants) == value
        except (TypeError, ValueError):  # constants that ours cannot have
            is_ours = False
        return (tag, {"name": value.name} | constants) if is_ours else None
    found = [name for name, known in others.items() if known == value]
    return (tag, {"name": found[0]}) if found else None


def make(tag: str, given: Fields, most: int) -> Any:
    """The object that `describe` has described; Unreadable where that makes none.

    `most` bounds the sizes of the layers of a network.
    """
    try:
        if tag == "network" and "layers" in given:
            return network_of_layers(**given, most=most)
        if tag == "network":
            return Network(**given)
        named = dict(given)
        name = named.pop("name")
        if tag == "activation":
            return _made(name, named, ACTIVATIONS_WITH_CONSTANTS, ACTIVATIONS)
        if tag == "loss":
            return _made(name, named, LOSSES_WITH_CONSTANTS, ALL_LOSSES)
        return TABLES[tag][name](**named)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"it describes no {tag}: {type(error).__name__}: {str(error)[:200]}") from None


def check_custom_object(tag: str, field: str, name: str, given: Any) -> None:
    """Raise TypeError where a user-defined object cannot be what the file has it for."""
    suits, accepted = WANTED.get((tag, field), (None, ""))
    if suits is not None and not suits(given):
        raise TypeError(
            f"`custom[{name!r}]` is {given!r}, and the file has it as `{field}` of its {tag}; accepted: "
            f"{accepted}, as it was when the file was saved"
        )


def _made(name: str, constants: Fields, with_constants: dict[str, Any], others: dict[str, Any]) -> Any:
    if name not in with_constants:
        if constants:
            raise ValueError(f"{name!r} has no constants")
        return others[name]
    make, names = with_constants[name]
    if constants.keys() != set(names):
        raise ValueError(f"the constants of {name!r} are {', '.join(names)}")
    return make(**constants)
