"""Networks and fitted estimators in files: saved, loaded anywhere, shown."""

from portable_nn.files.loading import load
from portable_nn.files.saving import save

__all__ = ["load", "save"]
