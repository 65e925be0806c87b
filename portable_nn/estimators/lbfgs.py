"""Training an estimator by L-BFGS: SciPy's, on the host; cost and gradients on the device."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.optimize import _check_optimize_result

from portable_nn.equations import Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.problem import NOT_FINITE, Problem
from portable_nn.training.callbacks import TrainingState
from portable_nn.training.history import History
from portable_nn.training.steps import gradient_step


class Packing:
    """Parameters as one vector on the host, the coefs first, then the intercepts, and back."""

    def __init__(self, problem: Problem, params: Parameters) -> None:
        self.backend, self.dtype = problem.backend, params[0][0].dtype
        self.shapes = [tuple(W.shape) for W, _ in params]

    def pack(self, params: Parameters) -> np.ndarray[Any, Any]:
        host = [(self.backend.to_numpy(W).T, self.backend.to_numpy(b)) for W, b in params]
        parts = [coef.ravel() for coef, _ in host] + [b.ravel() for _, b in host]
        return np.concatenate(parts).astype(np.float64, copy=False)

    def unpack(self, vector: np.ndarray[Any, Any]) -> Parameters:
        start, coefs, intercepts = 0, [], []
        for n_out, n_in in self.shapes:
            coefs.append(vector[start : (start := start + n_in * n_out)].reshape(n_in, n_out).T)
        for n_out, _ in self.shapes:
            intercepts.append(vector[start : (start := start + n_out)][:, None])
        place = self.backend.asarray
        return [
            (place(W, self.dtype), place(b, self.dtype)) for W, b in zip(coefs, intercepts, strict=True)
        ]


def train(e: MLPAttributes, problem: Problem, callbacks: Callbacks) -> None:
    """Train the estimator `e`; its fitted attributes tell how it went."""
    params = e._params()
    packing = Packing(problem, params)
    objective = problem.net.objective.with_smoothing(problem.smoothing)
    gradient = gradient_step(problem.backend, objective, e.alpha > 0)
    l2 = problem.backend.asarray(np.asarray(float(e.alpha)), packing.dtype)
    batch = problem.train.all
    eps = float(problem.backend.xp.finfo(packing.dtype).eps)
    state, started = TrainingState(e.max_iter, params, History(), None), time.perf_counter()

    def cost(vector: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        J, grads = gradient(packing.unpack(vector), batch, l2)
        return float(problem.backend.to_numpy(J)), packing.pack(grads)

    def after_iteration(intermediate_result: Any) -> None:
        callbacks.begin_iteration()  # SciPy reports an iteration only when it is done
        state.epoch += 1
        state.params = packing.unpack(intermediate_result.x.copy())  # SciPy overwrites that array
        state.history.cost.append(float(intermediate_result.fun))
        e._set_params(state.params)
        e.loss_curve_.append(state.history.cost[-1])
        if e._prints:
            print(f"Iteration {state.epoch}, loss = {e.loss_curve_[-1]:.8f}")
        is_late = e.max_time is not None and time.perf_counter() - started >= e.max_time
        if is_late:
            state.stop("max_time")
        if callbacks.end_iteration(state):
            raise StopIteration

    callbacks.begin(state)
    found = scipy.optimize.minimize(
        cost,
        packing.pack(params),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration,
        # SciPy's default ftol is finer than the resolution of a float32 cost
        options={
            "maxfun": e.max_fun,
            "maxiter": e.max_iter,
            "gtol": float(e.tol),
            "ftol": max(2.220446049250313e-09, eps),
        },
    )
    if state.stopped:
        e.n_iter_ = state.epoch
        if state.stopped == "max_time":
            text = f"lbfgs: Maximum time ({e.max_time} s) reached"
            warnings.warn(f"{text} and the optimization hasn't converged yet.", ConvergenceWarning, 5)
    else:
        e.n_iter_ = _check_optimize_result("lbfgs", found, e.max_iter)
    e.loss_ = float(found.fun)
    if not np.isfinite(found.x).all() or not np.isfinite(found.fun):
        raise NonFiniteCostError(NOT_FINITE.format(e.n_iter_), e.n_iter_, e._params(), state.history)
    e._set_params(packing.unpack(found.x))
    state.params, state.history.stopped_by = e._params(), state.stopped or "epochs"
    callbacks.end(state)
