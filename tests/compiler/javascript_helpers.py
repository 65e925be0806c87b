"""Trainings that JavaScript repeats: what `fit` did, recorded, and all of them run in one process."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from programs import node, run

import portable_nn as pnn
from portable_nn import trees
from portable_nn.training import loop

ROWS, BATCH, EPOCHS = 21, 8, 17  # 51 updates, every third of 5 rows

MAIN = """
import fs from "node:fs";
const found = {};
const cases = JSON.parse(fs.readFileSync("cases.json"));
for (const [name, { pool, parts, updates, results, dtype }] of Object.entries(cases)) {
  const floats = { float32: Float32Array, float64: Float64Array };
  const kinds = (key) => (key === "rows" ? Int32Array : floats[key === "total" ? "float64" : dtype]);
  const all = {};
  for (const [key, values] of Object.entries(pool)) all[key] = kinds(key).from(values);
  const steps = [];
  for (const { file, sizes, names } of parts) {
    const { create } = await import(`./${file}`);
    const given = { ...all };
    for (const [own, theirs] of Object.entries(names)) given[own] = all[theirs];
    const { arrays, step } = create(sizes, given);
    for (const [key, array] of Object.entries(arrays)) if (!(key in names)) all[key] = array;
    steps.push(step);
  }
  for (const { size, arrays } of updates) {
    for (const [key, values] of Object.entries(arrays)) all[key].set(values);
    for (const step of steps) step(size);
  }
  found[name] = Object.fromEntries(results.map((key) => [key, Array.from(all[key])]));
}
fs.writeFileSync("found.json", JSON.stringify(found));
"""


@dataclass
class Case:
    """Texts, each with sizes and the names of its arrays in the pool; arrays; what each update sets."""

    texts: Sequence[tuple[str, Mapping[str, int], Mapping[str, str]]]
    pool: Mapping[str, Any]
    updates: Sequence[tuple[int, Mapping[str, Any]]]
    expected: Mapping[str, Any]
    dtype: str = "float64"
    most: Mapping[str, int] = field(default_factory=dict)  # elements of results for smaller batches


def run_cases(folder: Path, cases: Mapping[str, Case]) -> dict[str, dict[str, Any]]:
    """The results of each case, by the names of the arrays, from one process of node."""
    files: dict[str, str] = {}
    described = {}
    for name, case in cases.items():
        parts = []
        for text, sizes, names in case.texts:
            file = files.setdefault(text, f"step{len(files)}.mjs")
            (folder / file).write_text(text)
            parts.append({"file": file, "sizes": sizes, "names": names})
        described[name] = {
            "pool": {key: flat(array) for key, array in case.pool.items()},
            "parts": parts,
            "updates": [
                {"size": size, "arrays": {key: flat(array) for key, array in arrays.items()}}
                for size, arrays in case.updates
            ],
            "results": list(case.expected),
            "dtype": case.dtype,
        }
    (folder / "cases.json").write_text(json.dumps(described))
    (folder / "main.mjs").write_text(MAIN)
    run(*node(), "main.mjs", cwd=folder)
    found: dict[str, dict[str, Any]] = json.loads((folder / "found.json").read_text())
    for name, case in cases.items():
        for key, length in case.most.items():
            assert len(found[name][key]) == length
            found[name][key] = found[name][key][: np.size(case.expected[key])]
    return found


def flat(array: Any) -> list[Any]:
    return np.asarray(array).ravel().tolist()


def recorded_fit(monkeypatch: Any, *arguments: Any, **options: Any) -> tuple[Any, Any, list[Any]]:
    """What `fit` returns, and the updates that it made: (data, rows, masks, numbers) of each."""
    updates: list[Any] = []
    steps = loop.training_steps

    def recording(*kind: Any) -> Any:
        compiled = steps(*kind)

        def run_and_record(carry: Any, data: Any, each: Any, owned: Any) -> Any:
            for i in range(trees.length(each[0])):
                rows, masks, numbers = (trees.at(one, i) for one in each)
                masks = [None if M is None else np.array(M) for M in masks or ()]
                updates.append((data, rows, masks, np.array(numbers)))
            return compiled(carry, data, each, owned)

        return run_and_record

    with monkeypatch.context() as patched:
        patched.setattr(loop, "training_steps", recording)
        params, history = pnn.fit(*arguments, **options)
    return params, history, updates


def sizes_of(net: pnn.Network, **others: int) -> dict[str, int]:
    return {f"n{l}": n for l, n in enumerate(net.sizes)} | others


def by_name(tree: Any, prefix: str = "") -> dict[str, Any]:
    """[(W, b), ...] as W1, b1, ...."""
    each = [(l, *layer) for l, layer in enumerate(tree, 1)]
    return {f"{prefix}{name}{l}": x for l, W, b in each for name, x in (("W", W), ("b", b))}


def slots_by_name(slots: Any) -> dict[str, Any]:
    letters = {0: "", 1: "v", 2: "mv"}[len(slots)]
    each = zip(letters, slots, strict=True)
    return {key: x for letter, slot in each for key, x in by_name(slot, f"{letter}_").items()}


def sets(rows: Any, masks: Any, **others: Any) -> dict[str, Any]:
    """What an update sets; masks (n, B) fill the beginning of their arrays."""
    return {"rows": rows} | {f"mask{l}": M for l, M in enumerate(masks, 1) if M is not None} | others


def worst(found: Mapping[str, Any], expected: Mapping[str, Any]) -> float:
    """max |a - b| / max |b| over the arrays."""
    differences = []
    for name, array in expected.items():
        mine, theirs = np.asarray(found[name], "float64"), np.asarray(array, "float64").ravel()
        assert mine.shape == theirs.shape, name
        assert np.isfinite(theirs).all(), name
        differences.append(np.max(np.abs(mine - theirs)) / max(np.max(np.abs(theirs)), 1e-300))
    return float(np.max(differences))
