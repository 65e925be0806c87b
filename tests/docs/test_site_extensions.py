"""What the site does with links, docstrings and examples."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import portable_nn as pnn

pytest.importorskip("sphinx", reason="sphinx is not installed")
pytestmark = pytest.mark.usefixtures("host_only")
EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions"


@pytest.fixture(autouse=True)
def extensions(monkeypatch):
    monkeypatch.syspath_prepend(EXTENSIONS.as_posix())
    yield
    for name in ("docstrings", "gallery", "outside"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("docname", "link", "turned"),
    [
        ("guides/layers", "../../examples/own_layer.py", "../auto_gallery/own_layer.rst"),
        ("guides/tabular", "../../benchmarks/README.md#tables", "../benchmarks.md#tables"),
        ("reference/file_format", "../../SECURITY.md", "../project/security.md"),
        ("guides/distributed", "jax_meshes.md", "jax_meshes.md"),
        ("guides/distributed", "https://example.org/a", "https://example.org/a"),
        ("guides/tabular", "../../portable_nn/tabular/preset.py", "../../portable_nn/tabular/preset.py"),
    ],
)
def test_a_link_to_a_file_with_a_page_leads_to_the_page(docname, link, turned):
    from outside import within_site

    assert within_site(docname, f"see [it]({link}).") == f"see [it]({turned})."


@pytest.mark.parametrize(
    ("home", "link", "turned"),
    [
        ("", "docs/guides/layers.md#the-formulas", "../guides/layers.md#the-formulas"),
        ("", "examples/search.py", "../auto_gallery/search.rst"),
        ("", ".github/workflows/ci.yml", "../../.github/workflows/ci.yml"),
        ("benchmarks", "../docs/guides/tabular.md", "../guides/tabular.md"),
    ],
)
def test_the_links_of_an_included_file_are_those_of_its_page(home, link, turned):
    from outside import within_site

    assert within_site("project/changelog", f"[it]({link})", home) == f"[it]({turned})"


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["The `fit` of ``X``."], ["The ``fit`` of ``X``."]),
        (["based on``sizes`` alone"], ["based on ``sizes`` alone"]),
        (["see :ref:`sphx_glr_plot.py`"], ["see scikit-learn's gallery"]),
        (["see :ref:`the guide <mlp>`"], ["see ``the guide``"]),
        (
            ["Attributes classes_ and n_, of |a - y|."],
            ["Attributes ``classes_`` and ``n_``, of \\|a - y\\|."],
        ),
        (
            ["classes_ : array", "in_, out_ : list of n_"],
            ["classes\\_ : array", "in\\_, out\\_ : list of ``n_``"],
        ),
        (["shapes (n_l, n_{l-1})"], ["shapes (n_l, n_{l-1})"]),
        (["(*stack, n)"], ["(\\*stack, n)"]),
        (
            ["As in::", "", "    a = b_ | `c`", "", "x_"],
            ["As in::", "", "    a = b_ | `c`", "", "``x_``"],
        ),
        ([">>> a_ | b"], [">>> a_ | b"]),
        ([">>> x", "np.True_", "", "n_"], [">>> x", "np.True_", "", "``n_``"]),
        ([".. versionadded:: 1.3"], [".. versionadded:: scikit-learn-1.3"]),
        ([".. versionchanged:: v0.20", "   `n`"], [".. versionchanged:: scikit-learn-0.20", "   ``n``"]),
        (["| a | b_ |"], ["| a | b_ |"]),
        (["``one", "x_ two``"], ["``one", "x_ two``"]),
    ],
)
def test_docstrings_become_markup(lines, shown):
    import docstrings

    assert docstrings.shown(lines) == shown


def test_fields_of_a_named_tuple_are_no_members_of_their_own():
    import docstrings

    state = pnn.OptimizerState
    found = [
        docstrings.skip(None, "class", name, vars(state)[name], False, None) for name in ("t", "slots")
    ]
    assert found == [True, True]
    assert docstrings.skip(None, "class", "nested_like", state.nested_like, False, None) is None


def test_the_page_of_an_example_has_its_words_its_output_and_its_program():
    import gallery

    program = next(path for path in gallery.programs() if path.stem == "own_backend")
    text = gallery.page(program, "found 3\n", ["own_backend_0.png"])
    assert text.startswith("A backend of your own\n===")
    assert "A user-defined array backend, which counts matrix products." in text
    assert ".. image:: own_backend_0.png" in text
    assert "   found 3\n" in text
    assert ".. literalinclude:: ../../examples/own_backend.py" in text


def test_an_example_without_a_title_is_an_error(monkeypatch):
    import gallery

    monkeypatch.delitem(gallery.TITLES, "digits")
    with pytest.raises(gallery.ExtensionError, match="'digits'"):
        gallery.programs()


def test_an_example_that_fails_is_an_error(tmp_path):
    import gallery

    program = tmp_path / "failing.py"
    program.write_text("print('so far')\nraise KeyError('the fault')\n", encoding="utf-8")
    with pytest.raises(
        gallery.ExtensionError, match=r"(?s)failing\.py has failed:\nso far\n.*the fault"
    ):
        gallery.run(program, tmp_path)


def test_an_example_is_asked_for_its_picture_and_says_where_it_is_within_its_folder(tmp_path):
    import gallery

    program = tmp_path / "drawing.py"
    program.write_text(
        "import pathlib, sys\n"
        'place = pathlib.Path(sys.argv[sys.argv.index("--plot") + 1]).resolve()\n'
        "place.write_bytes(b'')\n"
        "print('saved', place)\n",
        encoding="utf-8",
    )
    folder = (tmp_path / "folder").resolve()
    folder.mkdir()
    printed, pictures = gallery.run(program, folder)
    assert printed == "saved drawing.png\n"
    assert pictures == [folder / "drawing.png"]


def test_commands_of_a_docstring_are_blocks_and_the_rest_is_words():
    import gallery

    blocks = "\n".join(
        gallery.as_blocks("It needs `numpy`:\n\n    pip install numpy\n\nand nothing else.")
    )
    assert blocks.startswith(
        "It needs ``numpy``:\n\n.. code-block:: text\n\n   pip install numpy\n\nand"
    )
