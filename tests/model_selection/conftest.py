"""Without scikit-learn there is nothing to test here."""

import importlib.util

collect_ignore_glob = ["test_*.py"] if importlib.util.find_spec("sklearn") is None else []
