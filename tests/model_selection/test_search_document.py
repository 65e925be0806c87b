"""The example of a search runs, and its page has the names of the package."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path

import pytest

from portable_nn import model_selection as ours

pytestmark = pytest.mark.usefixtures("host_only")
ROOT = Path(__file__).parents[2]


def test_the_page_names_all_that_the_package_has():
    text = (ROOT / "docs" / "guides" / "model_selection.md").read_text(encoding="utf-8")
    for name in ours.__all__:
        assert name in text, name


def test_the_example_gives_the_same_scores_and_draws_them(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    example = (ROOT / "examples" / "search.py").as_posix()
    picture = tmp_path / "search.png"
    names = runpy.run_path(example)
    few = names["main"].__globals__
    few["RATES"], few["PENALTIES"] = few["RATES"][-2:], few["PENALTIES"][:1]
    few["GRID"].update(mlpclassifier__learning_rate_init=few["RATES"])
    few["GRID"].update(mlpclassifier__alpha=few["PENALTIES"])
    monkeypatch.setattr("sys.argv", [example, "--plot", picture.as_posix()])
    with warnings.catch_warnings():
        names["main"]()
    shown = capsys.readouterr().out
    assert "networks: 10, stacks: 1" in shown
    assert "largest difference of the 2 scores: 0.0e+00" in shown
    assert picture.stat().st_size > 10_000
