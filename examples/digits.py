"""Read handwritten digits: train a small network on scikit-learn's bundled 8x8 images.

    python examples/digits.py --backend torch

The script and the library's equations are the same for every backend, and so are the first parameters,
the split and the mini-batches: what the backends learn differs by rounding alone. Two pictures are
saved, the learning curve and the digits that were misread. It needs:

    pip install scikit-learn matplotlib tqdm
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from command_line import get_backend, parser

import portable_nn as pnn

try:
    import tqdm  # noqa: F401  (the progress bar)
    from matplotlib.figure import Figure  # without pyplot: no window, pictures drawn by Agg
    from matplotlib.ticker import MaxNLocator
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
except ModuleNotFoundError as missing:
    sys.exit(
        f"this example needs the package {missing.name}, which is not installed; install it with: "
        "pip install scikit-learn matplotlib tqdm"
    )

NET = pnn.Network((64, 128, 64, 10), ("relu", "relu", "softmax"), "categorical_cross_entropy")
ARROW = "\N{RIGHTWARDS ARROW}"


class Part(NamedTuple):
    """Images as rows of 64 pixels in [0, 1], and the digit that each one shows."""

    images: np.ndarray
    digits: np.ndarray


def load_parts() -> tuple[Part, Part, Part]:
    """Training, validation and test digits: always the same, every digit in each by its share."""
    pixels, digits = load_digits(return_X_y=True)
    images = np.asarray(pixels / 16, dtype="float32")
    rest, test = split(Part(images, digits), 0.2)
    return *split(rest, 0.1), test


def split(whole: Part, share: float) -> tuple[Part, Part]:
    """`whole` without a share of it, and that share."""
    rows, held_out = train_test_split(
        np.arange(len(whole.digits)), test_size=share, random_state=0, stratify=whole.digits
    )
    return Part(*(a[rows] for a in whole)), Part(*(a[held_out] for a in whole))


def as_arrays(backend: pnn.backends.Backend, part: Part) -> tuple[Any, Any]:
    """The images and their digits on the backend's device."""
    return backend.asarray(part.images), backend.asarray(part.digits, dtype=backend.index_dtype())


def train(
    backend: pnn.backends.Backend, training: Part, validation: Part, epochs: int
) -> tuple[Any, pnn.History]:
    """The trained parameters and what was recorded on the way."""
    first = NET.initialize(seed=0, backend=backend, dtype="float32")
    return pnn.fit(
        NET,
        first,
        *as_arrays(backend, training),
        optimizer=pnn.Adam(learning_rate=1e-3),
        epochs=epochs,
        batch_size=32,
        seed=0,
        validation=as_arrays(backend, validation),
        metrics="accuracy",
        progress=True,
    )


def probabilities(backend: pnn.backends.Backend, params: Any, part: Part) -> np.ndarray:
    """(n, 10) on the host: how likely the network holds each digit to be."""
    X, _ = as_arrays(backend, part)
    return backend.to_numpy(NET.predict(params, X))


def save_learning_curve(history: pnn.History, title: str, path: Path) -> None:
    """Training and validation cost over the epochs."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    epochs = range(1, history.epochs + 1)
    axes.semilogy(epochs, history.cost, marker=".", label="training (mean over the epoch)")
    axes.semilogy(epochs, history.validation_cost, marker=".", label="validation (at the epoch's end)")
    axes.set(xlabel="epoch", ylabel="cost J", title=title)
    axes.set_xlim(0.5, history.epochs + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(path, dpi=150)


def save_misread(test: Part, A: np.ndarray, path: Path, most: int = 30) -> None:
    """The misread digits, the most confidently misread first: true -> read, and its probability."""
    read, sure = A.argmax(axis=1), A.max(axis=1)
    wrong = np.flatnonzero(read != test.digits)
    shown = wrong[np.argsort(-sure[wrong])][:most]
    columns = 5
    rows = max(1, -(-len(shown) // columns))
    figure = Figure(figsize=(1.5 * columns, 0.6 + 1.75 * rows), layout="constrained")
    count = f"{len(wrong)} of {len(read)} misread" + (f", {most} of them" if len(wrong) > most else "")
    figure.suptitle(f"{count}: true {ARROW} read (its probability)")
    for axes in figure.subplots(rows, columns, squeeze=False).flat:
        axes.set_axis_off()
    for axes, i in zip(figure.axes, shown, strict=False):
        axes.imshow(test.images[i].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"{test.digits[i]} {ARROW} {read[i]}  ({sure[i]:.0%})", fontsize=10)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train, test, and save the pictures."""
    arguments = parser("Train a network to read handwritten digits.")
    arguments.add_argument("--epochs", type=int, default=40)
    given = arguments.parse_args()
    backend = get_backend(given.backend, given.device)
    where = f"{backend.name} {backend.version()} on {backend.device_name()}"
    training, validation, test = load_parts()
    n = len(test.digits)
    print(f"backend {where}\n{NET}")
    print(f"digits: {len(training.digits)} training, {len(validation.digits)} validation, {n} test")

    params, history = train(backend, training, validation, given.epochs)
    A = probabilities(backend, params, test)
    right = int((A.argmax(axis=1) == test.digits).sum())
    print(f"{history}\ntest accuracy {right / n:.2%} ({right} of {n})")

    given.output.mkdir(parents=True, exist_ok=True)
    curve, sheet = given.output / "digits_learning_curve.png", given.output / "digits_misread.png"
    save_learning_curve(
        history, f"Handwritten digits: {right / n:.1%} of {n} read right ({where})", curve
    )
    save_misread(test, A, sheet)
    print(f"saved {curve} and {sheet}")


if __name__ == "__main__":
    main()
