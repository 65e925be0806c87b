"""The directive that puts a formula beside its line of the source."""

from __future__ import annotations

import inspect
import io
import sys
from pathlib import Path

import pytest

pytest.importorskip("sphinx", reason="sphinx is not installed")
pytest.importorskip("math_core", reason="math-core is not installed")
pytest.importorskip("myst_parser", reason="myst-parser is not installed")

from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from portable_nn.equations import forward

EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions"
LINE = "Z[l] = W[l] @ A[l - 1] + b[l]"
FORWARD = "portable_nn.equations.forward"


@pytest.fixture
def beside(monkeypatch):
    """The module of the extension."""
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    import beside

    yield beside
    for name in ("beside", "exercise", "mathml"):
        sys.modules.pop(name, None)


@pytest.fixture
def build(beside, tmp_path):
    """Build one page, of this name and text: its HTML, and the warnings."""

    def built(name: str, text: str) -> tuple[str, str]:
        source, out = tmp_path / "source", tmp_path / "out"
        source.mkdir()
        (source / name).write_text(text)
        warnings = io.StringIO()
        settings = {
            "extensions": ["beside", "exercise", "mathml", "myst_parser"],
            "html_math_renderer": "mathml",
            "html_theme": "basic",
            "myst_enable_extensions": ["colon_fence", "dollarmath"],
            "root_doc": "index",
        }
        with patch_docutils(), docutils_namespace():
            app = Sphinx(source, None, out, out, "html", settings, status=None, warning=warnings)
            app.build()
        return (out / "index.html").read_text(), warnings.getvalue()

    return built


def page(line: str, formula: str = "Z = W A + b") -> str:
    return f"Title\n=====\n\n.. beside:: {FORWARD}\n   :line: {line}\n\n   {formula}\n"


def test_shows_the_line_that_is_in_the_source(beside):
    found = beside.excerpt(FORWARD, LINE)
    lines, first = inspect.getsourcelines(forward)
    number = first + next(i for i, line in enumerate(lines) if LINE in line)
    assert found.code == LINE
    assert found.place == f"portable_nn/equations/__init__.py, line {number}"


def test_shows_several_lines_from_there_on(beside):
    found = beside.excerpt(FORWARD, LINE, count=2)
    assert found.code.splitlines() == [LINE, "A[l] = g[l].g(xp, Z[l])"]


def test_shows_a_whole_function_without_its_docstring(beside):
    sigmoid = beside.excerpt("portable_nn.equations.activations.sigmoid")
    assert sigmoid.code.startswith("def sigmoid(")
    assert sigmoid.code.endswith("/ (1 + E)")
    cost = beside.excerpt("portable_nn.equations.cost")
    assert '"""' not in cost.code
    assert "xp.sum(terms, axis=(-2, -1))" in cost.code


def test_leaves_out_notes_to_the_type_checker(beside):
    assert (
        beside.excerpt("portable_nn.equations.delta", "g.g_prime").code == "return dA * g.g_prime(xp, Z)"
    )


def test_finds_lines_of_modules_classes_methods_and_properties(beside):
    assert beside.excerpt("portable_nn.equations.activations", "GELU_C, GELU_K =").code.startswith(
        "GELU_C"
    )
    assert beside.excerpt("portable_nn.optimizers.SGD", "return (theta - alpha * g,)").code
    assert beside.excerpt("portable_nn.optimizers.SGD.descend", "theta - alpha * g").code
    assert beside.excerpt("portable_nn.optimizers.SGD.slots", "return 0 if").code


@pytest.mark.parametrize(
    ("name", "line", "count", "message"),
    [
        (FORWARD, "Z[l] = W[l] * A[l - 1]", 1, "0 lines of .*forward contain"),
        (FORWARD, "A[l]", 1, "[2-9] lines of .*forward contain"),
        (FORWARD, LINE, 99, "`count` is 99"),
        ("portable_nn.equations.sideways", LINE, 1, "no 'sideways'"),
        ("no_such_package.forward", LINE, 1, "does not exist"),
        ("portable_nn.equations.forward.__name__", LINE, 1, "has no source"),
    ],
)
def test_refuses_what_is_not_exactly_one_line(beside, name, line, count, message):
    with pytest.raises(ValueError, match=message):
        beside.excerpt(name, line, count)


def test_builds_formula_and_code_from_restructured_text(build):
    html, warnings = build("index.rst", page(LINE))
    assert not warnings
    assert '<math display="block">' in html
    assert "beside-formula" in html
    assert "portable_nn/equations/__init__.py, line" in html


def test_builds_formula_and_code_from_markdown(build):
    text = f"# Title\n\n:::{{beside}} {FORWARD}\n:line: {LINE}\n\nZ = W A + b\n:::\n\nFor $l = 1$.\n"
    html, warnings = build("index.md", text)
    assert not warnings
    assert '<math display="block">' in html
    assert "For <math><mi>l</mi>" in html
    assert "beside-code" in html


def test_warns_where_the_line_is_absent(build):
    html, warnings = build("index.rst", page("Z[l] = A[l - 1] @ W[l]"))
    assert "0 lines of portable_nn.equations.forward contain" in warnings
    assert "index.rst:4" in warnings
    assert "beside-code" not in html


def test_warns_of_a_formula_that_is_no_latex(build):
    _, warnings = build("index.rst", page(LINE, r"\frac{1}{"))
    assert "in the formula" in warnings


def test_numbers_a_formula_that_has_a_label(build):
    text = "Title\n=====\n\n.. math:: J = 0\n   :label: cost\n\nSee :eq:`cost`.\n"
    html, warnings = build("index.rst", text)
    assert not warnings
    assert '<span class="eqno">(1)</span>' in html
    assert 'href="#equation-cost"' in html


def test_an_answer_is_what_follows_its_exercise(build):
    text = "Title\n=====\n\n.. exercise::\n\n   Why?\n\nBecause.\n\n.. exercise::\n\n   Who?\n\nYou.\n"
    html, warnings = build("index.rst", text)
    assert not warnings
    assert html.count("<details") == html.count("</details>") == 2
    assert html.index("Exercise 1") < html.index("Because.") < html.index("Exercise 2")
    assert html.index("</details>") < html.index("Exercise 2")
