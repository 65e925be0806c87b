"""One search, here and on a cluster of two processes: the same scores.

    python examples/cluster_search.py [dask|ray] [--address ADDRESS]

Without an address the cluster is one of this machine; with one, such as `tcp://10.0.0.1:8786`, it is one
that runs already. joblib hands each worker its share of the fits, and a worker trains its share in one
pass. It needs:

    pip install scikit-learn distributed        (or ray)
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

try:
    import joblib
    import numpy as np
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
except ModuleNotFoundError as missing:
    sys.exit(f"this example needs the package {missing.name}: pip install scikit-learn")

import portable_nn as pnn
from portable_nn.model_selection import GridSearchCV

GRID = {"learning_rate_init": np.geomspace(1e-3, 1e-1, 6), "alpha": [1e-4, 1e-2, 1.0]}


@contextlib.contextmanager
def dask(address: str | None) -> Iterator[None]:
    """Within it joblib's tasks run on a cluster of Dask."""
    from distributed import Client, LocalCluster  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        stack.enter_context(Client(address or stack.enter_context(LocalCluster(**options))))
        stack.enter_context(joblib.parallel_config("dask"))
        yield


@contextlib.contextmanager
def ray(address: str | None) -> Iterator[None]:
    """Within it joblib's tasks run on a cluster of Ray."""
    import ray as library  # noqa: PLC0415
    from ray.util.joblib import register_ray  # noqa: PLC0415

    here = {"num_cpus": 2, "include_dashboard": False, "log_to_driver": False}
    library.init(**({"address": address} if address else here), logging_level="error")
    register_ray()
    with joblib.parallel_config("ray", n_jobs=-1):
        yield
    library.shutdown()


def search(name: str) -> Any:
    """A fitted search, and a line on it."""
    X, y = load_digits(return_X_y=True)
    started = time.perf_counter()
    found = GridSearchCV(pnn.MLPClassifier((30,), max_iter=20, random_state=0), GRID, cv=4)
    found.fit(X / 16, y)
    seconds = time.perf_counter() - started
    print(f"{name:5} best score {found.best_score_:.4f}, passes: {found.n_passes_}, {seconds:.1f} s")
    return found


def main() -> None:
    """Search here, and on the cluster."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engine", nargs="?", choices=("dask", "ray"), default="dask")
    parser.add_argument("--address", help="of a cluster that runs already")
    given = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # 20 epochs are enough to compare
    alone = search("here")
    try:
        with {"dask": dask, "ray": ray}[given.engine](given.address):
            search("there")  # the first one imports what the workers need
            there = search("again")
    except ModuleNotFoundError as missing:
        sys.exit(f"not run on {given.engine}: the package {missing.name} is not installed")
    one, other = (found.cv_results_["mean_test_score"] for found in (alone, there))
    print(f"largest difference of the {len(one)} scores: {np.max(np.abs(one - other))}")


if __name__ == "__main__":
    main()
