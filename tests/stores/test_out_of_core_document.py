"""What docs/guides/out_of_core.md shows runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("host_only")
DOCUMENT = Path(__file__).parents[2] / "docs" / "guides" / "out_of_core.md"


def test_the_code_of_the_document_runs(capsys, tmp_path, monkeypatch):
    pytest.importorskip("h5py", reason="h5py is not installed")
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), flags=re.DOTALL)
    assert examples
    for example in examples:
        exec(example, {})
    cost = re.fullmatch(r"cost ([\d.]+), predictions \(20000, 2\)\n", capsys.readouterr().out)
    assert float(cost[1]) < 0.2
