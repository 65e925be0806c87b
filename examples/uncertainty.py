"""A regression that says how sure it is, by a band that opens where no rows were.

    python examples/uncertainty.py

Sixteen small networks are trained in one pass. Where there were rows they agree; where there were none
they do not, and rows of another kind than those learned from stand out. A picture is saved. It needs:

    pip install scikit-learn matplotlib
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
from command_line import get_backend, parser

import portable_nn as pnn

try:
    from matplotlib.figure import Figure  # without pyplot: no window, pictures drawn by Agg
    from sklearn.metrics import roc_auc_score
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn matplotlib"
    )

GAP = (-0.5, 1.5)  # of x, without any rows


def rows(random: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """x in [-3, 4] outside the gap, and y: a wave, with more noise on its left."""
    x = random.uniform(-3, 4 - (GAP[1] - GAP[0]), n)
    x = np.where(x < GAP[0], x, x + GAP[1] - GAP[0])
    return x[:, None], wave(x) + (0.1 + 0.2 * (x < GAP[0])) * random.normal(size=n)


def wave(x: np.ndarray) -> np.ndarray:
    """What is to be learned."""
    return np.sin(2 * x) + 0.3 * x


def draw(ensemble: pnn.MLPEnsembleRegressor, X: np.ndarray, y: np.ndarray, path: Path) -> None:
    """The rows, the members, their mean, and the band."""
    x = np.linspace(-5, 6, 400)
    mean, std = ensemble.predict(x[:, None], return_std=True)
    low, high = ensemble.predict_interval(x[:, None], coverage=0.9)
    figure = Figure(figsize=(9, 6), layout="constrained")
    band, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    band.fill_between(x, low, high, color="tab:blue", alpha=0.2, label="interval for 90% of the values")
    for k, member in enumerate(ensemble.estimators_):
        band.plot(x, member.predict(x[:, None]), color="tab:blue", lw=0.5, alpha=0.5, label=k and "_")
    band.lines[0].set_label("the 16 networks")
    band.plot(x, mean, color="tab:blue", lw=2, label="their mean")
    band.plot(x, wave(x), color="black", lw=1, ls="--", label="the truth")
    band.plot(X[:, 0], y, ".", color="tab:orange", ms=3, label="rows learned from")
    band.set(ylim=(-5, 5), ylabel="y")
    band.legend(loc="upper center", ncols=3)
    below.fill_between(x, 0, std, color="tab:blue", alpha=0.4)
    below.set(xlabel="x", ylabel="spread of the networks", ylim=(0, None))
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train, draw, and count."""
    given = parser("A regression with its uncertainty.").parse_args()
    get_backend(given.backend, given.device)
    random = np.random.default_rng(0)
    X, y = rows(random, 1200)
    ensemble = pnn.MLPEnsembleRegressor(
        16,
        hidden_layer_sizes=(64, 64),
        activation="silu",
        learning_rate_init=0.01,
        max_iter=300,
        n_iter_no_change=300,
        calibration_fraction=0.25,
        random_state=0,
        backend=given.backend,
        device=given.device,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the loss might still fall
        ensemble.fit(X, y)
    given.output.mkdir(parents=True, exist_ok=True)
    path = given.output / "uncertainty.png"
    draw(ensemble, X, y, path)
    new, value = rows(random, 5000)
    for coverage in (0.5, 0.8, 0.9, 0.95):
        low, high = ensemble.predict_interval(new, coverage)
        found = np.mean((low <= value) & (value <= high))
        print(f"interval for {coverage:.0%}: {found:.1%} of new values are in it")
    far = np.concatenate([random.uniform(*GAP, 500), random.uniform(4.5, 6, 500)])[:, None]
    _, spread = ensemble.predict(new[:1000], return_std=True)
    _, spread_far = ensemble.predict(far, return_std=True)
    is_far = np.repeat([0, 1], 1000)
    auc = roc_auc_score(is_far, np.concatenate([spread, spread_far]))
    print(f"spread: {np.median(spread):.3f} where rows were, {np.median(spread_far):.3f} elsewhere")
    print(f"told apart by it: AUC {auc:.3f}")
    print(f"saved {path}")


if __name__ == "__main__":
    main()
