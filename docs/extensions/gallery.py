"""The gallery: each program of `examples/` is run, and becomes a page with what it prints and draws.

The programs have command lines and write their pictures into files, so they run as their users run
them: each in a process and a folder of its own. A page is made anew when the program has changed, or
the package has.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.errors import ExtensionError
from sphinx.util.logging import getLogger

logger = getLogger(__name__)
ROOT = Path(__file__).parents[2]
HELPERS = ("command_line.py",)
TITLES = {  # in the order of the page
    "drop_in": "One import line changed",
    "digits": "Handwritten digits",
    "shallow_to_deep": "From shallow to deep",
    "search": "A search in one pass",
    "uncertainty": "How sure a regression is",
    "tabular": "A table in, calibrated probabilities out",
    "model_per_group": "A model for each of 1,000 groups",
    "categories": "Embeddings of categories",
    "normalization": "Normalization of deep networks",
    "own_layer": "A layer of your own",
    "own_backend": "A backend of your own",
    "any_array": "One estimator, five array libraries",
    "ship_it": "Ship it as ONNX, C, JavaScript",
    "many_processes": "Several processes",
    "cluster_search": "A search on a cluster",
}
WHERE = "Run it in a clone of the repository: some programs share a small file, ``command_line.py``."
HEAD = """\
Gallery
=======

Each program of the folder ``examples``, with what it prints and draws when these pages are built.

.. grid:: 1 2 3 3
   :gutter: 3

"""
CARD = """\
   .. grid-item-card:: {title}
      :img-top: {picture}
      :img-alt: {alt}
      :link: {name}
      :link-type: doc

"""


def programs() -> list[Path]:
    """The programs, in the order of the page; ExtensionError where one of them has no title."""
    found = {path.stem: path for path in (ROOT / "examples").glob("*.py") if path.name not in HELPERS}
    if set(found) != set(TITLES):
        raise ExtensionError(f"gallery: the titles and the examples differ: {set(found) ^ set(TITLES)}")
    return [found[name] for name in TITLES]


def run(program: Path, folder: Path) -> tuple[str, list[Path]]:
    """What a program prints, and the pictures it has drawn; ExtensionError if it fails."""
    source = program.read_text(encoding="utf-8")
    more = ["--plot", f"{program.stem}.png"] if '"--plot"' in source else []
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, program.as_posix(), *more],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ExtensionError(f"gallery: {program.name} has failed:\n{done.stdout}{done.stderr}")
    printed = done.stdout.replace(folder.as_posix() + "/", "")
    return printed, sorted(folder.rglob("*.png"))


def page(program: Path, printed: str, pictures: list[str]) -> str:
    """The page in reStructuredText."""
    docstring = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or program.stem
    title = TITLES[program.stem]
    lines = [title, "=" * len(title), "", *as_blocks(without_command(docstring)), "", WHERE, ""]
    for picture in pictures:
        lines += [f".. image:: {picture}", f"   :alt: what {program.name} draws", ""]
    lines += ["What it prints", "-" * 14, "", ".. code-block:: text", ""]
    lines += [f"   {line}".rstrip() for line in printed.splitlines()]
    lines += ["", "The program", "-" * 11, "", f".. literalinclude:: ../../examples/{program.name}", ""]
    return "\n".join(lines)


def without_command(docstring: str) -> str:
    """A docstring without the command at the end of its first line."""
    first, _, rest = docstring.partition("\n")
    return re.sub(r": python \S+$", ".", first) + "\n" + rest


def as_blocks(text: str) -> list[str]:
    """Paragraphs unchanged; what is indented, such as a command, as a block of text."""
    found = []
    for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
        lines = paragraph.splitlines()
        is_code = all(line.startswith((" ", "python ", "mpiexec ", "torchrun ")) for line in lines)
        if is_code:
            found += [".. code-block:: text", "", *(f"   {line.strip()}" for line in lines), ""]
        else:
            found += [re.sub(r"`([^`]+)`", r"``\1``", line) for line in lines] + [""]
    return found


def text_as_picture(printed: str, path: Path) -> None:
    """A picture of what a program prints, for its card."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    lines = [line[:46] for line in printed.splitlines()[:12]]
    figure = Figure(figsize=(4.2, 2.8), facecolor="#f4f4f6")
    figure.text(
        0.04, 0.94, "\n".join(lines), va="top", family="monospace", fontsize=8.5, color="#333333"
    )
    figure.savefig(path, dpi=150)


def checksum_of(files: Iterable[Path]) -> str:
    """A checksum of what is in the files."""
    found = hashlib.sha256()
    for file in files:
        found.update(file.read_bytes())
    return found.hexdigest()


def make(app: Any) -> None:
    """Write all pages into ``auto_gallery``."""
    target = Path(app.srcdir) / "auto_gallery"
    target.mkdir(exist_ok=True)
    cards, shared = [], checksum_of([Path(__file__), *sorted((ROOT / "portable_nn").rglob("*.py"))])
    for program in programs():
        name, mark = program.stem, target / f"{program.stem}.state"
        state = f"{shared} {checksum_of([program])}"
        if not mark.exists() or mark.read_text() != state:
            logger.info("gallery: running %s", program.name)
            for old in target.glob(f"{name}*"):
                old.unlink()
            with tempfile.TemporaryDirectory() as folder:
                printed, drawn = run(program, Path(folder))
                pictures = [f"{name}_{k}.png" for k in range(len(drawn))]
                for made, picture in zip(drawn, pictures, strict=True):
                    shutil.copy(made, target / picture)
            text_as_picture(printed, target / f"{name}_text.png")
            write(target / f"{name}.rst", page(program, printed, pictures))
            mark.write_text(state)
        pictures = sorted(target.glob(f"{name}_[0-9]*.png")) or [target / f"{name}_text.png"]
        alt = f"what {name}.py shows"
        cards.append(CARD.format(title=TITLES[name], picture=pictures[0].name, alt=alt, name=name))
    toctree = ".. toctree::\n   :hidden:\n\n" + "".join(f"   {path.stem}\n" for path in programs())
    write(target / "index.rst", HEAD + "".join(cards) + toctree)


def write(path: Path, text: str) -> None:
    """Write a page, unless it is there already as it should be."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", make)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
