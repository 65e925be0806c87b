"""scikit-learn's protocol of callbacks; where scikit-learn is older than it (1.9), stand-ins."""

from __future__ import annotations

from typing import Any

try:
    from sklearn.callback import AutoPropagatedCallback, CallbackSupportMixin, FitCallback
except ModuleNotFoundError:

    class NoCallbackSupport:
        """An estimator without `set_callbacks`, as scikit-learn's own are in those versions."""

        def _init_callback_context(self, **options: Any) -> None:
            """There are no callbacks, and so no context."""

    CallbackSupportMixin = NoCallbackSupport
    AutoPropagatedCallback = FitCallback = ()  # as a class for isinstance: it has no instances

__all__ = ["AutoPropagatedCallback", "CallbackSupportMixin", "FitCallback"]
