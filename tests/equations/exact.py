"""What the equations are compared with in extreme places: mpmath with 60 digits."""

from __future__ import annotations

import mpmath
import numpy as np

mpmath.mp.dps = 60

PLACES = [0.0, 1e-30, 1e-8, 0.1, 1, 3, 8, 17, 20, 40, 80, 100, 300, 700, 1e4, 1e30]


def close_to_the_truth(actual, truth, dtype):
    """Right to a relative error, or less than the smallest normal number away."""
    info = np.finfo(dtype)
    tolerance = 3e-13 if dtype == "float64" else 2e-5
    assert np.all(np.isfinite(actual))
    for a, exact in zip(np.ravel(actual), truth, strict=True):
        error = abs(mpmath.mpf(float(a)) - exact)
        assert error <= tolerance * abs(exact) + float(info.smallest_normal), (float(a), exact)
