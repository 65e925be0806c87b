"""PyTorch: torch.nn.Sequential, both ways."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from portable_nn.backends import get, to_host
from portable_nn.equations import ACTIVATIONS, Activation, Loss, Parameters
from portable_nn.interchange.layers import RELU, Chain, check_same, leaky, name_and_constant
from portable_nn.interchange.models import model_of
from portable_nn.interchange.torch_layers import is_own, module_of, read_embedding, read_layer
from portable_nn.network import Network

# modules without an effect on a prediction
WITHOUT_EFFECT = ("Identity", "Dropout", "AlphaDropout", "FeatureAlphaDropout")
MODULES: dict[str, Callable[[Any, float | None], Any]] = {
    "relu": lambda nn, _: nn.ReLU(),
    "leaky_relu": lambda nn, slope: nn.LeakyReLU(slope),
    "sigmoid": lambda nn, _: nn.Sigmoid(),
    "tanh": lambda nn, _: nn.Tanh(),
    "softmax": lambda nn, _: nn.Softmax(dim=-1),
    "elu": lambda nn, _: nn.ELU(),
    "selu": lambda nn, _: nn.SELU(),
    # it is linear where e^-z < 4e-18, not 2e-9 as by default: right in float64 too
    "softplus": lambda nn, _: nn.Softplus(threshold=40.0),
    "silu": lambda nn, _: nn.SiLU(),
    "gelu": lambda nn, _: nn.GELU(approximate="tanh"),
    "mish": lambda nn, _: nn.Mish(),
    "hard_swish": lambda nn, _: nn.Hardswish(),
}
# the activation that a module is; None with other constants
KNOWN: dict[str, Callable[[Any], Activation | None]] = {
    "ReLU": lambda part: RELU,
    "LeakyReLU": lambda part: leaky(part.negative_slope) if 0 <= part.negative_slope <= 1 else None,
    "Sigmoid": lambda part: ACTIVATIONS["sigmoid"],
    "Tanh": lambda part: ACTIVATIONS["tanh"],
    "Softmax": lambda part: ACTIVATIONS["softmax"] if part.dim in (-1, 1) else None,
    "ELU": lambda part: ACTIVATIONS["elu"] if part.alpha == 1 else None,
    "SELU": lambda part: ACTIVATIONS["selu"],
    "SiLU": lambda part: ACTIVATIONS["silu"],
    "Mish": lambda part: ACTIVATIONS["mish"],
    "Hardswish": lambda part: ACTIVATIONS["hard_swish"],
    "Softplus": lambda part: (
        ACTIVATIONS["softplus"] if part.beta == 1 and part.threshold >= 20 else None
    ),
    "GELU": lambda part: ACTIVATIONS["gelu"] if part.approximate == "tanh" else None,
}
REMEDIES = {
    "GELU": "it is the erf form, and the array API standard has no erf; accepted: "
    "GELU(approximate='tanh')",
    "PReLU": "it trains the slope below 0, a ParametricActivation the share of an activation; accepted: "
    "LeakyReLU",
    "LogSoftmax": "it gives logarithms; accepted: leave it out, and pass output='softmax'",
}
ACCEPTED = (
    "accepted: Linear, BatchNorm1d, LayerNorm, Embedding, ReLU, LeakyReLU, Sigmoid, Tanh, Softmax, ELU, "
    "SELU, Softplus, SiLU, Mish, Hardswish, GELU(approximate='tanh'), Identity, Dropout, Sequential"
)


def from_torch(
    module: Any, loss: str | Loss | None = None, output: str | None = None, backend: Any = "numpy"
) -> tuple[Network, Parameters]:
    """The network in a ``torch.nn.Sequential``; its predictions are the module's in evaluation mode.

    Parameters
    ----------
    module : torch.nn.Sequential, or torch.nn.Linear
        Linear, BatchNorm1d and LayerNorm, each with an activation after it or none; Sequentials may be
        nested. An Embedding, Flatten and Linear may be the first ones: then all columns are codes.
        Modules that `to_torch` has made. Dropout has no effect on predictions, and is not carried over.
    loss : str or Loss, optional
        By default the one that suits the output: cross-entropies for sigmoid and softmax, else
        squared_error.
    output : str or Activation, optional
        The activation of the last layer where the module has none, as where it was trained with
        CrossEntropyLoss ("softmax") or BCEWithLogitsLoss ("sigmoid").
    backend : str or Backend
        Where the parameters, which are copies, go.

    Returns
    -------
    net : Network
    params : list of (W, b), or of the arrays of other layers

    Raises
    ------
    TypeError, ValueError
        For a module of another kind, which is named: ``GELU()`` is the erf form, and has no counterpart.
        For subclasses, hooks and a `forward` of a module's own, and parameters of several dtypes.

    Notes
    -----
    relu and leaky_relu have torch's derivatives at 0. Predictions are the same, but what is trained here
    may be more: a Linear without a bias gets one of 0, a normalization without a scale or a shift 1 and
    0, an Embedding a table for each column, and what `requires_grad` holds fast is trained. Parameters
    of 16 bits become float32.

    Examples
    --------
    >>> import torch
    >>> import portable_nn as pnn
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 4))
    >>> net, params = pnn.interchange.from_torch(module, output="softmax")
    >>> net.sizes, net.loss
    ((2, 3, 4), Loss('categorical_cross_entropy'))
    """
    torch = require_torch()
    torch_nn, chain = torch.nn, Chain()
    parts = list(modules(torch_nn, module, ""))
    check_one_dtype(module)
    takes_codes = bool(parts) and type(parts[0][1]) is torch_nn.Embedding
    for where, part in read_embedding(chain, parts) if takes_codes else parts:
        if type(part).__name__ == "Flatten" and not chain.layers:
            continue  # rows stay rows
        if type(part).__name__ not in WITHOUT_EFFECT and not read_layer(chain, where, part):
            chain.add_activation(where, activation_of(where, part))
    check_same("module", chain, lambda X: outputs_of(torch, module, X, takes_codes))
    return chain.network(loss, output, backend)


def outputs_of(torch: Any, module: Any, X: Any, takes_codes: bool = False) -> Any:
    """What the module gives for these rows in evaluation mode, on the host; its mode stays as it is."""
    states = [(each, each.training) for each in module.modules()]
    first = next(module.parameters())
    try:
        with torch.no_grad():
            dtype = torch.int64 if takes_codes else first.dtype
            return to_host(module.eval()(torch.from_numpy(X).to(first.device, dtype)))
    finally:
        for each, training in states:
            each.training = training


def to_torch(model: Any) -> Any:
    """The model as a ``torch.nn.Sequential`` in evaluation mode, on the CPU; the parameters are copies.

    Parameters
    ----------
    model : (net, params), or a fitted MLPClassifier or MLPRegressor
        On any backend; not a stack. A binary classifier's module gives the probability of the second
        class, shape (n_samples, 1).

    Returns
    -------
    module : torch.nn.Sequential
        Of Linear, BatchNorm1d, LayerNorm and activations; an embedding is a module of its own around an
        Embedding, any other layer a module that calls the layer, for which portable_nn has to be there.

    Raises
    ------
    TypeError, ValueError
        For another thing, for an activation that torch.nn has no module for (exp, user-defined ones),
        and a user-defined layer with statistics.

    Examples
    --------
    >>> import torch
    >>> import portable_nn as pnn
    >>> net = pnn.Network((2, 3, 1), ("relu", "identity"), "squared_error")
    >>> module = pnn.interchange.to_torch((net, net.initialize()))
    >>> module(torch.zeros(5, 2)).shape
    torch.Size([5, 1])
    """
    torch = require_torch()
    found = model_of(model)
    made: list[Any] = []
    for part in found.parts:
        if not isinstance(part.layer, Activation):
            made.append(module_of(torch, part))
            continue
        name, constant = name_and_constant(part.layer)
        if name != "identity" and name not in MODULES:
            raise TypeError(
                f"{part.described} has no module in torch.nn; accepted: identity, {', '.join(MODULES)}"
            )
        made += [MODULES[name](torch.nn, constant)] if name in MODULES else []
    return torch.nn.Sequential(*made).eval()


def require_torch() -> Any:
    """The library; ImportError saying how to get it where it is not installed."""
    get("torch")
    return importlib.import_module("torch")


def modules(torch_nn: Any, module: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The parts of a module in their order, each with its name for messages."""
    if isinstance(module, torch_nn.Module):
        check_computes_as_its_class(f"the module {where!r}" if where else "`module`", module)
    if type(module) is torch_nn.Sequential:
        for name, part in module.named_children():
            yield from modules(torch_nn, part, f"{where}.{name}" if where else name)
    elif isinstance(module, torch_nn.Module):
        yield (f"the module {where!r}, {module}," if where else f"the module {module}"), module
    else:
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        raise TypeError(f"`module` is a {kind}; accepted: a torch.nn.Sequential")


def check_computes_as_its_class(where: str, module: Any) -> None:
    """Raise ValueError where a module may compute something else than its class in torch.nn does.

    To compare predictions is not enough: what a hook or a method does may depend on the rows.
    """
    kind = type(module)
    if not kind.__module__.startswith("torch.nn.modules.") and not is_own(kind):
        raise ValueError(
            f"{where} is a {kind.__module__}.{kind.__qualname__}, which may compute something else than "
            f"a class of torch.nn; {ACCEPTED}, not their subclasses; put together a Sequential of its "
            "layers, after torch.nn.utils.parametrize.remove_parametrizations where there are any"
        )
    # nothing of torch says whether there are hooks but these
    if module._forward_hooks or module._forward_pre_hooks:
        raise ValueError(
            f"{where}, a {kind.__name__}, has forward hooks; accepted: modules without any; remove "
            "them: with the handle's remove(), or torch.nn.utils.prune.remove or remove_weight_norm"
        )
    if "forward" in vars(module):
        raise ValueError(
            f"{where}, a {kind.__name__}, has a `forward` of its own; accepted: that of its class; "
            "delete the attribute"
        )


def check_one_dtype(module: Any) -> None:
    """Raise ValueError unless the parameters of a module are of one dtype."""
    dtypes = sorted({str(parameter.dtype) for parameter in module.parameters()})
    if len(dtypes) > 1:
        raise ValueError(
            f"`module` has parameters of the dtypes {', '.join(dtypes)}; accepted: one dtype; convert "
            "it, as with module.double()"
        )


def activation_of(where: str, part: Any) -> Activation:
    """The activation that a module is; ValueError for what is none of ours."""
    kind = type(part).__name__
    found = KNOWN[kind](part) if kind in KNOWN else None
    if found is None:
        raise ValueError(f"{where} has no counterpart here; {REMEDIES.get(kind, ACCEPTED)}")
    return found
