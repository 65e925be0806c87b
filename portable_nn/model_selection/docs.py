"""scikit-learn's docstrings, with what is added here."""

from __future__ import annotations

import inspect
import re

OF_PASSES = """\
max_stack_bytes : int, default=2**30
    About how much memory the trainings of one pass may take together, their rows included; more
    take several passes. A network that alone takes more is trained alone.

progress : bool, default=False
    Draw a bar of each pass; it needs tqdm. In other processes, where several jobs are asked for, there
    is none.
"""
N_PASSES = """\
n_passes_ : int
    How many stacks of networks were trained.
"""
EXAMPLE = """\
>>> from sklearn.datasets import load_iris
>>> from portable_nn import MLPClassifier
>>> from portable_nn.model_selection import {name}
>>> X, y = load_iris(return_X_y=True)
>>> model = MLPClassifier((8,), learning_rate_init=0.05, tol=0.02, random_state=0)
"""
SECTION = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def sections(docstring: str | None) -> dict[str, str]:
    """The text of each section of a numpydoc docstring, by its title; none under python -OO."""
    parts = SECTION.split(inspect.cleandoc(docstring or ""))
    return dict(zip(parts[1::2], (part.strip("\n") for part in parts[2::2]), strict=True))


def with_example(docstring: str, name: str, example: str) -> str:
    """A docstring with an example, in place of those of scikit-learn, that shows `name` at work."""
    return f"{docstring}\nExamples\n--------\n{EXAMPLE.format(name=name)}{example}\n"


def extended(summary: str | None, theirs: str | None, added: dict[str, str]) -> str:
    """Our summary, and their sections for those of `added`, each with our text behind theirs."""
    found = sections(theirs)
    text = inspect.cleandoc(summary or "").rstrip("\n")
    for title, ours in added.items():
        body = "\n\n".join(part.strip("\n") for part in (found.get(title, ""), ours) if part)
        text += f"\n\n{title}\n{'-' * len(title)}\n{body}"
    return text + "\n"
