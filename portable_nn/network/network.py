"""A feed-forward network: its layers and its loss. Rows in, rows out."""

from __future__ import annotations

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
    check_flag,
    check_number,
    check_stack,
    check_value,
)
from portable_nn.equations import Array, Namespace, Parameters
from portable_nn.network.architecture import Architecture
from portable_nn.network.gradient_check import Host, relative_errors
from portable_nn.network.objective import Batch, as_dtype
from portable_nn.network.parameters import check_batch, check_parameters
from portable_nn.network.prediction import compiled_prediction, layers, predict, streamed


@dataclass(frozen=True, init=False, repr=False)
class Network(Architecture):
    """A feed-forward network before it has parameters: layers and a loss; frozen and hashable.

    Parameters
    ----------
    sizes : sequence
        (n_0, ..., n_L): the number of inputs, then the units of each layer. Without `activations` a
        list of layers after the number of inputs: the units of a dense layer (without b right below a
        `BatchNorm`), an activation, or a `Layer`: ``(784, 256, pnn.BatchNorm(), "relu", 10)``.
    activations : sequence of str or Activation, optional
        (g[1], ..., g[L]), one per layer: "identity", "sigmoid", "tanh", "relu", "leaky_relu",
        "softmax", "elu", "selu", "exp", "softplus", "silu", "gelu", "mish", "hard_swish", or an
        `Activation`: of `relu` or `leaky_relu` with constants of your choice, or user-defined.
    loss : str or Loss
        "binary_cross_entropy", "categorical_cross_entropy", "squared_error", "absolute_error",
        "huber", "pinball", "poisson", or a user-defined `Loss`.
    normalization : "batch", "layer", or a Layer; optional
        What stands before each hidden activation; below "batch" the dense layers have no b.

    Attributes
    ----------
    sizes : tuple of int
        (n_0, ..., n_L): of the inputs, after each hidden activation, and of the output.
    g : tuple of Activation
    loss : Loss
    layers : tuple of Layer and Activation
        All of them, the output's activation last.

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

    Examples
    --------
    >>> import numpy as np
    >>> import portable_nn as pnn
    >>> net = pnn.Network((4, 8, 3), ("relu", "softmax"), "categorical_cross_entropy")
    >>> params, X = net.initialize(seed=0), np.ones((5, 4), dtype="float32")
    >>> net.predict(params, X).sum(axis=1).round(6)
    array([1., 1., 1., 1., 1.], dtype=float32)
    """

    @backends.with_own_settings
    def predict(self, params: Parameters, X: Array, stream: bool = False) -> Array:
        """A[L] as rows.

        Computed for a few thousand rows at a time: besides the result, the memory needed does not grow
        with n_samples.

        Parameters
        ----------
        params : list of (W, b)
            Of the shapes that `initialize` gives.
        X : array (n_samples, n_0), or (K, n_samples, n_0) for a stack
            The inputs; rows are examples.
        stream : bool
            Whether X stays on the host, as a NumPy array, memory map or store of rows (see `fit`): parts
            are sent to the device of `params`, each while the device computes with the one before. The
            result is a NumPy array.

        Returns
        -------
        array (n_samples, n_L), or (K, n_samples, n_L) for a stack
            Of the dtype of `params`.

        Raises
        ------
        TypeError, ValueError
            For arrays of other shapes, dtypes, libraries or devices, and for NaN or infinite values.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
        >>> net.predict(net.initialize(), np.zeros((4, 2), "float32")).shape
        (4, 1)
        """
        check_flag("stream", stream)
        if stream:
            checked = check_parameters(self.described, self.loss, params)
            checked.check_values()
            batch = checked.check_host_data(Given(X, has_targets=False))
            result = checked.stack, self.sizes[-1]
            return streamed(checked.backend, self.described.model, params, batch.X, result)
        checked = check_parameters(self.described, self.loss, params)
        batch = checked.check_data(Given(X, has_targets=False))
        backend, model = checked.backend, self.described.model
        if backend.padded_bytes:  # each operation would be compiled, for each number of rows
            return compiled_prediction(backend, model, params, batch.X)
        xp = backend.xp
        return predict(
            backend, lambda params, part: layers(xp, model, params, part)[-1], params, batch.X
        )

    @backends.with_own_settings
    def activations(self, params: Parameters, X: Array) -> list[Array]:
        """Every layer's A as rows.

        Parameters
        ----------
        params : list of (W, b)
            Of the shapes that `initialize` gives.
        X : array (n_samples, n_0), or (K, n_samples, n_0) for a stack
            The inputs; rows are examples.

        Returns
        -------
        list of arrays (n_samples, n_l)
            A[1], ..., A[L], in a stack with its axis in front. Of a list of layers, what comes out of
            each of them, activations included, in order.

        Raises
        ------
        TypeError, ValueError
            As for `predict`.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
        >>> [A.shape for A in net.activations(net.initialize(), np.zeros((4, 2), "float32"))]
        [(4, 3), (4, 1)]
        """
        xp, batch, _ = self._check(params, Given(X, has_targets=False))
        return layers(xp, self.described.model, params, batch.X)

    @backends.with_own_settings
    def cost(
        self,
        params: Parameters,
        X: Array,
        Y: Array,
        l2: Value = 0.0,
        sample_weight: Array | None = None,
        training: bool = False,
    ) -> Array:
        """The cost J of the rows X, with the penalty.

        Parameters
        ----------
        params : list of (W, b)
            Of the shapes that `initialize` gives.
        X, Y : array (n_samples, n_0) and (n_samples, n_L)
            Y may also be the indices of classes; see the notes of `Network`.
        l2 : float, or one for each network of a stack
            The strength of the penalty, >= 0; biases are not penalised.
        sample_weight : array (n_samples,), or (K, n_samples) for a stack; optional
            w_i >= 0; by default 1.
        training : bool
            Whether statistics, as of batch normalization, are those of the rows X, as in training; by
            default they are the running ones.

        Returns
        -------
        0-d array, or of the stack's shape
            sum_i w_i L_i / sum_i w_i  +  l2 / (2 sum_i w_i) * sum_l ||W[l]||^2

        Raises
        ------
        TypeError, ValueError
            As for `predict`, and where `l2` or a weight is negative.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 1), ("identity",), "squared_error")
        >>> params, X = [(np.array([[1.0, 1.0]]), np.array([[0.0]]))], np.array([[1.0, 2.0], [0.0, 1.0]])
        >>> float(net.cost(params, X, np.array([[1.0], [1.0]])))  # (1/2 * 2^2 + 0) / 2
        1.0
        """
        xp, batch, l2 = self._check(params, Given(X, Y, sample_weight), l2, training)
        J = self.objective.cost(xp, params, batch, l2, training)
        return J[...]  # an array also where NumPy gives a scalar

    @backends.with_own_settings
    def cost_and_gradients(
        self,
        params: Parameters,
        X: Array,
        Y: Array,
        l2: Value = 0.0,
        sample_weight: Array | None = None,
        training: bool = True,
    ) -> tuple[Array, Parameters]:
        """The cost J of the rows X, with the penalty, and its gradients.

        Parameters
        ----------
        params : list of (W, b)
            Of the shapes that `initialize` gives.
        X, Y : array (n_samples, n_0) and (n_samples, n_L)
            Y may also be the indices of classes; see the notes of `Network`.
        l2 : float, or one for each network of a stack
            The strength of the penalty, >= 0; biases are not penalised.
        sample_weight : array (n_samples,), or (K, n_samples) for a stack; optional
            w_i >= 0; by default 1.
        training : bool
            Whether statistics, as of batch normalization, are those of the rows X, as in training; else
            they are the running ones.

        Returns
        -------
        J : 0-d array, or of the stack's shape
            sum_i w_i L_i / sum_i w_i  +  l2 / (2 sum_i w_i) * sum_l ||W[l]||^2
        grads : list of (dJ/dW, dJ/db), of the structure of `params`
            None in place of an array that is not trained.

        Raises
        ------
        TypeError, ValueError
            As for `predict`, and where `l2` or a weight is negative.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 1), ("identity",), "squared_error")
        >>> params, X = [(np.array([[1.0, 1.0]]), np.array([[0.0]]))], np.array([[1.0, 2.0], [0.0, 1.0]])
        >>> J, [(dW, db)] = net.cost_and_gradients(params, X, np.array([[1.0], [1.0]]))
        >>> dW, db
        (array([[1., 2.]]), array([[1.]]))
        """
        xp, batch, l2 = self._check(params, Given(X, Y, sample_weight), l2, training)
        J, grads = self.objective.gradients(xp, params, batch, l2, training=training)
        return J[...], grads

    @backends.with_own_settings
    def with_statistics(self, params: Parameters, X: Array) -> Parameters:
        """The parameters after the rows X of a batch have moved their running statistics.

        `fit` does it in each update; this is for a training loop of your own.

        Parameters
        ----------
        params : list of (W, b)
            Of the shapes that `initialize` gives; none of the arrays is changed.
        X : array (n_samples, n_0), or (K, n_samples, n_0) for a stack
            The rows of the batch, two or more where there is a `BatchNorm`.

        Returns
        -------
        list of (W, b)
            `params`, with new statistics.

        Raises
        ------
        TypeError, ValueError
            As for `predict`, and where a batch is too small.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((1, pnn.BatchNorm(momentum=0.5), 1), loss="squared_error")
        >>> params, X = net.initialize(dtype="float64"), np.array([[1.0], [3.0]])
        >>> gamma, beta, mean, variance = net.with_statistics(params, X)[0]
        >>> mean.item(), variance.item()  # half of 0 and 2, half of 1 and the 2 of these rows
        (1.0, 1.5)
        """
        xp, batch, _ = self._check(params, Given(X, has_targets=False), training=True)
        model, X = self.described.model, as_dtype(xp, batch.X, params[0][0].dtype).mT
        return model.moved(xp, params, model.forward(xp, params, X, training=True))

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
        entry costs four evaluations of J, at a kink eight, many of them in one pass as a stack. At a
        kink (relu at z = 0, as where all inputs of a unit are 0) any value between the two one-sided
        differences counts as right. What is wrong in an array whose gradient is a billionth of the
        largest is not seen.

        Parameters
        ----------
        params : list of (W, b)
            Of one network, not of a stack.
        X, Y : array (n_samples, n_0) and (n_samples, n_L)
            As for `cost_and_gradients`.
        l2 : float
            The strength of the penalty, >= 0.
        sample_weight : array (n_samples,), optional
            w_i >= 0; by default 1.
        epsilon : float
            How far each entry is moved, > 0.

        Returns
        -------
        float
            The largest relative error; 0 for equal ones. `gradient_errors` has that of each entry.

        Raises
        ------
        TypeError, ValueError
            As for `cost_and_gradients`, for a stack, and for an `epsilon` <= 0, or one that is too small
            to change a parameter.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
        >>> X, Y = np.array([[0.5, -1.0], [1.0, 2.0]]), np.array([[0.0], [1.0]])
        >>> net.check_gradients(net.initialize(dtype="float64"), X, Y) < 1e-6
        True
        """
        found = self.gradient_errors(params, X, Y, l2, sample_weight, epsilon)
        return float(np.max([errors.max() for errors in found.values()]))

    @backends.with_own_settings
    def gradient_errors(
        self,
        params: Parameters,
        X: Array,
        Y: Array,
        l2: float = 0.0,
        sample_weight: Array | None = None,
        epsilon: float = 1e-5,
    ) -> dict[str, Host]:
        """How far the gradient of each entry is from a difference: where `check_gradients` is large.

        Errors are relative to the largest difference of all arrays. Where those of W[l] are small and
        those of W[l-1] are not, the derivative of the activation of layer l-1 is wrong; whether others
        below are is seen once it is mended.

        Parameters
        ----------
        params : list of (W, b)
            Of one network, not of a stack.
        X, Y, l2, sample_weight, epsilon : array, float
            As for `check_gradients`.

        Returns
        -------
        dict of str to array
            The errors of each trained array by its name, W[1], b[1], ..., as NumPy arrays of its shape,
            relative to the largest difference of all arrays.

        Raises
        ------
        TypeError, ValueError
            As for `check_gradients`.

        Examples
        --------
        >>> import numpy as np
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 3, 1), ("tanh", "sigmoid"), "binary_cross_entropy")
        >>> X, Y = np.array([[0.5, -1.0], [1.0, 2.0]]), np.array([[0.0], [1.0]])
        >>> found = net.gradient_errors(net.initialize(dtype="float64"), X, Y)
        >>> {name: bool(errors.max() < 1e-6) for name, errors in found.items()}
        {'W[1]': True, 'b[1]': True, 'W[2]': True, 'b[2]': True}
        """
        xp, batch, penalty = self._check(params, Given(X, Y, sample_weight), l2, True)
        epsilon = check_number("epsilon", epsilon, POSITIVE)
        if check_parameters(self.described, self.loss, params).stack:
            raise ValueError("`params` is a stack; accepted: one network; check its members one by one")
        objective = self.objective

        def J(perturbed: Parameters) -> Any:
            return backends.to_host(objective.cost(xp, perturbed, batch, penalty, training=True))

        _, grads = objective.gradients(xp, params, batch, penalty)
        each = zip(self.arrays, relative_errors(J, params, grads, epsilon), strict=True)
        return {array.name: errors for array, errors in each if errors is not None}

    def _check(
        self, params: Parameters, given: Given, l2: Value = 0.0, training: bool = False
    ) -> tuple[Namespace, Batch, Any]:
        """The namespace of the arrays, the data, and l2 as the objective takes it; all checked."""
        l2 = check_value("l2", l2, NONNEGATIVE)
        checked = check_parameters(self.described, self.loss, params)
        check_stack("l2", l2, checked.stack)
        batch, backend = checked.check_data(given), checked.backend
        if check_flag("training", training):
            check_batch(self.described, batch.X.shape[-2])
        if isinstance(l2, PerNetwork):
            return backend.xp, batch, backend.asarray(along_stack(l2), checked.dtype)
        return backend.xp, batch, l2 or None
