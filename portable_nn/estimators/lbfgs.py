"""Training an estimator by L-BFGS: SciPy's, on the host; cost and gradients on the device."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import scipy.optimize

from portable_nn.backends import Backend
from portable_nn.backends.blas_threads import ONE_THREAD, own_of_scipy
from portable_nn.equations import Array, Parameters
from portable_nn.errors import NonFiniteCostError
from portable_nn.estimators.attributes import MLPAttributes
from portable_nn.estimators.callbacks import Callbacks
from portable_nn.estimators.problem import NOT_FINITE, NOT_YET, Problem
from portable_nn.estimators.warning import warn
from portable_nn.network.objective import Batch, Objective
from portable_nn.network.user_functions import depending_on
from portable_nn.training.callbacks import TrainingState
from portable_nn.training.history import History

Vector: TypeAlias = np.ndarray[Any, Any]  # on the host, float64
Shapes: TypeAlias = tuple[tuple[int, ...], ...]  # of the W


def packed(backend: Backend, params: Parameters) -> Vector:
    """Parameters as one vector on the host: the coefs first, then the intercepts."""
    host = [(backend.to_numpy(W).T, backend.to_numpy(b)) for W, b in params]
    parts = [coef.ravel() for coef, _ in host] + [b.ravel() for _, b in host]
    return np.concatenate(parts).astype(np.float64, copy=False)


def unpacked(backend: Backend, vector: Vector, shapes: Shapes, dtype: Any) -> Parameters:
    """The parameters in a vector that `packed` gave, each contiguous, on the device."""
    start, coefs, intercepts = 0, [], []
    for n_out, n_in in shapes:
        part = vector[start : (start := start + n_in * n_out)]
        coefs.append(np.ascontiguousarray(part.reshape(n_in, n_out).T))
    for n_out, _ in shapes:
        intercepts.append(vector[start : (start := start + n_out)].copy()[:, None])
    place = backend.asarray
    return [(place(W, dtype), place(b, dtype)) for W, b in zip(coefs, intercepts, strict=True)]


@functools.lru_cache(maxsize=64)
def gradient_step(backend: Backend, objective: Objective) -> Callable[..., Any]:
    """``step((batch, l2), params)``: J of all rows, and its gradients."""

    def step(fixed: Any, params: Parameters) -> tuple[Array, Parameters]:
        batch, l2 = fixed
        J, grads = objective.gradients(backend.xp, params, Batch(*batch), l2)
        return J, grads

    return backend.compile(depending_on(objective.user_functions, step))


def cost_and_gradient(
    problem: Problem, alpha: float, shapes: Shapes, dtype: Any
) -> Callable[[Vector], tuple[float, Vector]]:
    """What SciPy minimizes: J and its gradient at a vector."""
    backend, objective = problem.backend, problem.net.objective.with_smoothing(problem.smoothing)
    step = gradient_step(backend, objective)
    l2 = backend.asarray(np.asarray(float(alpha)), dtype) if alpha > 0 else None
    fixed = (problem.learned_from, l2)
    short = backend.prepare(step, fixed, at_once=True) if objective.user_functions == () else None

    def cost(vector: Vector) -> tuple[float, Vector]:
        params = unpacked(backend, vector, shapes, dtype)
        found = None if short is None else short(params)
        J, grads = step(fixed, params) if found is None else found
        return float(backend.to_numpy(J)), packed(backend, grads)

    return cost


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
    backend, params = problem.backend, e._params()
    shapes, dtype = tuple(tuple(W.shape) for W, _ in params), params[0][0].dtype
    eps = float(backend.xp.finfo(dtype).eps)
    state, started = TrainingState(e.max_iter, params, History(), None), time.perf_counter()

    raised: list[StopIteration] = []  # by a callback of the user's; SciPy would take it for a wish

    def after_iteration(intermediate_result: Any) -> None:
        callbacks.begin_iteration()  # SciPy reports an iteration only when it is done
        state.epoch += 1
        state.params = unpacked(backend, intermediate_result.x, shapes, dtype)
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
    # threads of SciPy's own library would spin, after each sum of two vectors, on the cores that the
    # products of NumPy's need
    with ONE_THREAD.within(own_of_scipy()):
        found = scipy.optimize.minimize(
            cost_and_gradient(problem, e.alpha, shapes, dtype),
            packed(backend, params),
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
    e._set_params(unpacked(backend, found.x, shapes, dtype))
    state.params, state.history.stopped_by = e._params(), state.stopped or "epochs"
    callbacks.end(state)
