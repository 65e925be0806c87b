"""What a network is before it has parameters, and its first ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from portable_nn import backends
from portable_nn.checks import Given, check_dtype, check_owner, check_whole
from portable_nn.equations import Activation, Array, Loss, Parameters
from portable_nn.errors import missing_attribute, unknown_name
from portable_nn.layers.described import Described, Layers, dense_layers, described, is_dense
from portable_nn.network.choices import ELSEWHERE, loss_of, network_layers, warn_of_unsuited_pair
from portable_nn.network.data_driven import standardized_by
from portable_nn.network.initialization import SCHEMES, check_held, draw
from portable_nn.network.objective import Objective
from portable_nn.network.parameters import check_parameters
from portable_nn.network.summary import in_brief, table
from portable_nn.optimizers.array_names import ArrayName


@dataclass(frozen=True, init=False, repr=False)
class Architecture:
    """The layers and the loss of a `Network`, which has the arguments and attributes."""

    sizes: tuple[int, ...]
    g: tuple[Activation, ...]
    loss: Loss
    listed: Layers  # the layers where they are a list, none of a dense network

    def __init__(
        self,
        sizes: Sequence[Any],
        activations: Sequence[str | Activation] | None = None,
        loss: str | Loss | None = None,
        normalization: Any = None,
    ) -> None:
        if loss is None:
            raise TypeError("`loss` is missing; accepted: a name such as 'squared_error', or a Loss")
        n_0, layers = network_layers(sizes, activations, normalization)
        net = described(n_0, layers)
        for name, value in {
            "sizes": net.sizes,
            "g": net.model.g,
            "loss": loss_of(loss),
            "listed": () if is_dense(layers) else layers,
        }.items():
            object.__setattr__(self, name, value)
        warn_of_unsuited_pair(self.g[-1], self.loss, self.sizes[-1])

    def __repr__(self) -> str:
        return in_brief(self.sizes, self.g, self.listed, self.loss)

    def __str__(self) -> str:
        return self.summary()

    def summary(self, dtype: str = "float32") -> str:
        """A table with a line for each layer: its units, the shapes of its arrays, how much they hold.

        Parameters
        ----------
        dtype : str
            "float32" or "float64", of the parameters whose bytes are counted.

        Returns
        -------
        str
            ``print(net)`` shows that of float32.

        Raises
        ------
        TypeError, ValueError
            For another `dtype`.

        Examples
        --------
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 3, 1), ("relu", "identity"), "squared_error")
        >>> print(net.summary())
        Network with the loss squared_error, float32
        layer     units  arrays                  parameters  bytes
        inputs        2
        Dense         3  W[1] 3 x 2, b[1] 3 x 1           9     36
        relu          3
        Dense         1  W[2] 1 x 3, b[2] 1 x 1           4     16
        identity      1
        in all                                           13     52
        """
        return table(self.described, self.layers, self.loss, check_dtype(dtype))

    @cached_property
    def layers(self) -> Layers:
        """All layers and activations, the output's activation last."""
        return self.listed or dense_layers(self.sizes, self.g)

    @cached_property
    def described(self) -> Described:
        """What follows from the layers: arrays, shapes, equations."""
        return described(self.sizes[0], self.layers)

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # without what is cached

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
        data: Array | None = None,
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
        dtype : str
            "float32" or "float64".
        scheme : str
            "normal": 0.01 N(0, 1), the source's; "he": N(0, 2 / n_{l-1}) (He et al., 2015); "glorot":
            N(0, 2 / (n_{l-1} + n_l)) (Glorot and Bengio, 2010); "auto": "he" in layers of the relu
            family, else "glorot". Biases are zero.
        stack : int or sequence of int
            K or (K,) makes K independent networks.
        data : array (n_samples, n_0), optional
            Rows of X, some hundreds, of any library. From layer to layer, the scale and the shift of
            dense layers, and of `Scale`, are set such that every unit has the mean 0 and the variance 1
            on them. Computed on the host.

        Returns
        -------
        list of (W, b)
            On `backend` and `device`: W (n_l, n_{l-1}) and b (n_l, 1), with the stack's axes in front;
            of other layers the arrays that they name.

        Raises
        ------
        UnknownBackendError, BackendUnavailableError
            For `backend`.
        TypeError, ValueError
            For the other arguments, and for a dtype that the backend lacks.

        Examples
        --------
        >>> import portable_nn as pnn
        >>> net = pnn.Network((2, 3, 1), ("relu", "identity"), "squared_error")
        >>> [(W.shape, b.shape) for W, b in net.initialize(seed=0)]
        [((3, 2), (3, 1)), ((1, 3), (1, 1))]
        >>> net.initialize(stack=10)[0][0].shape
        (10, 3, 2)
        """
        if scheme not in SCHEMES:
            raise ValueError(unknown_name("scheme", scheme, SCHEMES))
        name = check_dtype(dtype)
        if isinstance(stack, (int, np.integer)) and not isinstance(stack, bool):
            stack = (int(stack),)
        if not isinstance(stack, (tuple, list)):
            raise TypeError(f"`stack` is {stack!r}; accepted: K for K networks, or a tuple such as (K,)")
        shape = tuple(check_whole("stack", k, 1) for k in stack)
        host = draw(self.described, self.sizes, seed, scheme, shape)
        if data is not None:
            check_owner("data", data)
            rows = backends.to_host(data)
            checked = check_parameters(self.described, self.loss, host)
            if rows.ndim != 2 or rows.dtype.kind not in "biuf" or len(rows) < 2:
                raise ValueError(
                    f"`data` has shape {rows.shape} and dtype {rows.dtype}; accepted: two rows or more "
                    f"of numbers, (n_samples, {self.sizes[0]})"
                )
            rows = rows.astype("float64")
            checked.check_data(Given(rows, has_targets=False))
            host = standardized_by(self.layers, host, rows)
        place = backends.get(backend, device)
        for layer, arrays in zip(self.described.layers, host, strict=True):
            check_held(layer, arrays, name)
        return [tuple(place.asarray(array, dtype=name) for array in layer) for layer in host]

    @cached_property
    def arrays(self) -> tuple[ArrayName, ...]:
        """Name, kind and layer of each array of the parameters, in their order."""
        found = self.described.arrays
        return tuple(ArrayName(name, array.kind, layer) for name, array, layer in found)

    @cached_property
    def objective(self) -> Objective:
        """What training lowers."""
        return Objective(self.described.model, self.loss)
