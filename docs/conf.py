"""The documentation site: sphinx-build -W --keep-going -b html docs docs/_build/html"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

from portable_nn import __version__  # noqa: E402

project = "portable_nn"
copyright = "The portable_nn developers"
version = release = __version__

extensions = [
    "beside",
    "docstrings",
    "exercise",
    "gallery",
    "mathml",
    "myst_parser",
    "numpydoc",
    "outside",
    "playground",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "course", "inside"]  # pages are made from the scripts there
templates_path = ["_templates"]
suppress_warnings = ["myst.header"]  # the changelog's titles skip a level

# ---- the reference ---------------------------------------------------------------------------------

autosummary_context = {  # classes whose members are not those of their subclasses, on their pages
    "not_shown": "object, Protocol, Generic, tuple, dict, Exception, BaseException, BaseEstimator, "
    "ClassifierMixin, RegressorMixin, TransformerMixin, MultiOutputMixin"
}
autodoc_typehints = "none"  # the docstrings say it
autodoc_member_order = "bysource"

# ---- formulas: MathML, made when the pages are built -----------------------------------------------

html_math_renderer = "mathml"
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_update_mathjax = False
myst_heading_anchors = 3

# ---- pages that are executed -----------------------------------------------------------------------

sphinx_gallery_conf = {
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "examples_dirs": ["course", "inside"],
    "gallery_dirs": ["auto_course", "auto_inside"],
    "image_scrapers": ("pictures.scrape",),
    "min_reported_time": 1e9,
    "notebook_extensions": set(),
    "remove_config_comments": True,
    "reset_modules": ("pictures.set_style",),
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
    "write_computation_times": False,
}

# ---- how the site looks ----------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "portable_nn"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}  # light or dark as the reader's system is
html_css_files = ["site.css"]
html_search_scorer = str(Path(__file__).parent / "search_scorer.js")
html_sidebars = {"playground/index": []}  # the playground needs the room
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_align": "left",
    "secondary_sidebar_items": {"index": [], "auto_course/**": []},  # the code needs the room
    "show_toc_level": 1,
}
numpydoc_show_class_members = False
