"""Within it joblib's tasks train their networks together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
from joblib.parallel import get_active_backend

from portable_nn.checks import check_flag, check_whole
from portable_nn.model_selection.joblib_backend import OnePassBackend
from portable_nn.model_selection.tasks import MAX_STACK_BYTES, Count, Settings
from portable_nn.training.progress import ProgressBar


@contextmanager
def in_one_pass(
    *, max_stack_bytes: int = MAX_STACK_BYTES, verbose: int = 0, progress: bool = False
) -> Iterator[Count]:
    """Within it scikit-learn's meta-estimators train their multi-layer perceptrons together.

    Whatever divides its work by joblib, such as `VotingClassifier`, `BaggingClassifier`,
    `OneVsRestClassifier`, `RFECV` or a search, hands over each `fit` of an `MLPClassifier` or
    `MLPRegressor` of this package, and those of one structure are trained in one stack. All runs in
    this process; leave `n_jobs` at its default: with ``n_jobs=1`` some, such as `BaggingClassifier`,
    do not ask joblib, and fit one after another. The results are those of a loop where each network has
    a `random_state` of its own, an integer or a `RandomState`.

    Each fit that waits is suspended in a thread of its own, and one runs at a time: what a thread holds,
    such as a lock, it holds while others run; scorers and transformers are called in those threads.

    Parameters
    ----------
    max_stack_bytes : int, default=2**30
        About how much memory the trainings of one pass may take together, their rows included; more
        take several passes. A network that alone takes more is trained alone.
    verbose : int, default=0
        Above 0: a line on each pass.
    progress : bool, default=False
        Draw a bar of each pass; it needs tqdm.

    Yields
    ------
    count : object
        Its `n_passes` is the number of stacks trained so far.

    Raises
    ------
    TypeError, ValueError
        If `max_stack_bytes` is no positive integer, `verbose` none >= 0, or `progress` no flag.
    ImportError
        If a bar is asked for, and tqdm is not installed.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import BaggingClassifier
    >>> from portable_nn import MLPClassifier
    >>> from portable_nn.model_selection import in_one_pass
    >>> bagging = BaggingClassifier(MLPClassifier((5,), tol=0.1), n_estimators=8, random_state=0)
    >>> with in_one_pass() as count:
    ...     bagging = bagging.fit(*load_iris(return_X_y=True))
    >>> len(bagging.estimators_)
    8
    """
    verbose = check_whole("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0)
    check_flag("progress", progress)
    settings = Settings(check_max_stack_bytes(max_stack_bytes), verbose, progress)
    with gathered(settings, is_wide=True) as count:
        yield count


@contextmanager
def gathered(
    settings: Settings, kept: dict[Any, Any] | None = None, is_wide: bool = False
) -> Iterator[Count]:
    """Within it the tasks of joblib are those of a `OnePassBackend`, in this thread."""
    if settings.progress:
        ProgressBar()  # without tqdm it raises before anything is done
    outer, n_jobs = get_active_backend()
    threads, _ = get_active_backend(prefer="threads")
    if isinstance(outer, OnePassBackend):  # the user's is further out
        outer, threads = outer.outer, outer.threads
    count = Count()
    backend = OnePassBackend(settings, count, outer, threads, kept, is_wide)
    with joblib.parallel_backend(backend, n_jobs=n_jobs):
        yield count


def check_max_stack_bytes(given: Any) -> int:
    """The limit as it is; TypeError or ValueError if it is no positive integer."""
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise TypeError(
            f"`max_stack_bytes` is {given!r}; accepted: a positive integer; leave it out for 2**30"
        )
    if given < 1:
        raise ValueError(
            f"`max_stack_bytes` is {given}; accepted: a positive integer; leave it out for 2**30"
        )
    return int(given)
