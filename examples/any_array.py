"""One estimator, five array libraries: MLPClassifier trains on the device of X.

    python examples/any_array.py

It reads scikit-learn's bundled digits with each library that works here, on its default device, from the
same random state, and prints how well, how fast, and how far the probabilities are from NumPy's. A
library that does not work here is named with the reason. It needs:

    pip install scikit-learn    and any of torch, jax, array-api-strict, cupy-cuda13x[ctk]
"""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np

import portable_nn as pnn

try:
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn"
    )


def train(backend: pnn.backends.Backend, split: list[Any]) -> tuple[float, float, np.ndarray]:
    """Test accuracy, seconds of training, and the test probabilities (on the host)."""
    X, X_test = (backend.asarray(part) for part in split[:2])
    y, y_test = split[2:]
    clf = pnn.MLPClassifier((64, 32), max_iter=40, n_iter_no_change=40, random_state=0)
    started = time.perf_counter()
    clf.fit(X, y)
    backend.ready(*clf.coefs_)
    seconds = time.perf_counter() - started
    return clf.score(X_test, y_test), seconds, backend.to_numpy(clf.predict_proba(X_test))


def main() -> None:
    """Train with every library and print the table."""
    warnings.simplefilter("ignore", ConvergenceWarning)  # 40 epochs are enough to compare
    pixels, digits = load_digits(return_X_y=True)
    images = np.asarray(pixels / 16, dtype="float32")
    split = train_test_split(images, digits, test_size=0.2, random_state=0)
    names = sorted(pnn.backends.names(), key=lambda name: name != "numpy")  # NumPy first
    reference = None
    print(f"{'library':18}  {'device':12}  {'accuracy':>8}  {'seconds':>7}  from NumPy's probabilities")
    for name in names:
        try:
            backend = pnn.backends.get(name)
        except pnn.BackendUnavailableError as error:
            print(f"{name:18}  not run: {str(error).partition('; ')[0].partition(': ')[2]}")
            continue
        accuracy, seconds, A = train(backend, split)
        reference = A if reference is None else reference
        apart = np.max(np.abs(A - reference))
        where = backend.device_name()
        print(f"{name:18}  {where:12}  {accuracy:8.2%}  {seconds:7.2f}  {apart:.1e}")


if __name__ == "__main__":
    main()
