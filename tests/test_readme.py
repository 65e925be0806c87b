"""What the README shows is what there is: its examples run, its names are those of the package."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import portable_nn as pnn

pytestmark = pytest.mark.usefixtures("host_only")
ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_example_runs_and_learns(backend, capsys):
    example = EXAMPLES[0]
    assert len(example.strip().splitlines()) == 12
    exec(example.replace('get("numpy")', f'get("{backend.name}", {backend.device_name()!r})'), {})
    accuracy = float(capsys.readouterr().out.split()[-1])
    assert accuracy > 0.95


def test_the_example_of_the_estimators_runs_and_learns(capsys):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    exec(EXAMPLES[1], {})
    accuracy, epochs = re.findall(r"[\d.]+", capsys.readouterr().out)
    assert float(accuracy) > 0.9
    assert int(epochs) > 10


def test_the_example_of_files_saves_loads_and_ships(capsys, tmp_path, monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(EXAMPLES[1], names)
    before = names["clf"]
    exec(EXAMPLES[2], names | {"pnn": pnn})
    again = pnn.load("digits.pnn")
    assert again is not before
    assert (again.predict(names["X_test"]) == before.predict(names["X_test"])).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits.c", "digits.pnn"]


def test_every_formula_of_the_layers_is_in_the_equations():
    source = "".join(
        path.read_text(encoding="utf-8")
        for room in ("equations", "layers")
        for path in (pnn_root() / room).glob("*.py")
    )
    text = (ROOT / "docs" / "guides" / "layers.md").read_text(encoding="utf-8")
    table = text.partition("| our line |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| .* \| (`.*`.*) \|$", table, re.M)
    lines = [line for row in rows for line in re.findall(r"`([^`]+)`", row)]
    assert len(lines) >= 9
    for line in lines:
        assert line in source, line


def pnn_root() -> Path:
    return Path(pnn.__file__).parent


def test_the_names_of_the_readme_are_those_of_the_package():
    for name in re.findall(r"`(?:pnn|portable_nn)\.([A-Za-z_.]+)", README):
        thing = pnn
        for part in name.split("."):
            thing = getattr(thing, part)
    reference = (ROOT / "docs" / "reference" / "equations.rst").read_text(encoding="utf-8")
    for title, table in (("Activations", pnn.equations.ACTIVATIONS), ("Losses", pnn.equations.LOSSES)):
        (listed,) = re.findall(rf"- {title}: ``([a-z_ ]+)``", reference)
        assert set(listed.split()) == set(table)


def test_the_readme_is_short_and_its_command_is_the_one_that_is_run():
    assert len(README.splitlines()) < 120
    (command,) = re.findall(r"^(.*) # runs the tests$", README, flags=re.M)
    assert "nox" in command


def test_an_example_without_its_backend_ends_with_one_line_and_status_2(capsys):
    get_backend = runpy.run_path((ROOT / "examples" / "command_line.py").as_posix())["get_backend"]
    assert get_backend("numpy", None) is pnn.backends.get("numpy")
    with pytest.raises(SystemExit) as ended:
        get_backend("tourch", None)
    assert ended.value.code == 2
    assert "did you mean 'torch'" in capsys.readouterr().err


def test_a_user_defined_backend_takes_less_than_forty_lines():
    example = ROOT / "examples" / "own_backend.py"
    assert len(example.read_text(encoding="utf-8").splitlines()) < 40
    done = subprocess.run(
        [sys.executable, "-W", "error", str(example)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "largest difference from NumPy: 0.0" in done.stdout


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("digits.py", "matplotlib"),
        ("shallow_to_deep.py", "matplotlib"),
        ("drop_in.py", "sklearn"),
        ("any_array.py", "sklearn"),
        ("ship_it.py", "sklearn"),
    ],
)
def test_the_examples_say_what_is_missing_without_a_traceback(name, package):
    program = (
        f"import sys, runpy; sys.modules[{package!r}] = None; "
        "sys.path.insert(0, sys.argv[1].rpartition('/')[0]); runpy.run_path(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, (ROOT / "examples" / name).as_posix()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"needs the package {package}" in done.stderr
    assert "pip install" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_page_on_layers_has_all_of_them():
    text = (ROOT / "docs" / "guides" / "layers.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `pnn\.(\w+)\(", text, flags=re.M)
    ours = [name for name in pnn.__all__ if isinstance(getattr(pnn, name, None), type)]
    layers = {name for name in ours if issubclass(getattr(pnn, name), pnn.Layer)} - {"Layer"}
    assert set(rows) == layers
