"""Warnings of the estimators: they show the user's line, and are filtered as scikit-learn's are."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from sklearn.exceptions import ConvergenceWarning

# frames between the user's call and ours: decorators, pipelines, searches and their workers
BETWEEN = ("portable_nn", "sklearn", "scipy", "joblib", "contextlib", "functools")
MODULE = "sklearn.neural_network._multilayer_perceptron"  # where scikit-learn's own warnings come from


def warn(text: str, category: type[Warning] = ConvergenceWarning) -> None:
    """Warn at the line of the user's that led here.

    The module is that of scikit-learn's own warning: ``filterwarnings("ignore", module="sklearn")``, as
    in its examples, silences ours too.
    """
    frame = user_frame()
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        text, category, frame.f_code.co_filename, frame.f_lineno, MODULE, registry=registry
    )


def user_frame() -> FrameType:
    """The innermost frame that is neither ours nor of what stands between the user and us."""
    first = frame = sys._getframe(1)
    while frame.f_globals.get("__name__", "").partition(".")[0] in BETWEEN:
        if frame.f_back is None:
            return first
        frame = frame.f_back
    return frame
