"""Training an estimator by L-BFGS: SciPy's, on the host; cost and gradients on the device."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import scipy.optimize

from portable_nn.equations import Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.problem import NOT_FINITE, NOT_YET, Problem
from portable_nn.estimators.warning import warn
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


def not_converged(found: Any, n_iter: int, max_iter: int) -> str:
    """What SciPy says of a minimization that has not converged, in scikit-learn's words."""
    text = f"lbfgs failed to converge after {n_iter} iteration(s) (status={found.status}):\n"
    text += f"{found.message}\n"
    if n_iter == max_iter:
        text += f"\nIncrease the number of iterations to improve the convergence (max_iter={max_iter})."
    return text + (
        "\nYou might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )


def train(e: MLPAttributes, problem: Problem, callbacks: Callbacks) -> None:
    """Train the estimator `e`; its fitted attributes tell how it went."""
    params = e._params()
    packing = Packing(problem, params)
    objective = problem.net.objective.with_smoothing(problem.smoothing)
    gradient = gradient_step(problem.backend, objective, e.alpha > 0)
    l2 = problem.backend.asarray(np.asarray(float(e.alpha)), packing.dtype)
    batch = problem.learned_from
    eps = float(problem.backend.xp.finfo(packing.dtype).eps)
    state, started = TrainingState(e.max_iter, params, History(), None), time.perf_counter()

    def cost(vector: np.ndarray[Any, Any]) -> tuple[float, np.ndarray[Any, Any]]:
        J, grads = gradient(packing.unpack(vector), batch, l2)
        return float(problem.backend.to_numpy(J)), packing.pack(grads)

    raised: list[StopIteration] = []  # by a callback of the user's; SciPy would take it for a wish

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
        try:
            is_over = callbacks.end_iteration(state)
        except StopIteration as error:
            raised.append(error)
            raise
        if is_over:
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
    if raised:
        raise raised[0]
    if state.stopped:
        e.n_iter_ = state.epoch
        if state.stopped == "max_time":
            warn(f"lbfgs: Maximum time ({e.max_time} s) reached{NOT_YET}")
    else:
        e.n_iter_ = min(int(found.nit), e.max_iter)
        if found.status != 0:
            warn(not_converged(found, e.n_iter_, e.max_iter))
    e.loss_ = float(found.fun)
    if not np.isfinite(found.x).all() or not np.isfinite(found.fun):
        raise NonFiniteCostError(NOT_FINITE.format(e.n_iter_), e.n_iter_, e._params(), state.history)
    e._set_params(packing.unpack(found.x))
    state.params, state.history.stopped_by = e._params(), state.stopped or "epochs"
    callbacks.end(state)
