"""The house: who imports whom, what is loaded when, what the equations may know."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import portable_nn

pytestmark = pytest.mark.usefixtures("host_only")
ROOT = Path(portable_nn.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
SCIKIT_ROOMS = ("estimators", "ensembles", "tabular", "model_selection")  # imported only when asked for
LIBRARIES = {"numpy", "cupy", "torch", "jax", "array_api_strict", "array_api_compat", "scipy", "sklearn"}

# each room may import those before it, never those after it
ORDER = [
    "version",
    "errors",
    "equations",
    "trees",
    "compiler",
    "stores",
    "backends",
    "checks",
    "distributed",
    "optimizers",
    "schedules",
    "layers",
    "network",
    "storage",
    "training",
    "estimators",
    "ensembles",
    "tabular",
    "model_selection",
    "files",
    "interchange",
]


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every module that a file names in an import, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            found |= {f"{module}.{a.name}" if module == "portable_nn" else module for a in node.names}
    return found


def top_level(path: Path) -> set[str]:
    """The packages that are imported when a file is."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def test_every_room_has_its_place_in_the_order():
    assert {room(path) for path in FILES} - {"__init__", "__main__"} == set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_imports_go_downwards_only(path):
    mine = room(path)
    if mine in ("__init__", "__main__"):
        return
    for name in imports(path):
        if name.startswith("portable_nn."):
            theirs = name.split(".")[1]
            assert ORDER.index(theirs) <= ORDER.index(mine), f"{mine} imports {theirs}"


def test_the_targets_of_the_compiler_do_not_import_each_other():
    shared = {"languages"}  # by those that write source code; it imports no target
    rooms = {
        folder.name for folder in (ROOT / "compiler").iterdir() if (folder / "__init__.py").exists()
    }
    targets = rooms - shared
    assert targets == {"cuda", "javascript", "numpy", "sources"}
    for path in (ROOT / "compiler").rglob("*.py"):
        mine = path.relative_to(ROOT / "compiler").parts[0]
        others = [f"portable_nn.compiler.{target}" for target in targets - {mine}]
        assert not [n for n in imports(path) if any(f"{n}.".startswith(f"{o}.") for o in others)], path


def arrows(path: Path, modules: set[str]) -> set[str]:
    """The modules of ours that a file imports, or imports names from, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & modules or {node.module}
    return found & modules


def test_no_imports_go_in_a_circle():
    names = {}
    for path in FILES:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    waiting = {name: arrows(path, set(names)) for name, path in names.items()}
    while free := {name for name, theirs in waiting.items() if not theirs & set(waiting)}:
        waiting = {name: theirs for name, theirs in waiting.items() if name not in free}
    assert not waiting


def test_the_equations_import_no_array_library_and_nothing_else_of_ours():
    for path in (ROOT / "equations").iterdir():
        if path.suffix == ".py":
            names = imports(path)
            assert not {name.split(".")[0] for name in names} & LIBRARIES
            assert all(
                n.startswith("portable_nn.equations") for n in names if n.startswith("portable_nn")
            )


# whose means of communication are used, whatever the arrays are of
ENGINES = {"torch_groups.py": {"torch"}, "nccl.py": {"cupy", "cupyx"}}


def test_only_the_backends_know_which_backend_it_is():
    suspicious = ("is_torch", "is_cupy", "is_jax", "is_numpy", ".name ==", "array_api_compat")
    for path in FILES:
        if room(path) != "backends":
            text = path.read_text(encoding="utf-8").replace("os.name", "")
            assert not [s for s in suspicious if s in text], path
            allowed = {"numpy", "sklearn", "scipy"} if room(path) in SCIKIT_ROOMS else {"numpy"}
            allowed |= ENGINES.get(path.name, set())
            assert not {name.split(".")[0] for name in imports(path)} & (LIBRARIES - allowed), path


def test_no_library_is_imported_with_a_file_but_numpy_and_array_api_compat():
    for path in FILES:
        if room(path) not in SCIKIT_ROOMS:
            assert not top_level(path) & (LIBRARIES - {"numpy", "array_api_compat"}), path


def test_the_equations_look_at_no_value_and_change_nothing():
    for path in (ROOT / "equations").iterdir():
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.AugAssign | ast.Global | ast.Nonlocal), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("bool", "print", "int"), (path, node.lineno)


def test_importing_the_package_loads_numpy_and_array_api_compat_and_no_other_library():
    program = (
        "import sys, portable_nn as pnn\n"
        "pnn.backends.names()\n"
        "import numpy as np\n"
        "net = pnn.Network((2, 1), ('sigmoid',), 'binary_cross_entropy')\n"
        "X = np.ones((3, 2), 'float32')\n"
        "pnn.fit(net, net.initialize(), X, X[:, :1], epochs=1)\n"
        "pnn.ParquetRows, pnn.Columns, pnn.WindowShuffle\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(*sorted(loaded & {'torch', 'jax', 'cupy', 'array_api_strict', 'sklearn', 'scipy', "
        "'matplotlib', 'tqdm', 'numba', 'pandas', 'pyarrow', 'zarr', 'h5py', 'dask'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


def test_every_public_name_exists_and_is_documented():
    for name in portable_nn.__all__:
        assert getattr(portable_nn, name).__doc__, name
    assert (ROOT / "py.typed").exists()


# ---- sizes: what outgrows them is two things ------------------------------------------------------

PUBLIC = {"__init__", "fit", "partial_fit", "initialize"}  # what users call takes what users need


def lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = function.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def lines_of_docstrings(path: Path) -> int:
    """How many lines of a file are docstrings of its classes and functions."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    owners = [n for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)]
    first = [owner.body[0] for owner in owners if ast.get_docstring(owner) is not None]
    return sum((docstring.end_lineno or 0) - docstring.lineno + 1 for docstring in first)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    a = function.args
    named = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg) if arg]
    return [name for name in named if name not in ("self", "cls")]


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(ROOT)) for p in FILES])
def test_functions_take_eight_parameters_at_most_and_have_79_lines_at_most(path):
    long = {f.name: lines_without_docstring(f) for f in functions(path)}
    assert not {name: lines for name, lines in long.items() if lines > 79}
    wide = {f.name: len(parameters(f)) for f in functions(path) if f.name not in PUBLIC}
    assert not {name: count for name, count in wide.items() if count > 8}


def test_files_have_300_lines_at_most_and_those_of_tests_500():
    """Docstrings do not count: a file is not two things because its names are described in full."""
    for folder, most in ((ROOT, 300), (Path(__file__).parent, 500)):
        lines = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in folder.rglob("*.py")}
        long = {path: count for path, count in lines.items() if count > most}
        assert not [p for p, count in long.items() if count - lines_of_docstrings(p) > most]
