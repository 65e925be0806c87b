"""The template of the docstrings: what cannot be filled is an error, not a docstring with a hole."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed")

from portable_nn.estimators.docs import TEXTS, filled, with_shared_texts


def test_a_shared_text_is_put_in_with_the_indentation_of_its_line():
    assert filled("One.\n\n    {{rows}}\n") == "One.\n\n" + "".join(
        f"    {line}\n" for line in TEXTS["rows"].splitlines()
    )


def test_an_unknown_name_or_no_name_at_all_is_an_error():
    with pytest.raises(KeyError, match="colums"):
        filled("One.\n\n{{colums}}\n")
    for docstring in ("Nothing to fill.", "In {{rows}} the middle of a line.", "{{rows}}\n{{ rows}}"):
        with pytest.raises(ValueError, match="without a line"):
            filled(docstring)


def test_without_docstrings_nothing_is_filled():
    def function():
        pass

    assert with_shared_texts(function).__doc__ is None
