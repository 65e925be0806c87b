"""Statements that models do not have: products of transposed matrices, and means, in both languages."""

from __future__ import annotations

import json

import numpy as np
import pytest
from programs import gcc, node, run
from training_helpers import traced

from portable_nn.compiler.languages import C99, JavaScript
from portable_nn.compiler.rows import trace_row
from portable_nn.compiler.sources import statements_of

pytestmark = pytest.mark.usefixtures("host_only")
W = np.random.default_rng(2).normal(size=(2, 3))
ROW = np.array([0.3, -1.5, 2.25])

IN_C = """
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
{tables}
{helpers}
int main(void)
{{
  const double x[3] = {{0.3, -1.5, 2.25}};
  double out[3];
  {buffers}
  {body}
  printf("[%.17g, %.17g, %.17g]", out[0], out[1], out[2]);
  return 0;
}}
"""
IN_JAVASCRIPT = """
{helpers}
{tables}
{buffers}
const x = [0.3, -1.5, 2.25], out = [];
{body}
console.log(JSON.stringify(out));
"""


def mixed(X, W):
    """(W.mT W z - the mean of z) for z, a row as a column."""
    Z = X.mT
    return (W.mT @ (W @ Z) - np.mean(Z, axis=-2, keepdims=True)).mT


def text(form, language):
    found = statements_of(trace_row(mixed, 3, [W]), ["W"], language)
    parts = ("tables", "helpers", "buffers", "body")
    return form.format(**{part: "\n".join(getattr(found, part)) for part in parts})


def in_c(folder):
    (folder / "main.c").write_text(text(IN_C, C99()))
    run(gcc(), "-std=c99", "-Wall", "-Wextra", "-Werror", "main.c", "-o", "main", "-lm", cwd=folder)
    return run("./main", cwd=folder)


def in_javascript(folder):
    (folder / "main.mjs").write_text(text(IN_JAVASCRIPT, JavaScript()))
    return run(*node(), "main.mjs", cwd=folder)


@traced
@pytest.mark.parametrize("program", [in_c, in_javascript])
def test_products_of_transposed_matrices_and_means_are_those_of_numpy(program, tmp_path):
    found = json.loads(program(tmp_path))
    np.testing.assert_allclose(found, mixed(ROW[None, :], W)[0], rtol=1e-14)
