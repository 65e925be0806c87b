"""Networks that share their weights, trained as one estimator: TabM.

Each hidden layer is s_k (W (r_k a)) + b_k: W is shared, the vectors r, s and b are network k's; the
output layer is each network's own. What is minimized is the mean of the networks' costs, each on batches
of its own; training is judged, and stopped, by their averaged predictions. At first the networks differ
by the signs in the first layer's r, which are drawn, and by their output layers; other r and s are 1.

Gorishniy, Kotelnikov and Babenko, "TabM: Advancing tabular deep learning with parameter-efficient
ensembling", 2025; Wen, Tran and Ba, "BatchEnsemble", 2020.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from portable_nn import trees
from portable_nn.backends import of, own_settings
from portable_nn.equations import Activation, Loss, Parameters
from portable_nn.estimators import inputs
from portable_nn.estimators.attributes import RECORD
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.classifier import MLPClassifier
from portable_nn.estimators.conventions import STOCHASTIC, initial_parameters
from portable_nn.estimators.fitting import SEEN, BaseMLP
from portable_nn.estimators.problem import Problem
from portable_nn.estimators.regressor import MLPRegressor
from portable_nn.estimators.targets import Targets
from portable_nn.estimators.validation import try_scorer
from portable_nn.layers import Dense, SharedDense
from portable_nn.network import Network
from portable_nn.network.prediction import compiled_prediction
from portable_nn.training.resuming import Resumption

COPIED = (  # what the members know of the one training
    *(name for name in RECORD if name not in ("_best", "_optimizer")),
    *("n_iter_", "t_", "loss_", "loss_curve_", "stopped_early_", "n_outputs_", "n_layers_"),
    *("out_activation_", "classes_", "_label_binarizer", "_takes_host", *SEEN),
)


class SharedMLPs(BaseMLP):
    """K networks as one estimator.

    `coefs_` has the shared weights, and last those of the output layers, (K, n_in, n_out);
    `intercepts_` (K, n_out); `adapters_` the r (K, n_in, 1) and s (K, n_out, 1) of the hidden layers.
    """

    adapters_: list[tuple[Any, Any]]

    def _network(self, sizes: Sequence[int], g: Sequence[Activation], loss: Loss) -> Network:
        pairs = zip(map(SharedDense, sizes[1:-1]), g[:-1], strict=True)
        hidden = [layer for pair in pairs for layer in pair]
        return Network((sizes[0], *hidden, Dense(sizes[-1]), g[-1]), loss=loss)

    def _initial_parameters(self, problem: Problem) -> Parameters:
        """The shared weights and each output layer as scikit-learn draws them, then the signs."""
        net, random, (K,) = problem.net, problem.random, self._lead
        dense = Network(net.sizes, net.g, net.loss)
        each = [initial_parameters(dense, random, self.activation) for _ in range(K)]
        found: list[Any] = []
        hidden: Any = each[0][:-1]
        for l, (W, b) in enumerate(hidden):
            r = np.ones((K, W.shape[1], 1))
            if l == 0:
                r = random.choice((-1.0, 1.0), r.shape)
            found.append((W, r, np.ones((K, W.shape[0], 1)), np.stack([b] * K)))
        heads = [params[-1] for params in each]
        found.append(tuple(np.stack(arrays) for arrays in zip(*heads, strict=True)))
        dtype = problem.train.all.X.dtype
        params: Parameters = trees.map(lambda array: problem.backend.asarray(array, dtype), found)
        return params

    def _params(self) -> Parameters:
        *hidden, (W, b) = zip(self.coefs_, self.intercepts_, strict=True)
        pairs = zip(hidden, self.adapters_, strict=True)
        layers: list[Any] = [(W.mT, r, s, b[..., None]) for (W, b), (r, s) in pairs]
        return [*layers, (W.mT, b[..., None])]

    def _set_params(self, params: Any) -> None:
        self.coefs_ = [layer[0].mT for layer in params]
        self.intercepts_ = [layer[-1][..., 0] for layer in params]
        self.adapters_ = [(r, s) for _, r, s, _ in params[:-1]]

    def _check_same_network(self, net: Network) -> None:
        if self._net is not None and self._net.sizes != net.sizes:
            raise ValueError(
                f"the networks have the sizes {self._net.sizes}, and the parameters and data ask for "
                f"{net.sizes}; accepted: the same"
            )

    def _compute(self, X: Any, method: str, every: bool = False) -> tuple[Any, bool]:
        assert self._net is not None
        with own_settings():
            rows, to_host = inputs.fitted_rows(self, X, method)
            backend, model = of(self.coefs_[0]), self._net.described.model
            rows = inputs.as_dtype(rows, self.coefs_[0].dtype)
            return self._averaged(compiled_prediction(backend, model, self._params(), rows)), to_host

    def _effective(self) -> list[Parameters]:
        """Each network as a dense one: its W is s W r^T, elementwise."""
        found = []
        for k in range(self._networks):
            layers: list[Any] = []
            for W, *r_and_s, b in self._params():
                if r_and_s:
                    r, s = (array[k, ...] for array in r_and_s)
                    W = s * W * r.mT  # noqa: PLW2901
                else:
                    W = W[k, ...]  # noqa: PLW2901
                layers.append((W, b[k, ...]))
            found.append(layers)
        return found

    def _members(self, make: Any) -> list[Any]:
        """The networks as MLPs that predict by themselves; ``make()`` is an unfitted one."""
        assert self._net is not None
        net = Network(self._net.sizes, self._net.g, self._net.loss)
        known = {name: value for name, value in vars(self).items() if name in COPIED}
        members = []
        for params in self._effective():
            member = make()
            member.__dict__.update(known, _net=net)
            member._set_params(params)
            members.append(member)
        return members


class SharedClassifiers(SharedMLPs, MLPClassifier):
    """Classifiers that share weights."""

    __init__ = MLPClassifier.__init__


class SharedRegressors(SharedMLPs, MLPRegressor):
    """Regressors that share weights."""

    __init__ = MLPRegressor.__init__


def shared_of(member: type[BaseMLP], settings: dict[str, Any], networks: int, seed: int) -> SharedMLPs:
    """The estimator of so many networks that share weights, unfitted."""
    kind = SharedClassifiers if issubclass(member, MLPClassifier) else SharedRegressors
    found: SharedMLPs = kind(**settings, random_state=seed)
    found._lead = (networks,)
    return found


def check_can_share(ensemble: Any, X: Any) -> None:
    """Raise ValueError or TypeError for what networks that share weights cannot do."""
    wrong = {
        "solver": ensemble.solver not in STOCHASTIC,
        "bootstrap": ensemble.bootstrap,
        "max_samples": ensemble.max_samples is not None,
        "clip_norm": ensemble.clip_norm is not None,
        "warm_start": ensemble.warm_start,
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise ValueError(
                f"`{name}` is {getattr(ensemble, name)!r} with sharing='adapters', where all "
                "networks are trained together, by mini-batches of all rows; accepted: its default, or "
                "sharing='none'"
            )
    if hasattr(X, "tocsr"):
        raise TypeError("X is sparse with sharing='adapters'; accepted: X.toarray(), or sharing='none'")


def train_shared(
    shared: SharedMLPs,
    problem: Problem,
    targets: Targets,
    data: tuple[Any, Any, Any],
    how: tuple[bool, bool],
) -> None:
    """Train all networks; `how` says whether X is host data, and whether for one epoch more."""
    takes_host, incremental = how
    params = shared._draw(problem, targets, incremental)
    if problem.judge is not None and shared.scoring is not None:
        try_scorer(shared, problem, targets, params)
    task = shared._task(incremental)
    with contextlib.closing(Callbacks(shared, *data, shared.max_iter, task)) as callbacks:
        shared._take_up(problem, targets, params, takes_host, incremental)
        shared._train(problem, incremental, callbacks, Resumption())
