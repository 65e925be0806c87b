"""What a layer is: arrays that are trained, a line forward, and its derivative right under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Self, TypeAlias

from portable_nn.equations import Activation, Array, Namespace
from portable_nn.errors import SignatureOfInit
from portable_nn.optimizers.array_names import KINDS, UNTRAINED

ALL_KINDS = KINDS + UNTRAINED

Theta: TypeAlias = Sequence[Array]  # the arrays of a layer, in the order of `Layer.parameters`
Gradients: TypeAlias = tuple[Array, tuple[Array | None, ...]]  # dL/dA below, dJ/dtheta
Initial: TypeAlias = float | Sequence[Any] | Callable[[Any, tuple[int, int]], Any] | str
BY_SCHEME = "by scheme"  # of `Network.initialize`, as the weights of a dense layer


@dataclass(frozen=True)
class Parameter:
    """An array of a layer.

    Parameters
    ----------
    symbol : str
        What the source calls it: "gamma"; a letter or a word.
    shape : (int, int)
        Of one network: a number for each of n units is a column, (n, 1).
    kind : str
        "weights", "biases", "scales" or "embeddings", by which groups of an optimizer tell them apart;
        "statistics", which training moves, but no optimizer; "constants", which nothing changes.
    initial : float, nested sequence of numbers, callable, or "by scheme"
        The first value of all entries; all values; ``initial(random, shape)``, which draws them on the
        host by a numpy.random.Generator; or as the weights of a dense layer, by the scheme asked for.
    is_shared : bool
        Whether the networks of a stack share it.
    is_nonnegative : bool
        Whether only values >= 0 have a meaning, as of a variance.

    Examples
    --------
    >>> import portable_nn as pnn
    >>> pnn.Parameter("gamma", (3, 1), kind="scales", initial=1.0).shape
    (3, 1)
    """

    symbol: str
    shape: tuple[int, int]
    kind: str
    initial: Initial = 0.0
    is_shared: bool = False
    is_nonnegative: bool = False


ELSEWHERE = {  # what other libraries call it
    "eps": "epsilon",
    "num_features": "the units follow from the layer below",
    "normalized_shape": "the units follow from the layer below",
    "num_embeddings": "levels={column: number of categories}",
    "embedding_dim": "dim",
    "in_features": "the units below follow from the layer below",
    "out_features": "units",
}


class Layer:
    """A layer between the inputs and the output's activation: subclass it as a frozen dataclass.

    Examples are columns: A is (n, B), or (K, n, B) in a stack of K networks. Only the last two axes have
    a meaning. Everything is written with the functions of the namespace `xp`, the Python array API
    standard, and looks at no value.

    Parameters
    ----------
    *arguments, **named : fields of the subclass
        Its constructor is that of the dataclass.

    Attributes
    ----------
    is_activation : bool
        Whether dropout comes after it, as after an activation; False by default.

    Raises
    ------
    TypeError
        If the subclass has no argument of that name.

    Examples
    --------
    A trained shift of each unit:

    >>> from dataclasses import dataclass
    >>> import portable_nn as pnn
    >>> @dataclass(frozen=True)
    ... class Shift(pnn.Layer):
    ...     def parameters(self, n):
    ...         return (pnn.Parameter("beta", (n, 1), "biases"),)
    ...     def forward(self, xp, theta, A):
    ...         return A + theta[0], None
    ...     def backward(self, xp, theta, kept, dA):
    ...         return dA, (xp.mean(dA, axis=-1, keepdims=True),)
    >>> net = pnn.Network((2, Shift(), 3, "relu", 1), loss="squared_error")
    >>> [[array.shape for array in layer] for layer in net.initialize()]
    [[(2, 1)], [(3, 2), (3, 1)], [(1, 3), (1, 1)]]
    """

    __signature__ = SignatureOfInit()

    def __new__(cls, *arguments: Any, **named: Any) -> Self:
        """A layer; TypeError for an argument under the name that another library gives it."""
        known = [each.name for each in fields(cls) if each.init] if is_dataclass(cls) else list(named)
        for name in named.keys() - set(known):
            hint = f"; here: {ELSEWHERE[name]}" if name in ELSEWHERE else ""
            raise TypeError(
                f"{cls.__name__} has no argument `{name}`; accepted: {', '.join(known)}{hint}"
            )
        if arguments and is_dataclass(cls) and all(each.kw_only for each in fields(cls)):
            raise TypeError(
                f"{cls.__name__} was given {arguments[0]!r}; accepted: {', '.join(known)}, by name; its "
                "number of units follows from the layer below"
            )
        return super().__new__(cls)

    is_activation = False  # whether dropout comes after it, as after an activation

    @property
    def activations(self) -> tuple[Activation, ...]:
        """The activations that it calls, which may be user-defined; none by default."""
        return ()

    def width(self, n: int) -> int:
        """How many units it gives; by default as many as there are below.

        Parameters
        ----------
        n : int
            The units below.

        Returns
        -------
        int

        Raises
        ------
        ValueError
            If it cannot stand on so many units.
        """
        return n

    def parameters(self, n: int) -> tuple[Parameter, ...]:
        """Its arrays; none by default.

        Parameters
        ----------
        n : int
            The units below.

        Returns
        -------
        tuple of Parameter
            In the order in which the other methods take them as `theta`.
        """
        return ()

    def forward(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        """Its output, and what `backward` will need.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta : sequence of arrays
            Its arrays, in the order of `parameters`.
        A : array (n, B)
            The output of the layer below.

        Returns
        -------
        A : array (width(n), B)
            Its output.
        kept : object
            Arrays, and lists and tuples of them, that `backward` gets.

        Raises
        ------
        NotImplementedError
            If the subclass defines none.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no `forward`")

    def backward(self, xp: Namespace, theta: Theta, kept: Any, dA: Array) -> Gradients:
        """dL/dA of the layer below, and the gradients of its arrays.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta : sequence of arrays
            Its arrays, in the order of `parameters`.
        kept : object
            What `forward`, or `forward_in_training`, returned.
        dA : array (width(n), B)
            dL/dA of its output, of each example alone.

        Returns
        -------
        dA : array (n, B)
            dL/dA of the layer below, of each example alone.
        dtheta : tuple of arrays
            dJ/dtheta for each of its arrays, the mean over the B examples; None for those not trained.

        Raises
        ------
        NotImplementedError
            If the subclass defines none.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no `backward`")

    def forward_in_training(self, xp: Namespace, theta: Theta, A: Array) -> tuple[Array, Any]:
        """As `forward`, where it differs while the network is trained; by default `forward` itself.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta : sequence of arrays
            Its arrays, in the order of `parameters`.
        A : array (n, B)
            The output of the layer below.

        Returns
        -------
        A : array (width(n), B)
            Its output.
        kept : object
            What `backward` and `moved` get.
        """
        return self.forward(xp, theta, A)

    def moved(self, xp: Namespace, theta: Theta, kept: Any) -> Theta:
        """Its arrays with new statistics; by default `theta` itself.

        Parameters
        ----------
        xp : namespace
            The library of the arrays.
        theta : sequence of arrays
            Its arrays, in the order of `parameters`.
        kept : object
            What `forward_in_training` returned for a batch.

        Returns
        -------
        sequence of arrays
            As many as `theta`, of the same shapes.
        """
        return theta

    def standardizing(self, theta: Theta, mean: Any, deviation: Any) -> Theta:
        """Its arrays, such that units of this mean and deviation get the mean 0 and the deviation 1.

        It serves ``initialize(data=...)``, on the host.

        Parameters
        ----------
        theta : sequence of arrays
            Its arrays, in the order of `parameters`.
        mean, deviation : array (width(n), 1)
            Of each output unit, with the arrays `theta`.

        Returns
        -------
        sequence of arrays
            `theta` itself where the layer has no scale or shift.
        """
        return theta
