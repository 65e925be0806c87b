"""A feed-forward network: its sizes, activations and loss. Rows in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from portable_nn import backends
from portable_nn.checks import (
    NONNEGATIVE,
    POSITIVE,
    Given,
    PerNetwork,
    Value,
    along_stack,
    check_dtype,
    check_flag,
    check_number,
    check_stack,
    check_value,
    check_whole,
)
from portable_nn.equations import Activation, Array, Loss, Namespace, Parameters
from portable_nn.errors import missing_attribute, unknown_name
from portable_nn.network.choices import (
    ELSEWHERE,
    layers_of,
    loss_of,
    summary,
    warn_of_unsuited_pair,
)
from portable_nn.network.gradient_check import worst_difference
from portable_nn.network.initialization import SCHEMES, draw
from portable_nn.network.objective import Batch, Objective
from portable_nn.network.parameters import check_parameters
from portable_nn.network.prediction import layers, predict, streamed


@dataclass(frozen=True, init=False, repr=False)
class Network:
    """A feed-forward network before it has parameters: sizes, activations, loss; frozen and hashable.

    Parameters
    ----------
    sizes : sequence of int
        (n_0, ..., n_L): the number of inputs, then the units of each layer.
    activations : sequence of str or Activation
        (g[1], ..., g[L]), one per layer: "identity", "sigmoid", "tanh", "relu", "leaky_relu",
        "softmax", "elu", "selu", "exp", "softplus", "silu", "gelu", "mish", "hard_swish", or an
        `Activation`: of `relu` or `leaky_relu` with constants of your choice, or user-defined.
    loss : str or Loss
        "binary_cross_entropy", "categorical_cross_entropy", "squared_error", "absolute_error",
        "huber", "pinball", "poisson", or a user-defined `Loss`.

    Attributes
    ----------
    sizes : tuple of int
    g : tuple of Activation
    loss : Loss

    Raises
    ------
    TypeError, ValueError
        If an argument is not of that form, or a user-defined activation or loss fails on a tiny batch;
        the message lists what is accepted.

    Warns
    -----
    UserWarning
        If the output activation cannot give what the loss needs: binary_cross_entropy probabilities
        (of sigmoid or softmax), categorical_cross_entropy those of softmax, poisson positive numbers.
        If a derivative of a user-defined function is not what differences of the function give.

    Notes
    -----
    The loss of an example is a sum over the outputs: 1/2 (a - y)^2 for squared_error, |a - y| for
    absolute_error, half the deviance a - y + y log(y/a) for poisson. "pinball" is that of the median.

    Parameters are a plain list [(W[1], b[1]), ..., (W[L], b[L])] with the shapes (n_l, n_{l-1}) and
    (n_l, 1); for a stack of K networks each array has a leading axis K. X is (n_samples, n_0) and Y
    (n_samples, n_L); a stack shares them, or takes (K, n_samples, ...). Both have the dtype of the
    parameters, or one of integers or booleans (images as bytes, say), which is cast batch by batch. For
    categorical_cross_entropy Y may also be the indices of classes, integers (n_samples,); for
    binary_cross_entropy with one output, booleans or integers 0 and 1, (n_samples,). Results have the
    library and device of X, and the dtype of the parameters. Every method raises TypeError or
    ValueError, before it computes anything, for arrays of other shapes or dtypes, of several libraries
    or devices, and for NaN or infinite values (those of arrays being traced cannot be looked at).
    """

    sizes: tuple[int, ...]
    g: tuple[Activation, ...]
    loss: Loss

    def __init__(
        self, sizes: Sequence[int], activations: Sequence[str | Activation], loss: str | Loss
    ) -> None:
        chosen = *layers_of(sizes, activations), loss_of(loss)
        for name, value in zip(("sizes", "g", "loss"), chosen, strict=True):
            object.__setattr__(self, name, value)
        warn_of_unsuited_pair(self.g[-1], self.loss, self.sizes[-1])

    def __repr__(self) -> str:
        names = tuple(g.name for g in self.g)
        return f"Network({self.sizes}, activations={names}, loss={self.loss.name!r})"

    def __str__(self) -> str:
        return summary(self.sizes, self.g, self.loss)

    def __getattr__(self, name: str) -> Any:
        raise missing_attribute(self, name, ELSEWHERE)

    @backends.with_own_settings
    def initialize(
        self,
        seed: Any = 0,
        backend: Any = "numpy",
        dtype: Any = "float32",
        scheme: str = "auto",
        stack: int | Sequence[int] = (),
        device: Any = None,
    ) -> Parameters:
        """Initial parameters; the same seed gives the same ones on every backend.

        Parameters
        ----------
        seed : int, or one per network of the stack
            Network k of a stack has the parameters of ``initialize(seed=seeds[k])``; one int means
            seed, seed + 1, ..., seed + K - 1.
        backend : str or Backend
            The array library, by name or as `portable_nn.backends.get` returns it.
        device : optional
            A device of the library, or its name; None: its default, or the device of `backend`.
        dtype : "float32" or "float64"
        scheme : str
            "normal": 0.01 N(0, 1), the source's; "he": N(0, 2 / n_{l-1}) (He et al., 2015); "glorot":
            N(0, 2 / (n_{l-1} + n_l)) (Glorot and Bengio, 2010); "auto": "he" in layers of the relu
            family, else "glorot". Biases are zero.
        stack : int or sequence of int
            K or (K,) makes K independent networks.

        Raises
        ------
        UnknownBackendError, BackendUnavailableError
            For `backend`.
        TypeError, ValueError
            For the other arguments, and for a dtype that the backend lacks.
        """
        if scheme not in SCHEMES:
            raise ValueError(unknown_name("scheme", scheme, SCHEMES))
        name = check_dtype(dtype)
        if isinstance(stack, (int, np.integer)) and not isinstance(stack, bool):
            stack = (int(stack),)
        if not isinstance(stack, (tuple, list)):
            raise TypeError(f"`stack` is {stack!r}; accepted: K for K networks, or a tuple such as (K,)")
        shape = tuple(check_whole("stack", k, 1) for k in stack)
        host = draw(self.sizes, self.g, seed, scheme, shape)
        place = backends.get(backend, device)
        return [(place.asarray(W, dtype=name), place.asarray(b, dtype=name)) for W, b in host]

    @backends.with_own_settings
    def predict(self, params: Parameters, X: Array, stream: bool = False) -> Array:
        """A[L] as rows, (n_samples, n_L); (K, n_samples, n_L) for a stack of K networks.

        Computed for a few thousand rows at a time: besides the result, the memory needed does not grow
        with n_samples.

        Parameters
        ----------
        params : list of (W, b)
        X : array, (n_samples, n_0); (K, n_samples, n_0) for a stack
        stream : bool
            Whether X stays on the host, as a NumPy array or memory map: parts are sent to the device of
            `params`, each while the device computes with the one before. The result is a NumPy array.

        Examples
        --------
        >>> import numpy as np
        >>> net = Network((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
        >>> net.predict(net.initialize(), np.zeros((4, 2), "float32")).shape
        (4, 1)
        """
        check_flag("stream", stream)
        if stream:
            checked = check_parameters(self.sizes, self.loss, params)
            checked.check_values()
            batch = checked.check_host_data(Given(X, has_targets=False))
            return streamed(checked.backend, self.g, params, np.asarray(batch.X))
        xp, *_ = self._check(params, Given(X, has_targets=False))
        return predict(xp, lambda params, part: layers(xp, self.g, params, part)[-1], params, X)

    @backends.with_own_settings
    def activations(self, params: Parameters, X: Array) -> list[Array]:
        """Every layer's A as rows: A[1] (n_samples, n_1), ..., A[L] (n_samples, n_L).

        `params`, X and errors are as for `predict`; with a stack each A has its leading axis K.
        """
        xp, *_ = self._check(params, Given(X, has_targets=False))
        return layers(xp, self.g, params, X)

    @backends.with_own_settings
    def cost(
        self,
        params: Parameters,
        X: Array,
        Y: Array,
        l2: Value = 0.0,
        sample_weight: Array | None = None,
    ) -> Array:
        """J, as `cost_and_gradients` gives it, which takes the same arguments."""
        xp, batch, l2 = self._check(params, Given(X, Y, sample_weight), l2)
        J = self.objective.cost(xp, params, batch, l2)
        return J[...]  # an array also where NumPy gives a scalar

    @backends.with_own_settings
    def cost_and_gradients(
        self,
        params: Parameters,
        X: Array,
        Y: Array,
        l2: Value = 0.0,
        sample_weight: Array | None = None,
    ) -> tuple[Array, Parameters]:
        """J and its gradients.

        Parameters
        ----------
        params : list of (W, b)
        X, Y : array, (n_samples, n_0) and (n_samples, n_L)
            Y may also be the indices of classes; see the notes of `Network`.
        l2 : float, or one for each network of a stack
            The strength of the penalty; biases are not penalised.
        sample_weight : array (n_samples,), or (K, n_samples) for a stack; optional
            w_i >= 0; by default 1.

        Returns
        -------
        J : 0-d array, or of the stack's shape
            sum_i w_i L_i / sum_i w_i  +  l2 / (2 sum_i w_i) * sum_l ||W[l]||^2
        grads : list of (dJ/dW, dJ/db), of the structure of `params`
        """
        xp, batch, l2 = self._check(params, Given(X, Y, sample_weight), l2)
        J, grads = self.objective.gradients(xp, params, batch, l2)
        return J[...], grads

    @backends.with_own_settings
    def check_gradients(
        self,
        params: Parameters,
        X: Array,
        Y: Array,
        l2: float = 0.0,
        sample_weight: Array | None = None,
        epsilon: float = 1e-5,
    ) -> float:
        """How far the gradients are from two-sided differences of the cost: about 1e-8 when right.

        max |dJ - (J(theta + epsilon) - J(theta - epsilon)) / (2 epsilon)|, over every entry theta of
        the parameters, relative to the largest difference. Meant for float64 and small networks: each
        entry costs four evaluations of J, many of them in one pass as a stack. At a kink (relu at
        z = 0, as where all inputs of a unit are 0) any value between the two one-sided differences
        counts as right.

        Parameters
        ----------
        params : list of (W, b)
            Of one network, not of a stack.
        X, Y, l2, sample_weight
            As for `cost_and_gradients`.
        epsilon : float
            How far each entry is moved, > 0.
        """
        xp, batch, penalty = self._check(params, Given(X, Y, sample_weight), l2)
        epsilon = check_number("epsilon", epsilon, POSITIVE)
        if params[0][0].ndim > 2:
            raise ValueError("`params` is a stack; accepted: one network; check its members one by one")
        objective = self.objective

        def J(perturbed: Parameters) -> Any:
            return backends.to_host(objective.cost(xp, perturbed, batch, penalty))

        _, grads = objective.gradients(xp, params, batch, penalty)
        return worst_difference(J, params, grads, epsilon)

    @property
    def objective(self) -> Objective:
        """What training lowers."""
        return Objective(self.g, self.loss)

    def _check(self, params: Parameters, given: Given, l2: Value = 0.0) -> tuple[Namespace, Batch, Any]:
        """The namespace of the arrays, the data, and l2 as the objective takes it; all checked."""
        l2 = check_value("l2", l2, NONNEGATIVE)
        checked = check_parameters(self.sizes, self.loss, params)
        check_stack("l2", l2, checked.stack)
        batch, backend = checked.check_data(given), checked.backend
        if isinstance(l2, PerNetwork):
            return backend.xp, batch, backend.asarray(along_stack(l2), checked.dtype)
        return backend.xp, batch, l2 or None
